//! Whose turn it is: handing runs over that are due, or that nobody is before any more.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use super::Work;
use super::follow_up::ON_FAILURE;
use crate::flow::Definition;
use crate::id::{DefinitionHash, FlowName, RunId};
use crate::outbox::clock::Reading;
use crate::outbox::prepared::whole_payload;
use crate::outbox::run::{BeganWith, Report, Run, RunState};

/// How many runs of one flow are taken from disk within one transaction: small enough that a backlog does not make
/// commits wait, large enough that reading it costs little for each.
const PAGE: u32 = 256;

/// How many deferred runs are made due within one transaction: commits wait for it some milliseconds.
const WOKEN_AT_ONCE: u32 = 1_024;

impl Work<'_> {
    /// Takes runs that are due from disk, as far as there are seats.
    pub(in crate::outbox) fn claim(&mut self) -> rusqlite::Result<()> {
        for flow in self.desk.claimable(self.now_ms()) {
            let count = self.desk.free(&flow).min(PAGE);
            let sql = match self.desk.is_newest_first(&flow) {
                false => {
                    "SELECT id FROM run WHERE state = 'pending' AND flow = ?1 AND due_at_ms <= ?2 \
                     ORDER BY due_at_ms, id LIMIT ?3"
                }
                true => {
                    "SELECT id FROM run WHERE state = 'pending' AND flow = ?1 AND due_at_ms <= ?2 \
                     ORDER BY due_at_ms DESC, id DESC LIMIT ?3"
                }
            };
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![flow.as_str(), self.now_ms(), count], |row| row.get(0))?;
            let rows = rows.collect::<rusqlite::Result<Vec<i64>>>()?;
            for row in rows {
                self.desk.sit_from_disk(&flow);
                self.start(row)?;
            }
            let sql = "SELECT min(due_at_ms) FROM run WHERE state = 'pending' AND flow = ?1";
            let next = self.connection.prepare_cached(sql)?.query_row([flow.as_str()], |row| row.get(0))?;
            self.desk.set_next_due(&flow, next);
        }
        Ok(())
    }

    /// Makes some of the runs due that the receiver's circuit breaker has deferred, the earliest first, and gives their
    /// number.
    pub(in crate::outbox) fn wake(&mut self, receiver: &str) -> rusqlite::Result<usize> {
        let now_ms = self.now_ms();
        let sql = "UPDATE run SET due_at_ms = min(due_at_ms, ?2), deferred_by = NULL WHERE id IN (SELECT id FROM run \
                   WHERE deferred_by = ?1 ORDER BY id LIMIT ?3) RETURNING flow, state";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![receiver, now_ms, WOKEN_AT_ONCE])?;
        let mut woken = 0;
        while let Some(row) = rows.next()? {
            if row.get::<_, RunState>(1)? == RunState::Pending {
                self.desk.note_due(&FlowName::new(row.get::<_, String>(0)?), now_ms);
            }
            woken += 1;
        }
        Ok(woken)
    }

    /// The earliest open run of an ordered flow for an attempt.
    pub(super) fn first_open(&self, attempt: &[u8], flow: &FlowName) -> rusqlite::Result<Option<(i64, RunState)>> {
        let sql = "SELECT id, state FROM run WHERE ended_at_ms IS NULL \
                   AND attempt = ?1 AND flow = ?2 AND ordered = 1 ORDER BY id LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_row(params![attempt, flow.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// Makes the run ready that waited for one that is over, or that has given up its place.
    pub(super) fn promote_next(&mut self, over: &Report) -> rusqlite::Result<()> {
        let sql = "SELECT attempt FROM run WHERE id = ?1";
        let attempt: Option<Vec<u8>> =
            self.connection.prepare_cached(sql)?.query_row([over.row], |row| row.get(0)).optional()?;
        let Some(attempt) = attempt else { return Ok(()) };
        let Some((row, RunState::Waiting)) = self.first_open(&attempt, &over.flow)? else { return Ok(()) };
        if self.desk.sit(&over.flow, self.now_ms()) {
            return self.start(row);
        }
        let sql = "UPDATE run SET state = 'pending', due_at_ms = ?2 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![row, self.now_ms()])?;
        self.desk.note_due(&over.flow, self.now_ms());
        Ok(())
    }

    /// Takes a run that has a seat from disk.
    fn start(&mut self, row: i64) -> rusqlite::Result<()> {
        let sql = "UPDATE run SET state = 'running', deferred_by = NULL WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute([row])?;
        let sql = "SELECT run.id, run.hash, run.flow, run.step, run.step_tries, run.tries, moment.payload, variables.json, \
                   run.expires_at_ms, run.resumed_at_ms, run.latest, definition.hash, definition.json, run.hook, run.asked, \
                   run.clock_step_ms \
                   FROM run JOIN moment ON moment.id = run.moment JOIN variables ON variables.id = moment.variables \
                   LEFT JOIN definition ON definition.hash = run.definition WHERE run.id = ?1";
        let mut run = self.connection.prepare_cached(sql)?.query_row([row], |row| read_run(row, self.clock))?;
        if run.step > 0 || run.is_told {
            let sql = "SELECT saved FROM journal WHERE run = ?1 AND saved IS NOT NULL ORDER BY rowid";
            let mut statement = self.connection.prepare_cached(sql)?;
            run.saved = statement.query_map([row], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        }
        self.ready.push(run);
        Ok(())
    }
}

fn read_run(row: &Row<'_>, taken: Reading) -> rusqlite::Result<Run> {
    let flow: String = row.get(2)?;
    let (head, variables): (String, String) = (row.get(6)?, row.get(7)?);
    let time = |millisecond: i64| Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::MAX);
    let began_with = match (row.get::<_, Option<[u8; 16]>>(11)?, row.get::<_, Option<String>>(12)?) {
        (Some(hash), Some(json)) => {
            let definition = Definition { hash: DefinitionHash::from_bytes(hash), json: json.into() };
            BeganWith::Stored { definition, latest: row.get(10)? }
        }
        _ => BeganWith::Unknown,
    };
    Ok(Run {
        row: row.get(0)?,
        id: RunId::from_bytes(row.get(1)?),
        flow: FlowName::new(flow),
        began_with,
        payload: whole_payload(&head, &variables),
        step: row.get(3)?,
        step_tries: row.get(4)?,
        tries: row.get(5)?,
        expires_at: row.get::<_, Option<i64>>(8)?.map(time),
        resumed_at: row.get::<_, Option<i64>>(9)?.map(time),
        clock_step: SignedDuration::from_millis(row.get(15)?),
        taken,
        since: Instant::now(),
        saved: Vec::new(),
        is_asked: row.get(14)?,
        is_told: row.get_ref(13)?.as_str()? == ON_FAILURE,
    })
}
