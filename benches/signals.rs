//! What it takes to be told of queues outside FreeSWITCH: tellers tell their stories at a fixed rate over HTTP, each step of
//! which is committed before it is answered.
//!
//! `cargo bench --bench signals`; `HOOKSWITCH_SIGNALS_PER_SECOND` (2,000) and `HOOKSWITCH_SECONDS` (60) change the load.

#[expect(dead_code, reason = "nobody looks at the page")]
#[path = "teller/mod.rs"]
mod teller;

use std::sync::Arc;
use std::time::Duration;

use hookswitch::config::Config;
use hookswitch::daemon::Daemon;
use teller::{STORY, Teller};
use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior};

/// How many tellers there are, each with a connection of its own.
const TELLERS: u32 = 50;

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (rate, seconds) = (number("HOOKSWITCH_SIGNALS_PER_SECOND", 2_000), number("HOOKSWITCH_SECONDS", 60));
    let directory = TempDir::new().expect("a directory");
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\nrate = 1000000\n[queues.chat]\nsource = \"api\"\n\
         hooks = [{{ name = \"end\", event = \"leaving\", flow = \"tell\" }}]\n\
         [flows.tell]\nsteps = [{{ log = {{ message = \"{{{{ attempt_id }}}}\" }} }}]\n\
         [[freeswitch]]\nname = \"fs1\"\naddress = \"127.0.0.1:1\"\npassword = \"none\"\n[outbox]\npath = {:?}\n",
        directory.path().join("outbox.db")
    );
    let config = Config::from_toml("bench.toml", &text).expect("a good configuration");
    let daemon = Daemon::start(Arc::new(config), None).expect("starts");
    let address = daemon.http_address().expect("listens").to_string();
    let (pause, each) = (Duration::from_secs(1) * TELLERS / rate, rate * seconds / TELLERS);
    let began = Instant::now();
    let tellers = (0..TELLERS).map(|teller| tokio::spawn(tell(address.clone(), teller, each, pause)));
    let mut latencies = Vec::new();
    for teller in tellers.collect::<Vec<_>>() {
        latencies.extend(teller.await.expect("ends"));
    }
    let took = began.elapsed();
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "{} signals in {:.1} s ({:.0} a second), all accepted; answered in {:?} (median), {:?} (99 of 100), {:?} (the slowest)",
        latencies.len(),
        took.as_secs_f64(),
        latencies.len() as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
    );
    daemon.stop().await;
}

/// Tells so many steps, one in each pause, and gives how long each answer took.
async fn tell(address: String, teller: u32, count: u32, pause: Duration) -> Vec<Duration> {
    let mut connection = Teller::connect(&address).await;
    tokio::time::sleep(pause * teller / TELLERS).await;
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut latencies = Vec::new();
    for step in 0..count {
        ticks.tick().await;
        let attempt = step as usize / (STORY.len() + 1);
        let path = format!("/api/queues/chat/attempts/{teller}-{attempt}");
        let began = Instant::now();
        match step as usize % (STORY.len() + 1) {
            0 => connection.open(&path, r#"{"member_number":"ann@web","variables":{"topic":"billing"}}"#).await,
            step => connection.signal(&path, step - 1).await,
        }
        latencies.push(began.elapsed());
    }
    latencies
}
