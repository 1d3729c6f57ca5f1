//! Receivers that want to know who comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::server::{Request, Server, Wire};
use crate::stage::Stage;
use crate::{assert_delivered, assert_failed, sent};

async fn say(mut wire: Box<dyn Wire>, status: &'static str, body: String) {
    let length = body.len();
    let _ = wire.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes()).await;
}

/// A receiver that takes what carries this.
async fn guarded(authorization: impl Fn(&str) -> bool + Send + Sync + Clone + 'static) -> Server {
    Server::start(move |request: Request, wire| {
        let is_known = request.header("authorization").is_some_and(&authorization);
        say(wire, if is_known { "200 OK" } else { "401 Unauthorized" }, String::new())
    })
    .await
}

fn step(server: &Server) -> String {
    format!("url = '{}', timeout = '5s', retry = ['10ms', '10ms']", server.url())
}

#[tokio::test]
async fn a_user_or_a_bearer_is_known_to_the_receiver_and_to_no_log() {
    // `Aladdin` and `open sesame`: the example of RFC 7617.
    let basic = guarded(|value| value == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").await;
    let settings = format!(
        "[delivery.receivers.'http://{}']\nbasic = {{ user = 'Aladdin', password = 'open sesame' }}",
        basic.address
    );
    let story = sent(&settings, &step(&basic)).await;
    assert_delivered(&story);
    let told = format!("{:?}", story.tries);
    assert!(told.contains("authorization") && !told.contains("QWxhZGRpbjpvcGVuIHNlc2FtZQ"), "{told}");

    let bearer = guarded(|value| value == "Bearer geheim-17").await;
    let settings = format!("[delivery.receivers.'http://{}']\nbearer = 'geheim-17'", bearer.address);
    let story = sent(&settings, &step(&bearer)).await;
    assert_delivered(&story);
    assert!(!format!("{:?}", story.tries).contains("geheim"));
    // Another receiver is not told.
    let other = guarded(|_| true).await;
    assert_failed(&sent(&settings, &step(&other)).await, 1, "401 Unauthorized");
    assert_eq!(other.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_is_refused() {
    let given = Arc::new(AtomicUsize::new(0));
    let tokens = Server::start({
        let given = Arc::clone(&given);
        move |_, wire| {
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            say(
                wire,
                "200 OK",
                format!(r#"{{"access_token":"token-{number}","token_type":"bearer","expires_in":3600}}"#),
            )
        }
    })
    .await;
    let receiver = guarded(|value| value == "Bearer token-2").await;
    let settings = format!(
        "[delivery.receivers.'http://{}']\noauth2 = {{ token_url = '{}', client_id = 'us', client_secret = 'geheim', \
         scope = 'calls' }}",
        receiver.address,
        tokens.url()
    );
    let story = sent(&settings, &step(&receiver)).await;
    assert_delivered(&story);
    assert_eq!((story.tries.len(), given.load(Ordering::SeqCst)), (2, 2), "the first token is refused");
    let asked = &tokens.requests()[0];
    assert_eq!(asked.header("authorization"), Some("Basic dXM6Z2VoZWlt"), "us:geheim");
    assert_eq!(String::from_utf8_lossy(&asked.body), "grant_type=client_credentials&scope=calls");
    assert!(!format!("{:?}", story.tries).contains("token-"), "no log has a token");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_reason_is_told() {
    let receiver = guarded(|_| true).await;
    for (status, body, reason) in [
        ("403 Forbidden", "", "no access token from 127.0.0.1: 403 Forbidden"),
        ("200 OK", "<html>", "the answer has no `access_token`"),
    ] {
        let tokens = Server::start(move |_, wire| say(wire, status, body.to_owned())).await;
        let settings = format!(
            "[delivery.receivers.'http://{}']\noauth2 = {{ token_url = '{}', client_id = 'us', client_secret = 'x' }}",
            receiver.address,
            tokens.url()
        );
        assert_failed(&sent(&settings, &step(&receiver)).await, 3, reason);
    }
    assert!(receiver.requests().is_empty());
}

fn with_tokens(receiver: &Server, tokens: &Server) -> String {
    format!(
        "[delivery.receivers.'http://{}']\noauth2 = {{ token_url = '{}', client_id = 'us', client_secret = 'x' }}\n",
        receiver.address,
        tokens.url()
    )
}

/// Does so many runs of one step at once. Gives their ends.
async fn at_once(runs: u32, settings: &str, step: &str) -> Vec<hookswitch::outbox::deliveries::Story> {
    let directory = TempDir::new().expect("a directory");
    let stage = Stage::start(&directory, &format!("{settings}[flows.f]\nsteps = [{{ http = {{ {step} }} }}]"));
    let mut fired = Vec::new();
    for attempt in 0..runs {
        fired.push(stage.fire("f", attempt, 0).await);
    }
    let mut stories = Vec::new();
    for run in fired {
        stories.push(stage.over(run).await);
    }
    stories
}

#[tokio::test]
async fn a_token_that_never_comes_takes_each_try_its_own_time_and_no_more() {
    let receiver = guarded(|_| true).await;
    let tokens = Server::start(|_, wire| async move {
        sleep(Duration::from_secs(120)).await;
        drop(wire);
    })
    .await;
    let step = format!("url = '{}', timeout = '1s', retry = ['10ms']", receiver.url());
    let begun = Instant::now();
    let stories = at_once(10, &with_tokens(&receiver, &tokens), &step).await;
    for story in stories {
        assert_failed(&story, 2, "it took too long: no access token within 1s");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "one behind the other it takes 20 s: {:?}", begun.elapsed());
    assert!(receiver.requests().is_empty() && tokens.requests().len() <= 2);
}

#[tokio::test]
async fn all_who_wait_for_a_token_share_what_comes_of_the_one_request() {
    let receiver = guarded(|_| true).await;
    for (status, body, is_given) in
        [("200 OK", r#"{"access_token":"token","expires_in":3600}"#, true), ("500 Oh", "", false)]
    {
        let tokens = Server::start(move |_, wire| async move {
            sleep(Duration::from_secs(2)).await;
            say(wire, status, body.to_owned()).await;
        })
        .await;
        let step = format!("url = '{}', timeout = '30s', retry = []", receiver.url());
        for story in at_once(10, &with_tokens(&receiver, &tokens), &step).await {
            match is_given {
                true => assert_delivered(&story),
                false => assert_failed(&story, 1, "no access token from 127.0.0.1: 500"),
            }
        }
        assert_eq!(tokens.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_token_that_one_no_longer_waits_for_comes_for_the_next() {
    let receiver = guarded(|value| value == "Bearer late").await;
    let tokens = Server::start(|_, wire| async move {
        sleep(Duration::from_millis(2_500)).await;
        say(wire, "200 OK", r#"{"access_token":"late"}"#.to_owned()).await;
    })
    .await;
    let step = format!("url = '{}', timeout = '1s', retry = ['2500ms']", receiver.url());
    let stories = at_once(1, &with_tokens(&receiver, &tokens), &step).await;
    assert_delivered(&stories[0]);
    assert_eq!((stories[0].tries.len(), tokens.requests().len()), (2, 1));
}

#[tokio::test]
async fn a_request_is_signed_when_it_goes_out_and_not_when_its_token_is_asked_for() {
    let receiver = guarded(|_| true).await;
    let tokens = Server::start(|_, wire| async move {
        sleep(Duration::from_millis(2_500)).await;
        say(wire, "200 OK", r#"{"access_token":"late"}"#.to_owned()).await;
    })
    .await;
    let begun = jiff::Timestamp::now().as_second();
    let step = format!("url = '{}', timeout = '30s', retry = []", receiver.url());
    assert_delivered(&at_once(1, &with_tokens(&receiver, &tokens), &step).await[0]);
    let signed: i64 = receiver.requests()[0].header("webhook-timestamp").expect("a time").parse().expect("seconds");
    assert!(signed >= begun + 2, "{begun} {signed}");
}

#[tokio::test]
async fn a_token_is_understood_however_its_answer_is_written() {
    let receiver = guarded(|value| value == "Bearer token").await;
    for (answer, is_given) in [
        (r#"{"access_token":"token","expires_in":"3600"}"#, true),
        (r#"{"access_token":"token","expires_in":3600.5}"#, true),
        (r#"{"access_token":"token","expires_in":0}"#, true),
        (r#"{"access_token":"token","expires_in":-1}"#, true),
        (r#"{"access_token":"token","expires_in":99999999999999999999999}"#, true),
        ("\u{feff}{\"access_token\":\"token\"}", true),
        (r#"{"access_token":""}"#, false),
        (r#"{"access_token":"to ken"}"#, false),
        (r#"{"access_token":"token""#, false),
        ("<html>", false),
    ] {
        let tokens = Server::start(move |_, wire| say(wire, "200 OK", answer.to_owned())).await;
        let step = format!("url = '{}', retry = []", receiver.url());
        let stories = at_once(1, &with_tokens(&receiver, &tokens), &step).await;
        match is_given {
            true => assert_delivered(&stories[0]),
            false => assert_failed(&stories[0], 1, "no access token from 127.0.0.1"),
        }
    }
}
