//! PostgreSQL.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hookswitch::outbox::RunState;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::caller;
use crate::outage::{RETRY, Victim, endured};
use crate::reach::tried;
use crate::server::{Server, free_port, ready};
use crate::stage::Stage;
use crate::tls::Card;

const TABLE: &str =
    "create table if not exists calls (id text primary key, name text, waited double precision, seen timestamptz)";

struct Postgres {
    server: Server,
    port: u16,
    _directory: TempDir,
}

/// Debian keeps the server's programs apart, by version.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.sort();
    found.into_iter().rfind(|path| path.exists()).unwrap_or_else(|| name.into())
}

/// The program, by the user `postgres` where this is root, whom PostgreSQL refuses.
fn command(name: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program(name));
    command
}

impl Postgres {
    async fn start() -> Self {
        let (directory, port) = (TempDir::new().expect("a directory"), free_port());
        let data = Self::initialize(directory.path());
        let server = Server::start(Self::server(&data, port), directory.path());
        let postgres = Self { server, port, _directory: directory };
        postgres.client().await.execute(TABLE, &[]).await.expect("a table");
        postgres
    }

    /// Makes an empty database in the directory.
    fn initialize(directory: &Path) -> PathBuf {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).expect("is ours");
        let data = directory.join("data");
        let made = command("initdb").args(["-A", "trust", "-U", "me", "--no-sync", "-D"]).arg(&data).output();
        let made = made.expect("initdb; tests/run installs it");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        data
    }

    fn server(data: &Path, port: u16) -> Command {
        let mut command = command("postgres");
        command.args(["-h", "127.0.0.1", "-k", "", "-p", &port.to_string(), "-D"]).arg(data);
        command
    }

    async fn client(&self) -> Client {
        let config = format!("host=127.0.0.1 port={} user=me dbname=postgres", self.port);
        ready(|| async {
            let (client, connection) = tokio_postgres::connect(&config, NoTls).await.ok()?;
            tokio::spawn(connection);
            client.simple_query("select 1").await.ok()?;
            Some(client)
        })
        .await
    }

    fn flow(&self, step: &str) -> String {
        let port = self.port;
        format!(
            "[destinations.crm]\nurl = 'postgres://me@127.0.0.1:{port}/postgres'\nconcurrency = 5\n\
             [flows.f]\nsteps = [{{ sql = {{ destination = 'crm', {step} }}, save = 'found' }}]"
        )
    }
}

impl Victim for Postgres {
    fn freeze(&mut self) {
        self.server.freeze();
    }

    fn thaw(&mut self) {
        self.server.thaw();
    }

    async fn kill_and_restart(&mut self) {
        self.server.kill();
        self.server.restart();
        drop(self.client().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgresql, which tests/run installs"]
async fn postgresql_has_what_was_written_whatever_callers_are_called() {
    let (postgres, directory) = (Postgres::start().await, TempDir::new().expect("a directory"));
    let step = "statement = 'insert into calls values ($1, $2, $3, $4)', \
                values = ['{{ id }}', '{{ member_name }}', '{{ wait_sec }}', '{{ timestamp }}']";
    let stage = Stage::start(&directory, &postgres.flow(step));
    for (attempt, name) in (0..).zip(caller::NAMES) {
        let run = stage.fire_changed("f", attempt, 0, |payload| payload.member_name = Some(name.into())).await;
        let story = stage.over(run).await;
        assert_eq!(story.run.state, RunState::Delivered, "{name:?}: {:?}", story.run.error);
    }
    let client = postgres.client().await;
    let rows = client.query("select name from calls", &[]).await.expect("rows");
    let found: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, caller::NAMES.map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgresql, which tests/run installs"]
async fn postgresql_has_every_row_once_though_it_was_frozen_and_killed() {
    let (mut postgres, directory) = (Postgres::start().await, TempDir::new().expect("a directory"));
    let step = format!(
        "statement = 'insert into calls values ($1) on conflict do nothing', values = ['{{{{ id }}}}'], {RETRY}"
    );
    let stage = Stage::start(&directory, &postgres.flow(&step));
    let runs = endured(&stage, &mut postgres).await;
    let rows = postgres.client().await.query("select id from calls", &[]).await.expect("rows");
    assert_eq!(rows.len(), runs.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgresql, which tests/run installs"]
async fn postgresql_answers_a_question_and_refuses_in_words_that_quote_no_value() {
    let (postgres, directory) = (Postgres::start().await, TempDir::new().expect("a directory"));
    let question =
        "statement = 'select 1::int as one, $1::text as name, null as nothing', values = ['{{ member_name }}']";
    let stage = Stage::start(&directory, &postgres.flow(question));
    let run = stage.fire_changed("f", 0, 0, |payload| payload.member_name = Some("Ada".into())).await;
    assert_eq!(stage.over(run).await.run.state, RunState::Delivered);
    stage.stop().await;

    for (step, reason) in [
        (
            "statement = 'insert into nowhere values (1)'",
            "PostgreSQL refused: relation \"nowhere\" does not exist (42P01)",
        ),
        ("statement = 'selekt 1'", "PostgreSQL refused: syntax error"),
        (
            "statement = 'select $1::int', values = ['{{ member_name }}']",
            "a value is not of its parameter's type (22P02)",
        ),
        ("statement = 'select $1::int'", "the statement has 1 parameters, and there are 0 values"),
        ("statement = 'select pg_sleep(60)', timeout = '300ms', retry = []", "within 300ms"),
    ] {
        let directory = TempDir::new().expect("a directory");
        let stage = Stage::start(&directory, &postgres.flow(step));
        let run = stage.fire_changed("f", 0, 0, |payload| payload.member_name = Some("secret".into())).await;
        let error = stage.over_with(run, RunState::Failed).await.run.error.expect("why");
        assert!(error.contains(reason) || error.contains("57014"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs postgresql, which tests/run installs"]
async fn postgresql_over_tls_is_trusted_where_its_certificate_is() {
    let (directory, port) = (TempDir::new().expect("a directory"), free_port());
    let data = Postgres::initialize(directory.path());
    let card = Card::make(directory.path());
    // The server reads its key only where nobody else can.
    let installed = command("install").args(["-m", "600"]).args([&card.key, &data.join("server.key")]).status();
    assert!(installed.expect("install").success());
    fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 reject\n")
        .expect("is written");
    let mut command = Postgres::server(&data, port);
    command.args(["-c", "ssl=on", "-c", "ssl_key_file=server.key", "-c"]);
    command.arg(format!("ssl_cert_file={}", card.certificate.display()));
    let _server = Server::start(command, directory.path());
    ready(|| async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok() }).await;
    for (keys, is_trusted) in [("tls = true\nca = 'server.pem'", true), ("tls = true", false), ("tls = false", false)] {
        let place = TempDir::new().expect("a directory");
        fs::copy(&card.certificate, place.path().join("server.pem")).expect("is copied");
        let text = format!(
            "[destinations.crm]\nurl = 'postgres://me@localhost:{port}/postgres'\n{keys}\n[flows.f]\n\
             steps = [{{ sql = {{ destination = 'crm', statement = 'select 1', retry = ['1s', '1s'] }} }}]"
        );
        let (said, story) = tried(&place, &text).await;
        assert_eq!(said.as_ref().is_ok_and(|said| said.starts_with("PostgreSQL 1")), is_trusted, "{said:?}");
        assert_eq!(story.run.state == RunState::Delivered, is_trusted, "{keys}: {:?}", story.run.error);
    }
}
