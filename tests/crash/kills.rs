//! The daemon is killed at random instants, again and again.

use std::time::Duration;

use crate::stage::Stage;

/// How often, where `HOOKSWITCH_KILL_ROUNDS` does not say: enough to meet each kind of interruption, and over in half a
/// minute.
const ROUNDS: u64 = 6;

/// How long the daemon lives and is away at most, in milliseconds: a few calls' lengths at the simulator's speed. Now and
/// then it is killed while it starts.
const LIFE_MS: u64 = 4_000;
const AWAY_MS: u64 = 1_500;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "random and slow: `cargo test --test crash -- --ignored`, HOOKSWITCH_KILL_ROUNDS for more rounds"]
async fn what_the_daemon_saw_is_told_once_and_truly_however_often_it_is_killed() {
    let rounds = setting("HOOKSWITCH_KILL_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("HOOKSWITCH_KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{rounds} rounds, HOOKSWITCH_KILL_SEED={seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut stage = Stage::open(seed).await;
    for _ in 0..rounds {
        stage.start_daemon("");
        stage.wait(Duration::from_millis(chance.u64(..LIFE_MS))).await;
        stage.kill_daemon();
        stage.wait(Duration::from_millis(chance.u64(..AWAY_MS))).await;
    }
    stage.start_daemon("");
    assert!(stage.conclude().await.interrupted > 0, "no call was interrupted");
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}
