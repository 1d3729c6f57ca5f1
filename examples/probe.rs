//! Temporary.
use hookswitch::{
    config::{Config, queue::QueueSettings},
    esl::Event,
    lifecycle::{Effects, Lifecycle},
};
use std::sync::Arc;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let data = bytes::Bytes::from(std::fs::read(&path).unwrap());
    let config =
        Arc::new(Config { default_queue: Arc::new(QueueSettings { processing: Some(true), ..Default::default() }) });
    let mut life = Lifecycle::new("fs1".into(), config);
    let mut pos = 0;
    let mut out = |effects: &mut Effects| {
        for m in effects.moments.drain(..) {
            println!("{}", serde_json::to_string(&m.payload).unwrap())
        }
    };
    let mut effects = Effects::default();
    while let Some(end) = data[pos..].windows(2).position(|w| w == b"\n\n") {
        let head = String::from_utf8_lossy(&data[pos..pos + end]).into_owned();
        let len: usize =
            head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).map_or(0, |l| l.parse().unwrap());
        let start = pos + end + 2;
        if start + len > data.len() {
            break;
        }
        let body = data.slice(start..start + len);
        pos = start + len;
        let event = if head.contains("text/event-plain") {
            Event::from_plain(body)
        } else if head.contains("text/event-json") {
            Event::from_json(&body).unwrap()
        } else {
            continue;
        };
        life.handle_event(&event, &mut effects);
        out(&mut effects);
    }
    life.finish(&mut effects);
    out(&mut effects);
    eprintln!("{} open; {:?}", life.live(), life.anomalies().iter().collect::<Vec<_>>());
}
