//! A million runs that wait for a receiver: how they queue, how the daemon starts with them, and how they drain.
//!
//! The receiver refuses connections while they are committed, four for each attempt, and as tries fail and are repeated.
//! Its hour of absence is shortened together with the waits between tries. Then the outbox is closed and opened again, as
//! by a restart, the receiver is back, and everything drains. It checks the order within each attempt, and that nothing is
//! missing; memory is the whole process's, the receiver's books included.
//!
//! `cargo bench --bench backlog`; the outbox is below `target`, so that has to be on a real disk.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use hookswitch::moment::{EventName, Moment, Payload};
use hookswitch::outbox::{Entry, Opened, Outbox, PlannedRun, Settings};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How many moments an attempt has, each of which starts a run.
const MOMENTS: u32 = 4;

/// How many attempts are committed at once.
const AT_ONCE: usize = 64;

/// How many attempts there are, and how many where nothing is measured.
const MEASURED: u32 = 250_000;
const TRIED: u32 = 500;

/// What has arrived.
struct Books {
    /// The last number of each attempt.
    last: Mutex<Vec<u32>>,
    arrived: AtomicU64,
    repeated: AtomicU64,
    disordered: AtomicU64,
}

#[derive(Deserialize)]
struct Body {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    attempt_id: u32,
    sequence: u32,
}

/// An outbox and what works on it.
struct Daemon {
    outbox: Outbox,
    runner: JoinHandle<()>,
    end: CancellationToken,
    ending: hookswitch::outbox::Ending,
    /// How long opening took.
    opened: Duration,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> io::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let attempts = if std::env::args().any(|argument| argument == "--bench") { MEASURED } else { TRIED };
    // The port is the receiver's, who is not there yet.
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let config = config(address);
    let directory = tempfile::Builder::new().prefix("backlog").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = directory.path().join("outbox.db");

    let daemon = Daemon::open(&path, &config);
    println!("{:<44} {:>9}", "memory at the start", memory()?);
    let began = Instant::now();
    fill(&daemon.outbox, &config, 0..attempts / 10).await;
    println!("{:<44} {:>9}", format!("with {} runs", attempts / 10 * MOMENTS), memory()?);
    fill(&daemon.outbox, &config, attempts / 10..attempts).await;
    let filled = began.elapsed();
    println!("{:<44} {:>9}", format!("with {} runs", attempts * MOMENTS), memory()?);
    let rate = f64::from(attempts * MOMENTS) / filled.as_secs_f64();
    println!("{:<44} {rate:>7.0} /s", "committed, while tries fail");
    daemon.close().await;
    println!("{:<44} {:>9}", "the file", megabytes(fs::metadata(&path)?.len()));

    let books = receive(address, attempts).await?;
    let began = Instant::now();
    let daemon = Daemon::open(&path, &config);
    println!("{:<44} {:>7.2} s", "opened again in", daemon.opened.as_secs_f64());
    let most = drain(&books, u64::from(attempts * MOMENTS)).await?;
    let drained = began.elapsed();
    daemon.close().await;
    let rate = f64::from(attempts * MOMENTS) / drained.as_secs_f64();
    println!("{:<44} {rate:>7.0} /s", format!("drained in {:.0} s", drained.as_secs_f64()));
    println!("{:<44} {:>9}", "memory meanwhile at most", megabytes(most));
    let [repeated, disordered] = [&books.repeated, &books.disordered].map(|count| count.load(Ordering::Relaxed));
    println!("repeated {repeated}, out of order {disordered}");
    assert_eq!(disordered, 0, "the order within an attempt");
    let last = books.last.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(last.iter().all(|last| *last == MOMENTS), "every run has arrived");
    Ok(())
}

/// A flow whose runs are tried every ten seconds for an hour.
fn config(address: SocketAddr) -> Config {
    let waits = vec!["'10s'"; 50].join(", ");
    let text = format!("[flows.f]\nsteps = [{{ http = {{ url = 'http://{address}/', retry = [{waits}] }} }}]\n");
    Config::from_toml("backlog.toml", &text).unwrap_or_else(|problems| panic!("{problems}"))
}

impl Daemon {
    fn open(path: &Path, config: &Config) -> Self {
        let began = Instant::now();
        let Opened { outbox, runs, ending, .. } = Opened::open(&Settings::at(path)).expect("opens");
        let opened = began.elapsed();
        let client = Arc::new(Client::new(Limits::default()).expect("a client"));
        let (_, flows) = watch::channel(Arc::new(config.flows_of_runs()));
        let runner = Runner { outbox: outbox.clone(), client, nodes: Nodes::default(), flows };
        let end = CancellationToken::new();
        let runner = tokio::spawn(runner.run(runs, end.clone(), Duration::from_secs(10)));
        Self { outbox, runner, end, ending, opened }
    }

    async fn close(self) {
        self.end.cancel();
        self.runner.await.expect("ends");
        drop(self.outbox);
        self.ending.ended().await;
    }
}

/// Commits the attempts, each as one entry.
async fn fill(outbox: &Outbox, config: &Config, attempts: std::ops::Range<u32>) {
    let mut commits = JoinSet::new();
    for attempt in attempts {
        if commits.len() == AT_ONCE {
            commits.join_next().await;
        }
        let (outbox, entry) = (outbox.clone(), entry(config, attempt));
        commits.spawn(async move { outbox.commit(entry).await.map(drop).expect("commits") });
    }
    commits.join_all().await;
}

fn entry(config: &Config, attempt: u32) -> Entry {
    let key = AttemptKey {
        core: "core".into(),
        queue: "support@default".into(),
        member: "member".into(),
        session: "session".into(),
        ordinal: attempt,
    };
    let flow = config.flow("f").expect("is configured");
    let moments = (0..MOMENTS).map(|number| {
        let mut payload = Payload::sample(EventName::Missed);
        payload.id = key.hash().moment("missed", Some((&"1000@default".into(), number)));
        payload.attempt_id = Some(u64::from(attempt));
        payload.sequence = Some(number + 1);
        let id = payload.id.run("*/0", &flow.name);
        let run = PlannedRun { id, hook: "*/0".into(), flow: flow.clone(), expires_after: None };
        (Moment { attempt: key.hash(), payload }, vec![run])
    });
    Entry { moments: moments.collect(), attempts: Vec::new() }
}

/// The receiver, on a thread of its own.
async fn receive(address: SocketAddr, attempts: u32) -> io::Result<Arc<Books>> {
    let last = Mutex::new(vec![0; usize::try_from(attempts).expect("fits")]);
    let books = Arc::new(Books { last, arrived: 0.into(), repeated: 0.into(), disordered: 0.into() });
    let listener = TcpListener::bind(address).await?.into_std()?;
    let kept = books.clone();
    thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let app = Router::new().route("/", post(move |body: Bytes| async move { kept.note(&body) }));
        runtime.block_on(async { axum::serve(TcpListener::from_std(listener)?, app).await })
    });
    Ok(books)
}

impl Books {
    fn note(&self, body: &[u8]) -> StatusCode {
        let Ok(Body { data: Data { attempt_id, sequence } }) = serde_json::from_slice(body) else {
            return StatusCode::BAD_REQUEST;
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut last[usize::try_from(attempt_id).expect("fits")];
        match sequence {
            sequence if sequence == *last + 1 => {
                *last = sequence;
                self.arrived.fetch_add(1, Ordering::Relaxed);
            }
            sequence if sequence == *last => drop(self.repeated.fetch_add(1, Ordering::Relaxed)),
            _ => drop(self.disordered.fetch_add(1, Ordering::Relaxed)),
        }
        StatusCode::NO_CONTENT
    }
}

/// Waits until everything has arrived; the most memory that was used meanwhile.
async fn drain(books: &Books, all: u64) -> io::Result<u64> {
    let mut most = 0;
    while books.arrived.load(Ordering::Relaxed) < all {
        most = most.max(resident()?);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(most)
}

/// The process's memory, in bytes.
fn resident() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.unwrap_or_default() * 1_024)
}

fn memory() -> io::Result<String> {
    Ok(megabytes(resident()?))
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
