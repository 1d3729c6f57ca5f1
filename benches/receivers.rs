//! Ten receivers, one of which takes connections and never answers: what that costs the other nine.
//!
//! Each moment starts a flow for each receiver. Rounds with nine receivers, and with nine and the dead one, take turns; in
//! each, the times from the commit's begin to the request's arrival at a receiver that is well are taken. The aim is a 99th
//! percentile within 1.2 times of that without the dead one.
//!
//! `cargo bench --bench receivers`; the outbox is below `target`, so that has to be on a real disk.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use hookswitch::config::Config;
use hookswitch::delivery::{Client, Limits};
use hookswitch::esl::Nodes;
use hookswitch::flow::Runner;
use hookswitch::id::AttemptKey;
use hookswitch::moment::value::Time;
use hookswitch::moment::{EventName, Moment, Payload};
use hookswitch::outbox::{Entry, Opened, Outbox, PlannedRun, Settings};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How many receivers are well.
const WELL: usize = 9;

/// How many moments a second there are: ten runs each, a tenth of what one daemon can do.
const RATE: u32 = 80;

/// How many moments a round has, measured and where nothing is.
const MEASURED: u32 = 15 * RATE;
const TRIED: u32 = 20;

/// How many rounds there are of each kind, measured and where nothing is.
const ROUNDS: usize = 7;

/// When each moment was committed, and how long each webhook was under way.
#[derive(Default)]
struct Times {
    begun: Mutex<Vec<Instant>>,
    taken: Mutex<Vec<Duration>>,
}

#[derive(Deserialize)]
struct Body {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    attempt_id: usize,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    let (moments, rounds) = if is_measured { (MEASURED, ROUNDS) } else { (TRIED, 1) };
    // It takes connections, as a machine does whose program hangs, and nobody reads from them.
    let dead = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut ratios = Vec::new();
    println!("{:>5}  {:>22}  {:>22}  {:>6}", "round", "nine: p50, p99", "and a dead one", "p99");
    for round in 0..rounds {
        // Who comes first changes, so that what grows with time harms both.
        let mut figures = [[Duration::ZERO; 2]; 2];
        for with_dead in if round % 2 == 0 { [false, true] } else { [true, false] } {
            figures[usize::from(with_dead)] = measure(moments, with_dead.then_some(dead.local_addr()?)).await?;
        }
        let [[p50, p99], [p50_dead, p99_dead]] = figures.map(|pair| pair.map(|time| time.as_secs_f64() * 1_000.0));
        let ratio = p99_dead / p99;
        println!("{round:>5}  {p50:>8.2} {p99:>8.2} ms  {p50_dead:>8.2} {p99_dead:>8.2} ms  {ratio:>6.2}");
        ratios.push(ratio);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    println!("the median ratio of the 99th percentiles is {:.2}, and the aim 1.2", ratios[ratios.len() / 2]);
    Ok(())
}

/// One round: the median and the 99th percentile.
async fn measure(moments: u32, dead: Option<SocketAddr>) -> std::io::Result<[Duration; 2]> {
    let times = Arc::new(Times::default());
    let receiver = receive(Arc::clone(&times)).await?;
    let config = config(&receiver, dead);
    let directory = tempfile::Builder::new().prefix("receivers").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let wanted = usize::try_from(moments).expect("fits") * WELL;
    fire(&directory.path().join("outbox.db"), &config, &times, moments, wanted).await;
    let mut taken = times.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(taken.len(), wanted, "every webhook has arrived once");
    taken.sort_unstable();
    Ok([taken[taken.len() / 2], taken[taken.len() * 99 / 100]])
}

/// A flow for each receiver.
fn config(well: &[SocketAddr], dead: Option<SocketAddr>) -> Config {
    let flow = |(number, address): (usize, &SocketAddr)| {
        format!("[flows.f{number}]\nsteps = [{{ http = {{ url = 'http://{address}/' }} }}]\n")
    };
    let text: String = well.iter().chain(&dead).enumerate().map(flow).collect();
    Config::from_toml("receivers.toml", &text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Commits the moments at their rate, and waits until everything has arrived that can.
async fn fire(path: &Path, config: &Config, times: &Times, moments: u32, wanted: usize) {
    let Opened { outbox, runs, ending, .. } = Opened::open(&Settings::at(path)).expect("opens");
    let client = Arc::new(Client::new(Limits::default()).expect("a client"));
    let (_, flows) = watch::channel(Arc::new(config.flows_of_runs()));
    let (runner, end) =
        (Runner { outbox: outbox.clone(), client, nodes: Nodes::default(), flows }, CancellationToken::new());
    let runner = tokio::spawn(runner.run(runs, end.clone(), Duration::ZERO));
    let mut clock = tokio::time::interval(Duration::from_secs(1) / RATE);
    for attempt in 0..moments {
        clock.tick().await;
        times.begun.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        commit(&outbox, entry(config, attempt));
    }
    while times.taken.lock().unwrap_or_else(PoisonError::into_inner).len() < wanted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    end.cancel();
    runner.await.expect("ends");
    drop(outbox);
    ending.ended().await;
}

fn commit(outbox: &Outbox, entry: Entry) {
    let outbox = outbox.clone();
    tokio::spawn(async move { outbox.commit(entry).await.map(drop).expect("commits") });
}

fn entry(config: &Config, attempt: u32) -> Entry {
    let key = AttemptKey {
        core: "core".into(),
        queue: "support@default".into(),
        member: "member".into(),
        session: "session".into(),
        ordinal: attempt,
    };
    let mut payload = Payload::sample(EventName::Missed);
    payload.id = key.hash().moment("missed", None);
    payload.attempt_id = Some(u64::from(attempt));
    payload.timestamp = Time(Timestamp::now());
    let run = |flow: &Arc<hookswitch::flow::Flow>| PlannedRun {
        id: payload.id.run(&format!("*/{}", flow.name), &flow.name),
        hook: format!("*/{}", flow.name),
        flow: flow.clone(),
        expires_after: None,
    };
    let runs = config.flows().map(run).collect();
    Entry { moments: vec![(Moment { attempt: key.hash(), payload }, runs)], attempts: Vec::new() }
}

/// The receivers that are well, on a thread of their own.
async fn receive(times: Arc<Times>) -> std::io::Result<Vec<SocketAddr>> {
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..WELL {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        addresses.push(listener.local_addr()?);
        listeners.push(listener.into_std()?);
    }
    thread::spawn(move || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut servers = tokio::task::JoinSet::new();
            for listener in listeners {
                let times = Arc::clone(&times);
                let app = Router::new().route("/", post(move |body: Bytes| async move { times.note(&body) }));
                let listener = TcpListener::from_std(listener)?;
                servers.spawn(async move { axum::serve(listener, app).await });
            }
            servers.join_all().await;
            Ok(())
        })
    });
    Ok(addresses)
}

impl Times {
    fn note(&self, body: &[u8]) -> StatusCode {
        let now = Instant::now();
        let Ok(Body { data: Data { attempt_id } }) = serde_json::from_slice(body) else {
            return StatusCode::BAD_REQUEST;
        };
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner)[attempt_id];
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(now - begun);
        StatusCode::NO_CONTENT
    }
}
