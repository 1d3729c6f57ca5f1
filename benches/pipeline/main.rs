//! How many runs a second go from event to receiver, and how long it takes from an event to its request's first byte.
//!
//! Calls of a recording, many at once, go the daemon's whole way: lifecycle, hooks, a durable commit, a flow of one
//! webhook, a receiver on the loopback that keeps connections. The receiver and what makes the events are in the same
//! process and share its cores.
//!
//! Latency is measured at 500 runs a second, beside the two things that nobody can do without: a commit of the same rows
//! with the same settings, and a request of the same size to the same receiver, both at the same pace. The three take
//! turns, so that whatever else the machine does hits all alike.
//!
//! `cargo bench --bench pipeline`; the outbox is below `target`, so that has to be on a real disk.

mod bare;
mod daemon;
#[path = "../load/mod.rs"]
mod load;
mod receiver;
mod times;

use std::io;
use std::time::Duration;

use daemon::Daemon;
use receiver::Receiver;
use times::Times;

/// Runs a second at which latency is measured.
const PACE: u32 = 500;

/// How long one round of each measurement takes.
const ROUND: Duration = Duration::from_secs(4);

/// Rounds, of which the median counts.
const ROUNDS: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> io::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let receiver = Receiver::start()?;
    let mut daemon = Daemon::start(&receiver)?;
    let (mut rates, mut whole, mut commits, mut requests) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        whole.push(daemon.pace(PACE, ROUND, &receiver).await);
        let rows = daemon.rows()?;
        commits.push(tokio::task::spawn_blocking(move || bare::commits(&rows, PACE, ROUND)).await??);
        requests.push(bare::requests(&daemon.body, PACE, ROUND, &receiver).await);
        rates.push(daemon.rush(ROUND, &receiver).await);
        eprintln!("round {} of {ROUNDS}: {:.0} runs a second", round + 1, rates[round]);
    }
    let (whole, commit, request) = (Times::median(whole), Times::median(commits), Times::median(requests));
    rates.sort_by(f64::total_cmp);
    println!(
        "sustained: {:.0} runs a second (median of {ROUNDS}; from {:.0} to {:.0})\n",
        rates[ROUNDS / 2],
        rates[0],
        rates[ROUNDS - 1]
    );
    println!("{:<44} {:>10} {:>10}", format!("at {PACE} a second"), "p50", "p99");
    for (what, times) in [
        ("event to the request's first byte", whole),
        ("a bare commit", commit),
        ("a bare request to its first byte", request),
    ] {
        println!("{what:<44} {:>7.2} ms {:>7.2} ms", times.p50 * 1e3, times.p99 * 1e3);
    }
    let (p50, p99) = (whole.p50 / (commit.p50 + request.p50), whole.p99 / (commit.p99 + request.p99));
    println!("{:<44} {p50:>10.2} {p99:>10.2}", "the whole way against the two together");
    Ok(())
}
