//! Many clients that mean no good: they read nothing, send nothing, or sign in and hang up; and the daemon goes on answering.
//!
//! The daemon is a process of its own, so that its memory and its open files are its own.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hookswitch::admin::password;
use hookswitch::moment::{EventName, Payload};
use reqwest::{Client, StatusCode};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use url::form_urlencoded::Serializer;

use crate::stage::{PATIENCE, TOKENS};

const PASSWORD: &str = "correct horse battery";

/// Within this a probe is answered, on a machine that has much else to do as well.
const SOON: Duration = Duration::from_secs(5);

/// A daemon as a process; killed when it is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
    client: Client,
    directory: TempDir,
}

impl Process {
    fn start(http: &str) -> Self {
        Self::start_with(http, None)
    }

    /// With so many open files.
    fn start_with(http: &str, files: Option<u32>) -> Self {
        let directory = TempDir::new().expect("a directory");
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n{http}\n[queues.chat]\nsource = \"api\"\n[[freeswitch]]\nname = \"fs1\"\n\
             address = \"127.0.0.1:1\"\npassword = \"none\"\n[outbox]\npath = {:?}\n",
            directory.path().join("outbox.db"),
        );
        let config = directory.path().join("hookswitch.toml");
        fs::write(&config, text).expect("writes");
        // A shell, because a process's limit of open files can only be set before it begins.
        let mut command = Command::new("sh");
        let limit = files.map_or(String::new(), |files| format!("ulimit -n {files}; "));
        command.args(["-c", &format!("{limit}exec \"$0\" run --config \"$1\""), env!("CARGO_BIN_EXE_hookswitch")]);
        command.arg(config).env_remove("RUST_LOG").stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut lines = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let listens =
            lines.find_map(|line| Some(line.ok()?.split_once("the HTTP interface listens address=")?.1.to_owned()));
        let address = listens.and_then(|address| address.parse().ok()).expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let policy = reqwest::redirect::Policy::none();
        let client = Client::builder().no_proxy().redirect(policy).pool_max_idle_per_host(0).build().expect("a client");
        Self { child, address, client, directory }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The most memory that it has had, in MiB.
    fn peak_mib(&self) -> u64 {
        self.status("VmHWM:") / 1_024
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("runs");
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        value.and_then(|value| value.parse().ok()).expect("a number")
    }

    /// The outbox, beside the daemon.
    async fn outbox(&self) -> Connection {
        // It is there when something was told.
        let told = self.client.put(self.url("/api/queues/chat/attempts/first")).json(&serde_json::json!({})).send();
        assert_eq!(told.await.expect("answers").status(), 201);
        let outbox = Connection::open(self.directory.path().join("outbox.db")).expect("is there");
        outbox.busy_timeout(PATIENCE).expect("waits");
        outbox
    }

    async fn csrf(&self) -> String {
        let page = self.client.get(self.url("/sign-in")).send().await.expect("answers").text().await.expect("a text");
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().expect("its end").to_owned()
    }

    fn form(csrf: &str, name: &str, password: &str) -> String {
        Serializer::new(String::new())
            .extend_pairs([("csrf", csrf), ("name", name), ("password", password), ("next", "/nodes")])
            .finish()
    }

    async fn sign_in(&self, csrf: &str, name: &str, password: &str) -> StatusCode {
        let body = Self::form(csrf, name, password);
        self.client.post(self.url("/sign-in")).body(body).send().await.expect("answers").status()
    }

    /// A connection from that address of this machine.
    async fn connect(&self, from: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((from, 0))).expect("is this machine's");
        socket.set_recv_buffer_size(4_096).expect("can be small");
        socket.connect(self.address).await.expect("connects")
    }

    /// Probes are answered several times in a row.
    async fn is_alive(&self, meanwhile: &str) {
        for path in ["/healthz", "/readyz", "/healthz"] {
            let began = Instant::now();
            let answer = self.client.get(self.url(path)).timeout(SOON).send().await;
            let answer = answer.unwrap_or_else(|error| panic!("{path} while {meanwhile}: {error}"));
            assert!(matches!(answer.status().as_u16(), 200 | 503), "{path} while {meanwhile}: {}", answer.status());
            println!("{path} while {meanwhile}: {:?}", began.elapsed());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn users() -> String {
    let hash = password::hash(PASSWORD).expect("hashes");
    format!("users = [{{ name = \"ada\", role = \"admin\", password = \"{hash}\" }}]\n{TOKENS}")
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_whose_client_hangs_up_are_counted_and_take_no_memory() {
    let daemon = Process::start(&users());
    let csrf = daemon.csrf().await;
    let before = daemon.peak_mib();
    let body = Process::form(&csrf, "ada", "wrong");
    let request = format!(
        "POST /sign-in HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        daemon.address,
        body.len()
    );
    for i in 0..200 {
        // From many addresses, of which each may try some times.
        let mut stream = daemon.connect([127, 0, 1, i]).await;
        stream.write_all(request.as_bytes()).await.expect("is sent");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    assert_eq!(daemon.sign_in(&csrf, "ada", PASSWORD).await, StatusCode::TOO_MANY_REQUESTS, "by its name");
    // Each with a name of its own: all that could be are compared.
    for i in 0..200 {
        let body = Process::form(&csrf, &format!("n{i}"), "wrong");
        let head = request.split("Content-Length").next().expect("its beginning");
        let mut stream = daemon.connect([127, 0, 2, i]).await;
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.expect("is sent");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    daemon.is_alive("many sign in and hang up").await;
    let after = daemon.peak_mib();
    println!("{before} MiB before, {after} MiB at most since");
    assert!(after < before + 150, "{before} MiB before, {after} MiB since");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_come_together_are_counted_as_those_one_by_one() {
    let daemon = Process::start(&users());
    let csrf = daemon.csrf().await;
    let before = daemon.peak_mib();
    let tries = (0..240).map(|i| {
        let (client, url) = (daemon.client.clone(), daemon.url("/sign-in"));
        // The right one comes last.
        let password = if i == 239 { PASSWORD.to_owned() } else { format!("wrong {i}") };
        let body = Process::form(&csrf, "ada", &password);
        tokio::spawn(async move { client.post(url).body(body).send().await.map(|answer| answer.status()) })
    });
    let tries: Vec<_> = tries.collect();
    let mut answers = Vec::new();
    for attempt in tries {
        // One that is cut off by the many was not compared either.
        answers.extend(attempt.await.expect("runs").ok());
    }
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    let (compared, let_in) = (count(StatusCode::UNAUTHORIZED), count(StatusCode::SEE_OTHER));
    println!("{compared} compared, {let_in} let in, {} refused", count(StatusCode::TOO_MANY_REQUESTS));
    assert!(compared + let_in <= 5, "{compared} compared, {let_in} let in");
    if let_in == 0 {
        assert_eq!(daemon.sign_in(&csrf, "ada", PASSWORD).await, StatusCode::TOO_MANY_REQUESTS);
    }
    let after = daemon.peak_mib();
    assert!(after < before + 150, "{before} MiB before, {after} MiB since");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_with_one_address_sign_in_at_the_same_time() {
    let daemon = Process::start(&users());
    let csrf = daemon.csrf().await;
    let all = (0..12).map(|_| daemon.sign_in(&csrf, "ada", PASSWORD));
    let answers = futures_util::future::join_all(all).await;
    assert_eq!(answers, vec![StatusCode::SEE_OTHER; 12]);
}

/// The addresses that 300 clients come from.
const ONE: fn(u8) -> [u8; 4] = |_| [127, 0, 0, 1];
const SEVERAL: fn(u8) -> [u8; 4] = |i| [127, 0, 0, 1 + i % 8];

/// What 300 clients send first, from one address and from several, and what they do then.
async fn flood(request: &str, meanwhile: &str) {
    for from in [ONE, SEVERAL] {
        let daemon = Process::start("");
        let request = request.replace("HOST", &daemon.address.to_string());
        let mut clients = Vec::new();
        for i in 0..300_u32 {
            let mut client = daemon.connect(from((i % 256) as u8)).await;
            // One that was closed meanwhile takes nothing.
            let _ = tokio::time::timeout(Duration::from_millis(20), client.write_all(request.as_bytes())).await;
            clients.push(client);
        }
        daemon.is_alive(meanwhile).await;
        drop(clients);
        daemon.is_alive("all have gone").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_keep_nobody_out() {
    let request = "GET /openapi.json HTTP/1.1\r\nHost: HOST\r\n\r\n".repeat(100);
    flood(&request, "300 never read").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_nobody_reads_keep_nobody_out() {
    flood("GET /stream HTTP/1.1\r\nHost: HOST\r\n\r\n", "300 have a stream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_never_end_keep_nobody_out() {
    flood("GET /healthz HTTP/1.1\r\nHost: HOST\r\nX: ", "300 heads do not end").await;
    let body = "PUT /api/queues/chat/attempts/k HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n\
                Content-Length: 1000\r\n\r\n{";
    flood(body, "300 bodies do not end").await;
    flood("", "300 send nothing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_cut_off_and_one_that_reads_slowly_is_not() {
    let daemon = Process::start("");
    let request = format!("GET /openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n", daemon.address);
    // Far more than the buffers on the way hold.
    let times = 400;
    let mut never = daemon.connect([127, 0, 0, 1]).await;
    let mut slow = daemon.connect([127, 0, 0, 2]).await;
    let size = daemon.client.get(daemon.url("/openapi.json")).send().await.expect("answers").bytes().await;
    let all = size.expect("a body").len() * times;
    let (mut reader, mut writer) = slow.split();
    let requests = request.repeat(times);
    let _ = tokio::time::timeout(Duration::from_secs(1), never.write_all(requests.as_bytes())).await;
    let slowly = async {
        let (mut read, mut buffer) = (0, vec![0; 256 * 1_024]);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(45) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            read += reader.read(&mut buffer).await.expect("goes on");
        }
        while read < all {
            let count = reader.read(&mut buffer).await.expect("goes on");
            assert_ne!(count, 0, "not cut off after {read}");
            read += count;
        }
    };
    let written = async { writer.write_all(requests.as_bytes()).await.expect("goes on") };
    tokio::time::timeout(PATIENCE * 3, async { tokio::join!(slowly, written) }).await.expect("ends");
    // What waits in the buffers can be read, and then it is over.
    let (mut read, mut buffer) = (0, vec![0; 256 * 1_024]);
    while let Ok(count @ 1..) = tokio::time::timeout(PATIENCE, never.read(&mut buffer)).await.expect("is cut off") {
        read += count;
    }
    assert!(read < all, "the rest was not sent");
}

#[tokio::test]
async fn a_head_is_as_large_as_it_may_be_and_no_larger() {
    let daemon = Process::start("");
    for (bytes, status) in [(30_000, 200), (33_000, 431), (40_000, 431), (60_000, 431)] {
        let request = daemon.client.get(daemon.url("/healthz")).header("x-much", "a".repeat(bytes));
        assert_eq!(request.send().await.expect("answers").status().as_u16(), status, "{bytes}");
    }
    let long = daemon.client.get(daemon.url(&format!("/healthz?{}", "a".repeat(40_000)))).send().await;
    assert_eq!(long.expect("answers").status().as_u16(), 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_ask_again_and_again_keep_nobody_out() {
    for from in [ONE, SEVERAL] {
        let daemon = Process::start("");
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", daemon.address);
        let mut clients = JoinSet::new();
        for i in 0..300_u32 {
            let mut client = daemon.connect(from((i % 256) as u8)).await;
            let request = request.clone();
            clients.spawn(async move {
                let mut buffer = [0; 4_096];
                // Far more often than an idle connection is closed for another.
                while client.write_all(request.as_bytes()).await.is_ok()
                    && client.read(&mut buffer).await.is_ok_and(|count| count > 0)
                {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        daemon.is_alive("300 ask again and again").await;
        let page = daemon.client.get(daemon.url("/nodes")).timeout(SOON).send().await.expect("answers");
        assert_eq!(page.status(), 200, "others find a place");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_come_faster_than_any_can_wait_keep_nobody_out() {
    let daemon = Process::start("");
    let (mut clients, address) = (JoinSet::new(), daemon.address);
    let count = Arc::new(AtomicU32::new(0));
    for _ in 0..16 {
        let count = count.clone();
        clients.spawn(async move {
            // Those before are closed by the daemon, or wait to be taken.
            let mut open = VecDeque::new();
            loop {
                if let Ok(Ok(client)) = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
                    count.fetch_add(1, Ordering::Relaxed);
                    open.push_back(client);
                }
                if open.len() > 100 {
                    open.pop_front();
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    daemon.is_alive("many connections come and send nothing").await;
    println!("{} connections", count.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_take_long_keep_no_probe_out() {
    let daemon = Process::start("");
    let outbox = daemon.outbox().await;
    // Nothing can be written while somebody else does.
    outbox.execute_batch("BEGIN IMMEDIATE").expect("begins");
    let mut signals = JoinSet::new();
    for i in 0..600 {
        let (client, url) = (daemon.client.clone(), daemon.url(&format!("/api/queues/chat/attempts/k{i}")));
        signals.spawn(async move {
            let answer = client.put(url).json(&serde_json::json!({})).send().await;
            answer.map_or(0, |answer| answer.status().as_u16())
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    daemon.is_alive("600 wait for the outbox").await;
    outbox.execute_batch("COMMIT").expect("ends");
    let statuses = signals.join_all().await;
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    println!("{} acknowledged, {} refused for now, {} cut off", count(201), count(503), count(0));
    // Those that had a place; the others are refused, or give way before they have sent anything.
    assert!(count(201) >= 200 && count(201) + count(503) + count(0) == 600, "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_open_files_are_left_to_others_than_clients() {
    let daemon = Process::start_with("", Some(64));
    let mut clients = Vec::new();
    for _ in 0..300 {
        clients.push(daemon.connect([127, 0, 0, 1]).await);
    }
    daemon.is_alive("300 send nothing, with 64 open files").await;
    for path in ["/deliveries", "/live"] {
        let page = daemon.client.get(daemon.url(path)).timeout(SOON).send().await.expect("answers");
        assert_eq!(page.status(), 200, "{path}: the outbox can be read");
    }
}

/// Writes moments and runs as a long log has them; none of the member who is looked for.
async fn write_long_log(daemon: &Process) {
    let mut payload = serde_json::to_value(Payload::sample(EventName::Joined)).expect("JSON");
    // They are stored beside it.
    payload.as_object_mut().expect("an object").remove("variables");
    let payload = payload.to_string().replace('\'', "''");
    let sql = format!(
        "BEGIN;
        INSERT INTO variables (id, json) VALUES (1000000, '{{}}');
        WITH RECURSIVE n(i) AS (SELECT 1000000 UNION ALL SELECT i + 1 FROM n WHERE i < 1200000)
        INSERT INTO moment (id, hash, attempt, queue, event, committed_at_ms, payload, variables)
        SELECT i, randomblob(16), randomblob(16), 'chat', 'joined', unixepoch() * 1000, '{payload}', 1000000 FROM n;
        INSERT INTO run (id, hash, moment, attempt, hook, flow, ordered, state, created_at_ms, due_at_ms, ended_at_ms)
        SELECT id, randomblob(16), id, attempt, 'chat/came', 'tell', 0, 'delivered', committed_at_ms, committed_at_ms,
               committed_at_ms FROM moment WHERE id >= 1000000;
        COMMIT;"
    );
    daemon.outbox().await.execute_batch(&sql).expect("is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_searches_at_once_take_few_threads_and_leave_the_pages_to_others() {
    let daemon = Process::start("");
    write_long_log(&daemon).await;
    let (threads, memory) = (daemon.status("Threads:"), daemon.peak_mib());
    let mut searches = JoinSet::new();
    for i in 0..150 {
        let path = if i % 3 == 0 { "/api/deliveries?flow=none&limit=1000" } else { "/deliveries?number=no&span=7d" };
        let (client, url) = (daemon.client.clone(), daemon.url(path));
        searches.spawn(async move { client.get(url).send().await.map_or(0, |answer| answer.status().as_u16()) });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    daemon.is_alive("150 search").await;
    for path in ["/nodes", "/live", "/deliveries", "/queues/chat"] {
        let page = daemon.client.get(daemon.url(path)).timeout(SOON).send().await.expect("answers");
        let (status, text) = (page.status(), page.text().await.expect("a text"));
        assert_eq!(status, 200, "{path} while others search: {:?}", text.split("problem\">").nth(1));
    }
    let (during, peak) = (daemon.status("Threads:"), daemon.peak_mib());
    println!("{threads} threads before, {during} while 150 search; {memory} MiB before, {peak} at most since");
    assert!(during <= threads + 6 && peak < memory + 100, "{threads} threads, {memory} MiB; then {during}, {peak}");
    let statuses = searches.join_all().await;
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
    assert!(statuses.contains(&200), "{statuses:?}");
}

/// A sender that has gone wild, each attempt with nearly as much as one may have.
#[tokio::test(flavor = "multi_thread")]
async fn signals_of_any_number_take_so_much_memory_and_no_more() {
    let daemon = Arc::new(Process::start(""));
    drop(daemon.outbox().await);
    let variables: serde_json::Map<_, _> =
        (0..15).map(|i| (format!("variable_{i}"), serde_json::Value::from("v".repeat(4_000)))).collect();
    let body = serde_json::json!({ "variables": variables });
    let put = |name: String, body: &serde_json::Value| {
        daemon.client.put(daemon.url(&format!("/api/queues/chat/attempts/{name}"))).json(body).send()
    };
    let before = daemon.peak_mib();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..30 {
        let answers =
            futures_util::future::join_all((0..100).map(|i| put(format!("w{}", accepted + refused + i), &body)));
        for answer in answers.await {
            match answer.expect("answers").status() {
                StatusCode::CREATED => accepted += 1,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => refused += 1,
                other => panic!("{other}"),
            }
        }
    }
    let grown = daemon.peak_mib() - before;
    println!("{accepted} accepted, {refused} refused, {grown} MiB more");
    assert!((900..1_300).contains(&accepted), "some 64 MiB of 60 kB each: {accepted}");
    assert!(grown < 400, "{grown} MiB more");
    daemon.is_alive("the live attempts are as large as they may be").await;
    // What has left makes room.
    for i in 0..50 {
        let url = daemon.url(&format!("/api/queues/chat/attempts/w{i}/signals"));
        let leaving = serde_json::json!({ "id": "1", "signal": { "leaving": { "reason": "timeout" } } });
        let left = daemon.client.post(url).json(&leaving).send().await.expect("answers");
        assert!(left.status().is_success(), "{}", left.status());
    }
    assert_eq!(put("after".into(), &body).await.expect("answers").status(), StatusCode::CREATED);
}
