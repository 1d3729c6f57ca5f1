//! What the page costs where much is under way and much is kept: with ten thousand live attempts and a million runs of
//! today, all told over HTTP and committed as any, and a daemon that has just been started again.
//!
//! Printed are each page's size and time, fifty times in turns while calls go on, and how long the first page after the
//! start takes. The aims are 100 KB and 100 ms for the first page.
//!
//! `cargo bench --bench page`; the outbox is below `target`, so that has to be on a real disk.

#[path = "teller/mod.rs"]
mod teller;

use std::sync::Arc;
use std::time::Duration;

use hookswitch::config::Config;
use hookswitch::daemon::Daemon;
use teller::{STORY, Teller};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many attempts have been told to their end, each of which began four runs; measured and where nothing is.
const OVER: [u32; 2] = [250_000, 1_000];

/// How many attempts are live.
const LIVE: [u32; 2] = [10_000, 50];

/// How often each page is loaded.
const LOADS: [usize; 2] = [50, 2];

/// How many tell at once.
const TELLERS: u32 = 50;

/// How many queues there are.
const QUEUES: u32 = 20;

/// How many attempts a second begin and end while pages are loaded: each has five moments.
const PACE: u32 = 10;

/// The pages, the first of all first.
const PAGES: [&str; 8] = [
    "/queues",
    "/queues/chat3",
    "/queues/chat3/live",
    "/live",
    "/deliveries",
    "/deliveries?number=77",
    "/flows",
    "/agents",
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let size = usize::from(!std::env::args().any(|argument| argument == "--bench"));
    let directory =
        tempfile::Builder::new().prefix("page").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let queues: String = (0..QUEUES)
        .map(|queue| {
            let hook = |event: &str| format!("{{ event = \"{event}\", flow = \"tell\" }}");
            let hooks = ["joined", "offering", "bridged", "leaving"].map(hook).join(", ");
            format!("[queues.chat{queue}]\nsource = \"api\"\nhooks = [{hooks}]\n")
        })
        .collect();
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\nrate = 1000000\n{queues}\n\
         [flows.tell]\nsteps = [{{ log = {{ message = \"{{{{ attempt_id }}}}\", level = \"debug\" }} }}]\n\
         [[freeswitch]]\nname = \"fs1\"\naddress = \"127.0.0.1:1\"\npassword = \"none\"\n[outbox]\npath = {:?}\n",
        directory.path().join("outbox.db")
    );
    let config = Arc::new(Config::from_toml("page.toml", &text).unwrap_or_else(|problems| panic!("{problems}")));

    let daemon = Daemon::start(config.clone(), None).expect("starts");
    let address = daemon.http_address().expect("listens").to_string();
    let began = Instant::now();
    tell_all(&address, "over", OVER[size], STORY.len()).await;
    // Half of those that are live are being offered to an agent.
    tell_all(&address, "waiting", LIVE[size] / 2, 0).await;
    tell_all(&address, "offered", LIVE[size] - LIVE[size] / 2, 1).await;
    println!("{} attempts told in {:.0} s", OVER[size] + LIVE[size], began.elapsed().as_secs_f64());
    daemon.stop().await;

    let began = Instant::now();
    let daemon = Daemon::start(config, None).expect("starts again");
    let address = daemon.http_address().expect("listens").to_string();
    println!("started again in {} ms", began.elapsed().as_millis());
    let mut teller = Teller::connect(&address).await;
    let began = Instant::now();
    let mut page = teller.load(PAGES[0]).await;
    println!("the first page: {:.1} KB, {} after it was asked for", page.len() as f64 / 1e3, millis(began.elapsed()));
    while page.contains("still being read") {
        tokio::time::sleep(Duration::from_millis(10)).await;
        page = teller.load(PAGES[0]).await;
    }
    println!("today's figures are whole after {}\n", millis(began.elapsed()));
    let answered = format!("<td class=\"n\">{}</td>", OVER[size] / QUEUES);
    let answered = page.matches(&answered.replace("12500", "12\u{202f}500")).count();
    assert_eq!(answered, QUEUES as usize, "as many were answered in each queue as were told");
    let going_on = tokio::spawn(go_on(address.clone()));
    let mut times = vec![Vec::new(); PAGES.len()];
    let mut sizes = [0; PAGES.len()];
    for _ in 0..LOADS[size] {
        for (page, path) in PAGES.iter().enumerate() {
            let began = Instant::now();
            sizes[page] = teller.load(path).await.len();
            times[page].push(began.elapsed());
        }
    }
    going_on.abort();
    println!("{:<24} {:>9} {:>10} {:>10}", "page", "size", "median", "slowest");
    for ((path, mut times), size) in PAGES.iter().zip(times).zip(sizes) {
        times.sort_unstable();
        let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{path:<24} {:>6.1} KB {:>10} {:>10}", size as f64 / 1e3, millis(median), millis(slowest));
    }
    daemon.stop().await;
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Tells so many attempts, each up to that step.
async fn tell_all(address: &str, kind: &'static str, count: u32, steps: usize) {
    let mut tellers = JoinSet::new();
    for first in 0..TELLERS {
        let address = address.to_owned();
        tellers.spawn(async move {
            let mut teller = Teller::connect(&address).await;
            for number in (first..count).step_by(TELLERS as usize) {
                tell(&mut teller, &format!("{kind}-{number}"), number, steps).await;
            }
        });
    }
    while let Some(told) = tellers.join_next().await {
        told.expect("is told");
    }
}

/// Begins and ends attempts until it is ended.
async fn go_on(address: String) {
    let mut teller = Teller::connect(&address).await;
    let mut clock = tokio::time::interval(Duration::from_secs(1) / PACE);
    for number in 0.. {
        clock.tick().await;
        tell(&mut teller, &format!("now-{number}"), number, STORY.len()).await;
    }
}

async fn tell(teller: &mut Teller, key: &str, number: u32, steps: usize) {
    let path = format!("/api/queues/chat{}/attempts/{key}", number % QUEUES);
    let body = format!(
        r#"{{"member_number":"+49301{number:07}","member_name":"Ann {number}","variables":{{"topic":"billing"}}}}"#
    );
    teller.open(&path, &body).await;
    for step in 0..steps {
        teller.signal(&path, step).await;
    }
}
