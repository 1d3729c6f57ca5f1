//! What statuses mean, where it is said, and receivers that ask for time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookswitch::outbox::RunState;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::server::{Request, Server, Wire};
use crate::stage::Stage;
use crate::{assert_delivered, assert_failed, sent};

async fn say(mut wire: Box<dyn Wire>, status: u16, lines: &'static str) {
    let _ = wire.write_all(format!("HTTP/1.1 {status} So\r\n{lines}content-length: 0\r\n\r\n").as_bytes()).await;
}

async fn answering(status: u16) -> Server {
    Server::start(move |_: Request, wire| say(wire, status, "")).await
}

#[tokio::test]
async fn a_step_and_a_receiver_say_what_is_tried_again_and_what_counts_as_success() {
    let server = answering(404).await;
    let receiver = |keys: &str| format!("[delivery.receivers.'http://{}']\n{keys}\n", server.address);
    let step = |keys: &str| format!("url = '{}', retry = ['10ms'], {keys}", server.url());
    assert_failed(&sent("", &step("")).await, 1, "404");
    assert_failed(&sent("", &step("retry_on = [404, '5xx']")).await, 2, "404");
    assert_delivered(&sent("", &step("success = ['2xx', '404-410']")).await);
    assert_failed(&sent(&receiver("retry_on = ['4xx']"), &step("")).await, 2, "404");
    assert_delivered(&sent(&receiver("success = [404]"), &step("")).await);
    assert_failed(&sent(&receiver("success = [404]"), &step("retry_on = [404]")).await, 2, "404");
    let accepted = answering(202).await;
    let step = format!("url = '{}', retry = ['10ms'], success = [200]", accepted.url());
    assert_failed(&sent("", &step).await, 1, "none of the statuses that count as success");
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it_from_all_that_goes_to_it() {
    for (hold_on, is_held) in [("hold_on = [429, 503]", true), ("", true), ("hold_on = []", false)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let server = Server::start(move |_: Request, wire| {
            let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let (status, lines) = if is_first { (503, "retry-after: 3\r\n") } else { (204, "") };
            say(wire, status, lines)
        })
        .await;
        let directory = TempDir::new().expect("a directory");
        let text = format!(
            "[delivery.receivers.'http://{}']\n{hold_on}\n[flows.f]\nsteps = [{{ http = {{ url = '{}', retry = ['10ms'] }} }}]",
            server.address,
            server.url()
        );
        let stage = Stage::start(&directory, &text);
        let first = stage.fire("f", 0, 0).await;
        let first_story = stage.until(first, |story| !story.tries.is_empty()).await;
        let second = stage.fire("f", 1, 0).await;
        let (story, first) = (stage.over(second).await, stage.over(first).await);
        assert_eq!((story.run.state, first.run.state), (RunState::Delivered, RunState::Delivered));
        assert_eq!(story.tries.len(), 1, "what was deferred has cost no try");
        let waited = story.tries[0].started_at.0.duration_since(first_story.tries[0].started_at.0);
        assert_eq!(waited >= Duration::from_millis(2_900).try_into().expect("fits"), is_held, "{hold_on}: {waited}");
    }
}
