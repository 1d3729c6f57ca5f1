//! The wall clock and the time that has passed, read together.
//!
//! Due times are stored as times of the wall clock, because they outlive the process. A wall clock can be set: by NTP, by
//! hand, or by a virtual machine that is resumed. [`Reading::step_since`] says by how much, and the outbox moves what it has
//! stored by as much, so that a wait stays as long as it was meant to be.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use rustix::time::{ClockId, clock_gettime};

/// How much the clock may be off before stored times are moved: less than anybody waits for, and more than two readings
/// differ by on a loaded machine.
const TOLERANCE_MS: i64 = 250;

/// How far apart the time that has passed may be before and after the wall clock was read: what interrupts the process in
/// between would look like a step.
const APART: Duration = Duration::from_millis(5);

/// How often both are read at most until they are close enough.
const READINGS: usize = 100;

/// What both clocks said at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, in milliseconds since 1970.
    wall_ms: i64,
    /// The time since the machine was started, suspension included, in milliseconds.
    elapsed_ms: i64,
}

impl Reading {
    /// Reads both.
    pub fn now() -> Self {
        let mut before = elapsed();
        for _ in 0..READINGS {
            let wall_ms = Timestamp::now().as_millisecond();
            let after = elapsed();
            if after.saturating_sub(before) <= APART {
                return Self { wall_ms, elapsed_ms: millis(after) };
            }
            before = after;
        }
        Self { wall_ms: Timestamp::now().as_millisecond(), elapsed_ms: millis(elapsed()) }
    }

    /// A reading of the past, for what was never in an outbox of its own time.
    pub(super) fn of_past(wall_ms: i64) -> Self {
        Self { wall_ms, elapsed_ms: 0 }
    }

    /// The wall clock, in milliseconds since 1970.
    pub(super) fn wall_ms(self) -> i64 {
        self.wall_ms
    }

    /// The time that the wall clock would show now if it had not been set since this reading.
    pub fn advanced(self) -> Timestamp {
        let passed = millis(elapsed()).saturating_sub(self.elapsed_ms);
        Timestamp::from_millisecond(self.wall_ms.saturating_add(passed)).unwrap_or(Timestamp::MAX)
    }

    /// By how many milliseconds the wall clock was set ahead since an earlier reading; negative where it was set back. Less
    /// than [`TOLERANCE_MS`] is no step.
    pub(super) fn step_since(self, earlier: Self) -> i64 {
        let by_wall = self.wall_ms.saturating_sub(earlier.wall_ms);
        let step_ms = by_wall.saturating_sub(self.elapsed_ms.saturating_sub(earlier.elapsed_ms));
        if step_ms.abs() < TOLERANCE_MS { 0 } else { step_ms }
    }
}

/// The time since the machine was started, suspension included.
fn elapsed() -> Duration {
    clock_gettime(ClockId::Boottime).try_into().unwrap_or_default()
}

fn millis(duration: Duration) -> i64 {
    duration.as_millis().try_into().unwrap_or(i64::MAX)
}

/// Which start of the machine this is: the time that has passed says nothing across two of them.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Keeps the reading to which stored times belong.
fn store(connection: &Connection, reading: Reading) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO clock (id, boot, wall_ms, elapsed_ms) VALUES (1, ?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![boot(), reading.wall_ms, reading.elapsed_ms]).map(drop)
}

/// Moves the times of open runs by what the clock was set since they were stored, and gives by how much.
pub(super) fn follow(connection: &Connection, earlier: Reading, now: Reading) -> rusqlite::Result<i64> {
    let step_ms = now.step_since(earlier);
    if step_ms != 0 {
        move_times(connection, step_ms, now.wall_ms)?;
        store(connection, now)?;
    }
    Ok(step_ms)
}

/// Moves the times of open runs by what the clock was set while no daemon ran, as far as that can be known, and keeps the
/// reading to which they belong from now on.
pub(super) fn resume(connection: &Connection, now: Reading) -> rusqlite::Result<i64> {
    let sql = "SELECT boot, wall_ms, elapsed_ms FROM clock WHERE id = 1";
    let kept = connection
        .query_row(sql, [], |row| {
            Ok((row.get::<_, String>(0)?, Reading { wall_ms: row.get(1)?, elapsed_ms: row.get(2)? }))
        })
        .optional()?;
    let sql = "SELECT committed_at_ms FROM moment ORDER BY id DESC LIMIT 1";
    let latest_ms: Option<i64> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    let step_ms = match kept {
        Some((found, reading)) if !found.is_empty() && found == boot() => now.step_since(reading),
        // The machine was started again since, so how long ago that was is unknown; but it was not in the future.
        kept => {
            let latest_ms = latest_ms.into_iter().chain(kept.map(|(_, reading)| reading.wall_ms)).max();
            let back_ms = latest_ms.map_or(0, |latest_ms| now.wall_ms.saturating_sub(latest_ms));
            if back_ms <= -TOLERANCE_MS { back_ms } else { 0 }
        }
    };
    if step_ms != 0 {
        move_times(connection, step_ms, now.wall_ms)?;
    }
    store(connection, now)?;
    Ok(step_ms)
}

/// Moves the times of open runs. What somebody has asked for meanwhile is due at once, by whichever clock he read.
fn move_times(connection: &Connection, step_ms: i64, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE run SET due_at_ms = CASE asked WHEN 1 THEN min(due_at_ms + ?1, ?2) ELSE due_at_ms + ?1 END, \
               expires_at_ms = expires_at_ms + ?1, resumed_at_ms = resumed_at_ms + ?1, clock_step_ms = clock_step_ms + ?1 \
               WHERE ended_at_ms IS NULL";
    connection.execute(sql, [step_ms, now_ms]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_what_the_wall_clock_went_beyond_the_time_that_has_passed() {
        let earlier = Reading { wall_ms: 1_000_000, elapsed_ms: 5_000 };
        for step_ms in [0, 300, -300, 3_600_000, -3_600_000, 86_400_000_000, -86_400_000_000] {
            let later = Reading { wall_ms: 1_000_000 + 7_000 + step_ms, elapsed_ms: 12_000 };
            assert_eq!(later.step_since(earlier), step_ms);
        }
        let rounded = Reading { wall_ms: 1_007_001, elapsed_ms: 12_000 };
        assert_eq!(rounded.step_since(earlier), 0, "both are rounded");
    }

    #[test]
    fn two_readings_of_an_undisturbed_clock_have_no_step_between_them() {
        let earlier = Reading::now();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(Reading::now().step_since(earlier), 0);
        assert!(earlier.advanced().as_millisecond() >= earlier.wall_ms + 20);
    }
}
