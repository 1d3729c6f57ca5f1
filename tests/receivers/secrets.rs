//! Secrets in addresses and headers: they are sent as they are, and no record has them.

use std::fs;

use hookswitch::outbox::deliveries::Story;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::sent_from;
use crate::server::{Request, Server, Wire};

/// Answers with an error that has all of the request in it, and leads on to where it has come from.
async fn echo(request: Request, mut wire: Box<dyn Wire>) {
    let path = request.line().split(' ').nth(1).unwrap_or_default().to_owned();
    let head = &request.head;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://me:x17x17@else.example{path}\r\ncontent-length: {}\r\n\r\n{head}",
        head.len()
    );
    let _ = wire.write_all(answer.as_bytes()).await;
}

fn assert_masked(story: &Story, secrets: &[&str]) {
    let told = format!("{:?} {:?}", story.run, story.tries);
    assert_eq!(story.tries.len(), 1, "{told}");
    for secret in secrets {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
}

#[tokio::test]
async fn a_url_that_is_a_secret_as_a_whole_is_sent_to_and_shown_by_its_host_alone() {
    let server = Server::start(echo).await;
    let directory = TempDir::new().expect("a directory");
    let url = format!("http://{}/workflows/geheim-17?room=hidden18", server.address);
    fs::write(directory.path().join("url"), format!("{url}\n")).expect("is written");
    let story = sent_from(&directory, "", "url = { file = 'url' }, retry = []").await;
    assert_eq!(server.requests()[0].line(), "POST /workflows/geheim-17?room=hidden18 HTTP/1.1");
    assert_masked(&story, &["geheim-17", "hidden18", "x17x17"]);
    let request = story.tries[0].request.as_ref().expect("was sent");
    assert_eq!(request.url, format!("http://{}/***", server.address));
}

#[tokio::test]
async fn a_secret_can_be_any_part_of_an_address_and_of_a_header() {
    let server = Server::start(echo).await;
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("token"), "T01/B02:geheim=1&2?").expect("is written");
    fs::write(directory.path().join("password"), "ge@he/im:3\r\n").expect("is written");
    let settings = "[secrets]\ntoken = { file = 'token' }\npassword = { file = 'password' }\n";
    let step = format!(
        "url = 'http://me:{{{{ secret.password }}}}@{}/services/{{{{secret.token}}}}/x?q={{{{ secret.token }}}}&n={{{{ member_number }}}}', \
         headers = {{ x-room = 'a {{{{ secret.token }}}} b' }}, retry = []",
        server.address
    );
    let story = sent_from(&directory, settings, &step).await;
    let request = &server.requests()[0];
    let token = "T01/B02:geheim%3D1%262%3F";
    assert!(request.line().starts_with(&format!("POST /services/{token}/x?q={token}&n=4")), "{}", request.line());
    assert_eq!(request.header("x-room"), Some("a T01/B02:geheim=1&2? b"));
    // `me:ge@he/im:3`
    assert_eq!(request.header("authorization"), Some("Basic bWU6Z2VAaGUvaW06Mw=="));
    assert_masked(&story, &["geheim", "ge%40he", "ge@he", "bWU6Z2V"]);
}

#[tokio::test]
async fn what_looks_like_a_secret_is_masked_though_nobody_says_that_it_is_one() {
    let server = Server::start(echo).await;
    let directory = TempDir::new().expect("a directory");
    let step = format!(
        "url = 'http://geheim-1@{}/hooks/geheim2geheim2geheim2?sig=geheim-3&code=geheim-4&key=geheim-5&room=1', \
         headers = {{ x-functions-key = 'geheim-6', x-signature = 'geheim-7', x-auth-user = 'geheim-8', private-key = 'geheim-9' }}, \
         retry = []",
        server.address
    );
    let story = sent_from(&directory, "", &step).await;
    assert_masked(&story, &["geheim"]);
    let request = story.tries[0].request.as_ref().expect("was sent");
    assert!(request.url.ends_with("/hooks/***?sig=***&code=***&key=***&room=1"), "{}", request.url);
    assert_eq!(server.requests()[0].header("x-auth-user"), Some("geheim-8"));
}

#[tokio::test]
async fn what_a_body_names_as_a_secret_is_masked_where_it_comes_back() {
    let server = Server::start(|request: Request, mut wire: Box<dyn Wire>| async move {
        let body = String::from_utf8_lossy(&request.body).replace('/', r"\/");
        let cut = format!("{body}{}{}", ".".repeat(4_096 - body.len() - 8), "geheim-1".repeat(2));
        let answer = format!("HTTP/1.1 400 No\r\ncontent-length: {}\r\n\r\n{cut}", cut.len());
        let _ = wire.write_all(answer.as_bytes()).await;
    })
    .await;
    for body in [
        "json = { login = { password = 'geheim-1' }, api_keys = ['gehe/im-2'], room = 'blue' }",
        "form = { password = 'geheim-1', token = 'geheim-2', room = 'blue' }",
    ] {
        let directory = TempDir::new().expect("a directory");
        let story = sent_from(&directory, "", &format!("url = '{}', {body}, retry = []", server.url())).await;
        assert_masked(&story, &["geheim-", r"gehe\/im-2", r"gehe\\/im-2", "gehei"]);
        assert!(story.tries[0].response.as_ref().is_some_and(|answer| answer.body.contains("blue")));
    }
}

#[tokio::test]
async fn where_an_answer_leads_is_told_without_secrets() {
    for to in
        ["//me:geheim@else.example/x", r"\\\\me:geheim@else.example/x", "/x#access_token=geheim", "/x;token=geheim"]
    {
        let server = Server::start(move |_, mut wire: Box<dyn Wire>| async move {
            let answer = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            let _ = wire.write_all(answer.as_bytes()).await;
        })
        .await;
        let directory = TempDir::new().expect("a directory");
        let story = sent_from(&directory, "", &format!("url = '{}', retry = []", server.url())).await;
        assert_masked(&story, &["geheim"]);
        assert!(story.run.error.as_deref().is_some_and(|error| error.contains("/x")), "{:?}", story.run.error);
    }
}
