//! `check --connect`, against a simulated FreeSWITCH.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use crate::process::{Place, tells};

/// What the command prints, and its exit code.
async fn check(place: &Place) -> (String, Option<i32>) {
    let mut command = place.command(&["check", "--connect"]);
    let done = tokio::task::spawn_blocking(move || command.output().expect("runs")).await.expect("ends");
    (String::from_utf8(done.stdout).expect("UTF-8"), done.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_version_and_queues_and_which_queue_is_not_there() {
    let place = Place::new().await;
    place.write(&tells("x"));
    let (said, code) = check(&place).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("FreeSWITCH"), "{said}");
    assert!(said.contains("support@default"), "{said}");
    place.write(&format!("{}[queues.\"suport@default\"]\n", tells("x")));
    let (said, code) = check(&place).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("No FreeSWITCH has the queue `suport@default`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_whether_the_outbox_can_be_used() {
    let place = Place::new().await;
    place.write(&tells("x"));
    let (said, code) = check(&place).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is made at the first start") && !place.outbox().exists(), "{said}");
    let mut daemon = place.run();
    daemon.says("FreeSWITCH is connected");
    let (said, code) = check(&place).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("MB left"), "{said}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends().0, Some(0));
    fs::write(place.outbox(), "this is no database".repeat(1_000)).expect("writes");
    let (said, code) = check(&place).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("can't open the outbox") && said.contains("not a database"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_why_there_is_no_connection_and_what_to_do() {
    let place = Place::new().await;
    place.write("");
    let text = fs::read_to_string(place.config()).expect("reads");
    fs::write(place.config(), text.replace("password = \"ClueCon\"", "password = \"wrong\"")).expect("writes");
    let (said, code) = check(&place).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("refused the password") && said.contains("event_socket.conf.xml"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_which_destination_can_not_be_reached() {
    let place = Place::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    for scheme in ["smtp", "postgres", "nats", "amqp"] {
        place.write(&format!("{}[destinations.there]\nurl = '{scheme}://127.0.0.1:{port}'\n", tells("x")));
        let (said, code) = check(&place).await;
        assert_eq!(code, Some(1), "{said}");
        let line = said.lines().find(|line| line.starts_with("there (")).unwrap_or_else(|| panic!("{said}"));
        assert!(line.to_lowercase().contains("refused"), "{line}");
        assert!(said.contains("support@default"), "the rest is told too: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_file_that_everybody_may_read_is_told() {
    let place = Place::new().await;
    place.write(&tells("x"));
    let told = "may be read by everybody";
    for (mode, is_told) in [(0o644, true), (0o640, false)] {
        fs::set_permissions(place.config(), fs::Permissions::from_mode(mode)).expect("sets");
        let (said, _) = check(&place).await;
        assert_eq!(said.contains(told), is_told, "{said}");
    }
    fs::set_permissions(place.config(), fs::Permissions::from_mode(0o644)).expect("sets");
    place.run().says(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_with_a_secret_that_everybody_may_read_is_told_of() {
    let place = Place::new().await;
    let file = |name: &str| place.directory.path().join(name);
    fs::write(file("esl"), "ClueCon").expect("writes");
    let further = |rest: &str| {
        fs::create_dir_all(file("conf.d")).expect("makes");
        fs::write(file("conf.d/further.toml"), rest).expect("writes");
        fs::set_permissions(file("conf.d/further.toml"), fs::Permissions::from_mode(0o644)).expect("sets");
    };
    place.write(&tells("x"));
    let text = fs::read_to_string(place.config()).expect("reads");
    fs::write(place.config(), text.replace("\"ClueCon\"", "{ file = \"esl\" }")).expect("writes");
    let checked = || {
        let done = place.command(&["check"]).output().expect("runs");
        (String::from_utf8(done.stdout).expect("UTF-8"), done.status.code())
    };
    for (mode, is_told) in [(0o644, true), (0o600, false)] {
        fs::set_permissions(file("esl"), fs::Permissions::from_mode(mode)).expect("sets");
        let (said, code) = checked();
        assert_eq!((code, said.contains("/esl holds a secret")), (Some(0), is_told), "{said}");
    }
    let flow = |step: &str| format!("[flows.g]\nsteps = [{{ http = {{ {step} }} }}]\n");
    for secret in [
        flow("url = 'http://me:geheim@crm.example/'"),
        flow("url = 'https://crm.example/?sig=geheim&x=1'"),
        flow("url = 'https://hooks.slack.com/services/T/B/geheim'"),
        flow("url = 'https://crm.example/', headers = { x-functions-key = 'geheim' }"),
        flow("url = 'https://crm.example/', headers = { authorization = 'Bearer geheim' }"),
        "[secrets]\ncrm = 'geheim'\n".to_owned(),
        "[delivery.receivers.'https://crm.example']\nproxy = 'http://me:geheim@proxy.example'\n".to_owned(),
        "[destinations.db]\nurl = 'postgres://me@db.example'\npassword = 'geheim'\n".to_owned(),
    ] {
        further(&secret);
        let (said, code) = checked();
        assert_eq!((code, said.contains("further.toml holds a secret")), (Some(0), true), "{secret}{said}");
        assert!(!said.contains("geheim"), "{said}");
    }
    for no_secret in [
        flow("url = 'https://crm.example/?sig={{ variables.sig }}', headers = { authorization = 'Bearer {{ variables.t }}' }"),
        flow("url = 'https://crm.example/calls', headers = { x-room = '17' }"),
        "[secrets]\ncrm = { file = 'esl' }\n".to_owned()
            + &flow("url = 'https://me:{{ secret.crm }}@crm.example/{{ secret.crm }}', headers = { authorization = 'Bearer {{ secret.crm }}' }")
                .replace("me:{{ secret.crm }}@", ""),
        "[destinations.db]\nurl = 'postgres://me@db.example'\npassword = { file = 'esl' }\n".to_owned(),
        "[destinations.db]\nurl = 'postgres://me:{{ secret.db }}@db.example'\n[secrets]\ndb = { file = 'esl' }\n".to_owned(),
    ] {
        further(&no_secret);
        let (said, code) = checked();
        assert_eq!((code, said.contains("further.toml holds a secret")), (Some(0), false), "{no_secret}{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_environment_is_read_as_one_of_a_file() {
    let place = Place::new().await;
    place.write("[delivery.receivers.'https://crm.example']\nbasic = { user = 'me', password = { env = 'CRM' } }\n");
    for (secret, expected) in [("geheim\n", Some(0)), ("geheim\r\n", Some(0)), ("ge\nheim", Some(2)), ("\n", Some(2))] {
        let mut command = place.command(&["check"]);
        let done = command.env("CRM", secret).output().expect("runs");
        let said = String::from_utf8(done.stdout).expect("UTF-8");
        assert_eq!(done.status.code(), expected, "{secret:?}: {said}");
        assert!(!said.contains("geheim") && !said.contains("heim\""), "{said}");
    }
}
