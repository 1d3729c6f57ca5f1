//! The wall clock and the time that has passed, read together.
//!
//! Due times are stored as times of the wall clock, because they outlive the process. A wall clock can be set: by NTP, by
//! hand, or by a virtual machine that is resumed. [`Reading::step_since`] says by how much, and the outbox moves what it has
//! stored by as much, so that a wait stays as long as it was meant to be.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
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

    /// How much time has passed since an earlier reading.
    pub fn elapsed_since(self, earlier: Self) -> SignedDuration {
        SignedDuration::from_millis(self.elapsed_ms.saturating_sub(earlier.elapsed_ms))
    }

    /// The time that the wall clock would show now if it had not been set since this reading.
    pub fn advanced(self) -> Timestamp {
        let passed = millis(elapsed()).saturating_sub(self.elapsed_ms);
        Timestamp::from_millisecond(self.wall_ms.saturating_add(passed)).unwrap_or(Timestamp::MAX)
    }

    /// By how many milliseconds the wall clock was set ahead since an earlier reading; negative where it was set back. Less
    /// than [`TOLERANCE_MS`] is no step.
    pub fn step_since(self, earlier: Self) -> i64 {
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

/// Moves the times of open runs, and notes by how much, for the age of what is stored. What somebody has asked for meanwhile
/// is due at once, by whichever clock he read.
fn move_times(connection: &Connection, step_ms: i64, now_ms: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE run SET due_at_ms = CASE asked WHEN 1 THEN min(due_at_ms + ?1, ?2) ELSE due_at_ms + ?1 END, \
               expires_at_ms = expires_at_ms + ?1, resumed_at_ms = resumed_at_ms + ?1, clock_step_ms = clock_step_ms + ?1 \
               WHERE ended_at_ms IS NULL";
    connection.execute(sql, [step_ms, now_ms])?;
    let sql = "INSERT INTO clock_step (moment, step_ms) SELECT coalesce(max(id), 0), ?1 FROM moment WHERE true \
               ON CONFLICT (moment) DO UPDATE SET step_ms = step_ms + excluded.step_ms";
    connection.execute(sql, [step_ms]).map(drop)
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

    /// A file with an open run whose times are a minute ahead of the reading, one that somebody has asked for, and one that
    /// is over.
    fn with_runs(reading: Reading) -> (tempfile::TempDir, Connection) {
        let directory = tempfile::tempdir().expect("a directory");
        let connection = crate::outbox::file::connect(&directory.path().join("outbox.db")).expect("a database");
        let sql = "INSERT INTO variables (id, json) VALUES (1, '{}'); \
                   INSERT INTO moment (id, hash, attempt, queue, event, committed_at_ms, payload, variables) \
                   VALUES (1, x'00', x'00', 'q', 'joined', 0, '{}', 1)";
        connection.execute_batch(sql).expect("stores");
        connection.execute("UPDATE moment SET committed_at_ms = ?1", [reading.wall_ms]).expect("stores");
        let sql = "INSERT INTO run (hash, moment, attempt, hook, flow, ordered, state, created_at_ms, due_at_ms, \
                   expires_at_ms, resumed_at_ms, asked, ended_at_ms) \
                   VALUES (?1, 1, x'00', 'h', 'f', 1, ?2, ?3, ?3 + 60000, ?3 + 90000, ?3 + 60000, ?4, ?5)";
        for (number, state, asked, ended) in
            [(1_u8, "pending", 0, None), (2, "pending", 1, None), (3, "failed", 0, Some(5))]
        {
            connection.execute(sql, params![[number], state, reading.wall_ms, asked, ended]).expect("stores");
        }
        (directory, connection)
    }

    /// How far ahead of the wall clock each run is due, expires and was to be resumed.
    fn ahead(connection: &Connection, wall_ms: i64) -> Vec<[i64; 3]> {
        let sql = "SELECT due_at_ms - ?1, expires_at_ms - ?1, resumed_at_ms - ?1 FROM run ORDER BY id";
        let mut statement = connection.prepare(sql).expect("prepares");
        let rows = statement.query_map([wall_ms], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).expect("reads");
        rows.collect::<rusqlite::Result<_>>().expect("reads")
    }

    const STEPS: [i64; 6] = [300_000, -300_000, 7_200_000, -7_200_000, 259_200_000, -259_200_000];
    const START: Reading = Reading { wall_ms: 1_800_000_000_000, elapsed_ms: 50_000 };

    #[test]
    fn a_clock_that_is_set_while_the_daemon_runs_moves_what_is_open_by_as_much() {
        for step_ms in STEPS {
            let (_directory, connection) = with_runs(START);
            let now = Reading { wall_ms: START.wall_ms + 10_000 + step_ms, elapsed_ms: START.elapsed_ms + 10_000 };
            assert_eq!(follow(&connection, START, now).expect("follows"), step_ms);
            let found = ahead(&connection, now.wall_ms);
            assert_eq!(found[0], [50_000, 80_000, 50_000], "by {step_ms}");
            assert_eq!(found[1][0], 0, "what is asked for is due at once");
            assert_eq!(found[2][0], 50_000 - step_ms, "what is over stays");
            assert_eq!(follow(&connection, now, now).expect("follows"), 0, "once");
        }
    }

    #[test]
    fn a_clock_that_is_set_while_no_daemon_runs_is_noticed_by_the_time_since_the_machines_start() {
        for step_ms in STEPS {
            let (_directory, connection) = with_runs(START);
            store(&connection, START).expect("stores");
            let now = Reading { wall_ms: START.wall_ms + 10_000 + step_ms, elapsed_ms: START.elapsed_ms + 10_000 };
            assert_eq!(resume(&connection, now).expect("resumes"), step_ms);
            assert_eq!(ahead(&connection, now.wall_ms)[0], [50_000, 80_000, 50_000], "by {step_ms}");
            assert_eq!(resume(&connection, now).expect("resumes"), 0, "once");
        }
    }

    #[test]
    fn after_another_start_of_the_machine_a_clock_that_went_back_moves_what_is_open_and_one_ahead_makes_it_due() {
        for step_ms in STEPS {
            let (_directory, connection) = with_runs(START);
            store(&connection, START).expect("stores");
            connection.execute("UPDATE clock SET boot = 'another'", []).expect("stores");
            let now = Reading { wall_ms: START.wall_ms + step_ms, elapsed_ms: 100 };
            assert_eq!(resume(&connection, now).expect("resumes"), step_ms.min(0));
            let due = ahead(&connection, now.wall_ms)[0][0];
            assert_eq!(due, if step_ms < 0 { 60_000 } else { 60_000 - step_ms }, "by {step_ms}");
        }
    }

    #[test]
    fn two_readings_of_an_undisturbed_clock_have_no_step_between_them() {
        let earlier = Reading::now();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(Reading::now().step_since(earlier), 0);
        assert!(earlier.advanced().as_millisecond() >= earlier.wall_ms + 20);
    }
}
