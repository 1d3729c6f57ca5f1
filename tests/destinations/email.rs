//! Mail.

use std::collections::BTreeSet;

use hookswitch::outbox::RunState;
use tempfile::TempDir;

use crate::caller;
use crate::outage::{RETRY, Victim, endured, webhook_id};
use crate::reach::tried;
use crate::smtp::{Encryption, Mail, MailServer};
use crate::stage::Stage;
use crate::tls::Card;

impl Victim for MailServer {
    fn freeze(&mut self) {
        MailServer::freeze(self, true);
    }

    fn thaw(&mut self) {
        MailServer::freeze(self, false);
    }

    async fn kill_and_restart(&mut self) {
        MailServer::kill_and_restart(self).await;
    }
}

fn flow(server: &MailServer, step: &str) -> String {
    format!(
        "[destinations.mail]\nurl = 'smtp://{}'\n[flows.f]\nsteps = [{{ email = {{ destination = 'mail', \
         from = 'Queues <queues@pbx.test>', subject = 'Missed: {{{{ member_name }}}}', \
         body = 'Call {{{{ member_name }}}} back', {step} }} }}]",
        server.address
    )
}

/// The names of a mail's header, in its order.
fn header_names(mail: &Mail) -> Vec<String> {
    let header = mail.data.split("\n\n").next().expect("a header");
    let lines = header.lines().filter(|line| !line.starts_with([' ', '\t']));
    lines.map(|line| line.split(':').next().expect("a name").to_lowercase()).collect()
}

fn header<'a>(mail: &'a Mail, name: &str) -> Option<&'a str> {
    mail.data.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_has_its_own_header_and_recipients_whatever_callers_are_called() {
    let (server, directory) = (MailServer::start().await, TempDir::new().expect("a directory"));
    let stage = Stage::start(&directory, &flow(&server, "to = ['boss@office.test', 'desk@office.test']"));
    for (attempt, name) in (0..).zip(caller::NAMES) {
        let run = stage.fire_changed("f", attempt, 0, |payload| payload.member_name = Some(name.into())).await;
        let story = stage.over(run).await;
        assert_eq!(story.run.state, RunState::Delivered, "{name:?}: {:?}", story.run.error);
    }
    let mails = server.mails();
    assert_eq!(mails.len(), caller::NAMES.len());
    let plain = header_names(&mails[0]);
    for mail in &mails {
        assert_eq!(mail.from, "<queues@pbx.test>");
        assert_eq!(mail.to, ["<boss@office.test>", "<desk@office.test>"]);
        assert_eq!(header_names(mail), plain, "{}", mail.data);
    }
    assert_eq!(header(&mails[0], "Subject"), Some("Missed: Ada"));
    assert!(mails[0].data.ends_with("\n\nCall Ada back\n"), "{}", mails[0].data);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mail_arrives_by_its_own_message_id_though_the_server_was_frozen_and_gone() {
    let (mut server, directory) = (MailServer::start().await, TempDir::new().expect("a directory"));
    let stage = Stage::start(&directory, &flow(&server, &format!("to = ['boss@office.test'], {RETRY}")));
    let runs = endured(&stage, &mut server).await;
    let mails = server.mails();
    let found: BTreeSet<&str> = mails.iter().filter_map(|mail| header(mail, "Message-ID")).collect();
    let wanted: Vec<String> = runs.into_iter().map(|run| format!("<{}@pbx.test>", webhook_id(run))).collect();
    assert_eq!(found, wanted.iter().map(String::as_str).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_for_good_fails_the_run_and_one_that_is_busy_is_asked_again() {
    let server = MailServer::start().await;
    for (to, tries, reason) in [("refused@office.test", 1, "nobody of that name"), ("busy@office.test", 3, "not now")] {
        let directory = TempDir::new().expect("a directory");
        let stage = Stage::start(&directory, &flow(&server, &format!("to = ['{to}'], retry = ['10ms', '10ms']")));
        let run = stage.fire("f", 0, 0).await;
        let story = stage.over_with(run, RunState::Failed).await;
        assert_eq!(story.tries.len(), tries);
        assert!(story.run.error.as_ref().expect("why").contains(reason), "{:?}", story.run.error);
    }
    assert!(server.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_over_tls_is_trusted_where_its_certificate_is() {
    let directory = TempDir::new().expect("a directory");
    let card = Card::make(directory.path());
    for (scheme, encryption) in
        [("smtps", Encryption::Implicit(card.acceptor())), ("smtp", Encryption::StartTls(card.acceptor()))]
    {
        let server = MailServer::start_with(encryption).await;
        let (port, mut sent) = (server.address.port(), 0);
        for (more, is_trusted) in
            [("tls = true\nca = 'server.pem'", true), ("tls = true", false), ("tls = false", false)]
        {
            // What begins encrypted is not understood in clear, so nobody waits for that.
            let text = format!(
                "[destinations.mail]\nurl = '{scheme}://localhost:{port}'\n{more}\n[flows.f]\nsteps = [{{ email = \
                 {{ destination = 'mail', from = 'queues@pbx.test', to = ['boss@office.test'], subject = 'x', body = 'y', \
                 retry = ['100ms'], timeout = '3s' }} }}]"
            );
            let place = TempDir::new().expect("a directory");
            std::fs::copy(&card.certificate, place.path().join("server.pem")).expect("is copied");
            let (said, story) = tried(&place, &text).await;
            assert_eq!(said.is_ok(), is_trusted, "{scheme}, {more}");
            assert_eq!(story.run.state == RunState::Delivered, is_trusted, "{scheme}, {more}: {:?}", story.run.error);
            sent += usize::from(is_trusted);
            assert_eq!(server.mails().len(), sent, "{scheme}, {more}");
        }
    }
}
