//! What live attempts cost: time for each event as they grow in number, memory for each attempt, and whether memory comes
//! back once they are over.
//!
//! Every attempt is a call of its own, from a recording of one call that is answered and talked through: at any time, most
//! of those that live are talking. Times are CPU time of the one thread, from an event's bytes to its moments; two nodes, one
//! with few attempts and one with many, take turns so that whatever else the machine does hits both alike.
//!
//! `cargo bench --bench lifecycle`; it takes some minutes. `cargo bench --bench lifecycle -- 10000` says how many live.

mod load;

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hookswitch::config::Config;
use hookswitch::esl::Event;
use hookswitch::lifecycle::{Effects, Lifecycle};
use load::Load;
use rustix::time::{ClockId, clock_gettime};

/// One call of 20 events, answered and talked through.
const ANSWERED: &str = "tests/recordings/30_answered.sub.esl.zst";

/// One call of 15 events, with an offer that is refused.
const REFUSED: &str = "tests/recordings/49a_timeout_while_ringing_then_refused.sub.esl.zst";

/// How many attempts live in the smaller node.
const FEW: u64 = 100;

/// How many live in the larger one, unless the command line says otherwise.
const MANY: u64 = 100_000;

/// How many attempts live one after another, for each that lives at once, to see whether something is left of them.
const GENERATIONS: u64 = 10;

/// How many events are timed together: about as many as come from one `read()`.
const BATCH: usize = 64;

/// How many batches of a node are timed in one round: enough for every step of a call to be among them.
const BATCHES: usize = 200;

/// Rounds, of which the median counts.
const ROUNDS: usize = 21;

fn main() -> io::Result<()> {
    let wanted = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let many = wanted.unwrap_or(MANY);
    // First of all, while the process has no memory in hand that would hide what is left over.
    generations(many)?;
    times_and_memory(many)
}

/// Memory after each generation of attempts has come and gone.
fn generations(many: u64) -> io::Result<()> {
    let before = resident_bytes()?;
    let mut node = Node::new(REFUSED, many * GENERATIONS, FEW)?;
    println!("{:<40} {:>12}", "attempts that came and went", "memory");
    for generation in 1..=GENERATIONS {
        node.play_until(|node| node.left >= many * generation);
        let grown = resident_bytes()?.saturating_sub(before);
        println!("{:<40} {:>9.1} MB", node.left, megabytes(grown));
    }
    println!();
    Ok(())
}

/// Cost of an event with few and with many attempts, and memory of the many.
fn times_and_memory(many: u64) -> io::Result<()> {
    let mut few = Node::new(ANSWERED, u64::MAX, FEW)?;
    few.play_until(|node| node.lifecycle.live() as u64 >= FEW * 9 / 10);
    let before = resident_bytes()?;
    let mut node = Node::new(ANSWERED, u64::MAX, many)?;
    node.play_until(|node| node.lifecycle.live() as u64 >= many * 9 / 10);
    let taken = resident_bytes()?.saturating_sub(before);
    let live = node.lifecycle.live();
    println!("{:<40} {:>12} {:>8}", "live attempts at once", "memory", "for each");
    println!("{live:<40} {:>9.1} MB {:>5.2} kB\n", megabytes(taken), taken as f64 / live as f64 / 1e3);

    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (node, times) in [&mut few, &mut node].into_iter().zip(&mut times) {
            times.push((0..BATCHES).map(|_| node.time_batch()).sum::<f64>() / BATCHES as f64);
        }
    }
    let [few_micros, many_micros] = times.map(|mut times| median(&mut times));
    println!("{:<40} {:>12} {:>8}", "live attempts", "µs per event", "ratio");
    println!("{:<40} {few_micros:>12.2} {:>8.2}", few.lifecycle.live(), 1.0);
    println!("{:<40} {many_micros:>12.2} {:>8.2}", node.lifecycle.live(), many_micros / few_micros);
    Ok(())
}

/// A node, and the events that come from it.
struct Node {
    load: Load,
    lifecycle: Lifecycle,
    effects: Effects,
    /// How many attempts have left.
    left: u64,
}

impl Node {
    fn new(recording: &str, copies: u64, at_once: u64) -> io::Result<Self> {
        let lifecycle = Lifecycle::new("bench".into(), Arc::new(Config::default()));
        let load = Load::new(Path::new(recording), copies, at_once)?;
        Ok(Self { load, lifecycle, effects: Effects::default(), left: 0 })
    }

    /// Plays until `done`, or until no more events come.
    fn play_until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let batch = self.next_batch();
            if batch.is_empty() {
                self.lifecycle.finish(&mut self.effects);
                self.drop_effects();
                return;
            }
            self.handle(batch);
        }
    }

    /// CPU microseconds for each event of a batch, whose bytes were made before.
    fn time_batch(&mut self) -> f64 {
        let batch = self.next_batch();
        let before = clock_gettime(ClockId::ThreadCPUTime);
        self.handle(batch);
        let after = clock_gettime(ClockId::ThreadCPUTime);
        let nanos = (after.tv_sec - before.tv_sec) * 1_000_000_000 + (after.tv_nsec - before.tv_nsec);
        nanos as f64 / 1e3 / BATCH as f64
    }

    /// The next events, as the slices of one buffer that they are in life.
    fn next_batch(&mut self) -> Vec<Bytes> {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        while ends.len() <= BATCH && self.load.next(&mut bytes) {
            ends.push(bytes.len());
        }
        let bytes = Bytes::from(bytes);
        ends.windows(2).map(|pair| bytes.slice(pair[0]..pair[1])).collect()
    }

    fn handle(&mut self, batch: Vec<Bytes>) {
        for body in batch {
            self.lifecycle.handle_event(&Event::from_plain(body), &mut self.effects);
            self.drop_effects();
        }
    }

    fn drop_effects(&mut self) {
        let gone = self.effects.changed.iter().filter(|hash| self.lifecycle.attempt(**hash).is_none());
        self.left += gone.count() as u64;
        self.effects.changed.clear();
        self.effects.moments.clear();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        assert!(self.lifecycle.anomalies().iter().next().is_none(), "{:?}", self.lifecycle.anomalies());
    }
}

/// The memory that the process has in hand.
fn resident_bytes() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let kilobytes: Option<u64> = kilobytes.and_then(|text| text.parse().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::Error::other("no VmRSS"))
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
