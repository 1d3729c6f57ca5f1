//! How many runs a second go from event to receiver, and how long it takes from an event to its request's first byte.
//!
//! Calls of a recording, many at once, go the daemon's whole way: lifecycle, hooks, a durable commit, a flow of one
//! webhook, a receiver on the loopback that keeps connections. The receiver and what makes the events are in the same
//! process and share its cores.
//!
//! Latency is measured at 500 runs a second, beside the two things that nobody can do without: a commit of the same rows
//! with the same settings, and a request of the same size to such a receiver, both at the same pace. The three take
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

use bare::Commits;
use daemon::{Daemon, Rush};
use receiver::Receiver;
use times::Times;

/// Runs a second at which latency is measured.
const PACE: u32 = 500;

/// How long one round of each measurement takes, and the number of rounds, of which the median counts.
const MEASURED: (Duration, usize) = (Duration::from_secs(4), 5);

/// The same where nothing is measured: without `--bench`, as `cargo test --bench pipeline` starts it, it only shows that
/// all goes through.
const TRIED: (Duration, usize) = (Duration::from_millis(200), 1);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> io::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (round, rounds) = if std::env::args().any(|argument| argument == "--bench") { MEASURED } else { TRIED };
    // One for each, because what is on its way is known by how many requests have come.
    let (receiver, bare_receiver) = (Receiver::start()?, Receiver::start()?);
    let mut daemon = Daemon::start(&receiver)?;
    // Once without measuring, so that every connection and file is as it stays.
    daemon.rush(round, &receiver).await;
    let mut commits = Commits::open(daemon.rows()?)?;

    let (mut rushes, mut whole, mut commit, mut request) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        whole.push(daemon.pace(PACE, round, &receiver).await);
        commit.push(tokio::task::block_in_place(|| commits.pace(PACE, round)).map_err(io::Error::other)?);
        request.push(bare::requests(&daemon.body, PACE, round, &bare_receiver).await);
        rushes.push(daemon.rush(round, &receiver).await);
    }
    print_rushes(rushes);
    print_times(Times::median(whole), Times::median(commit), Times::median(request));
    Ok(())
}

fn print_rushes(mut rushes: Vec<Rush>) {
    rushes.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let rounds = rushes.len();
    let (least, median, most) = (rushes[0].rate, rushes[rounds / 2].rate, rushes[rounds - 1].rate);
    println!("sustained: {median:.0} runs a second (from {least:.0} to {most:.0} in {rounds} rounds)");
    rushes.sort_by(|a, b| a.cpu_micros.total_cmp(&b.cpu_micros));
    let micros = rushes[rounds / 2].cpu_micros;
    println!("a run takes {micros:.0} µs of CPU time, so two cores to themselves do {:.0} a second\n", 2e6 / micros);
}

fn print_times(whole: Times, commit: Times, request: Times) {
    println!("{:<44} {:>10} {:>10}", format!("at {PACE} a second"), "p50", "p99");
    let lines = [
        ("event to the request's first byte", whole),
        ("a bare commit", commit),
        ("a bare request to its first byte", request),
    ];
    for (what, times) in lines {
        println!("{what:<44} {:>7.2} ms {:>7.2} ms", times.p50 * 1e3, times.p99 * 1e3);
    }
    let (p50, p99) = (whole.p50 / (commit.p50 + request.p50), whole.p99 / (commit.p99 + request.p99));
    println!("{:<44} {p50:>10.2} {p99:>10.2}", "the whole way against the two together");
}
