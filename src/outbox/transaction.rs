//! What is done within one transaction of the writer.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::desk::Desk;
use super::entry::PlannedRun;
use super::outbox::Committed;
use super::prepared::{PreparedChange, PreparedEntry, PreparedMoment, whole_payload};
use super::run::{BeganWith, JournalEntry, Progress, Report, Run, RunState};
use crate::flow::Definition;
use crate::id::{AttemptHash, DefinitionHash, FlowName, RunId};
use crate::moment::value::Variables;

/// How many runs of one flow are taken from disk within one transaction: small enough that a backlog does not make
/// commits wait, large enough that reading it costs little for each.
const PAGE: u32 = 256;

/// How many attempts' variables are remembered. An attempt that was forgotten has its variables stored once more.
const REMEMBERED: usize = 50_000;

/// What is known to be stored, so that it is not stored again.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// The row in which the variables of an attempt were last stored.
    variables: HashMap<AttemptHash, (i64, Variables)>,
    /// The definitions of flows: as many as there were changes of the configuration.
    definitions: HashSet<DefinitionHash>,
}

/// One transaction at work.
pub(super) struct Work<'a> {
    pub(super) connection: &'a Connection,
    pub(super) desk: &'a mut Desk,
    pub(super) stored: &'a mut Stored,
    pub(super) now_ms: i64,
    /// Runs to be handed over once the transaction is committed.
    pub(super) ready: Vec<Run>,
}

impl Work<'_> {
    /// Stores an entry. Moments that are there already are passed over with their runs.
    pub(super) fn commit(&mut self, entry: &PreparedEntry) -> rusqlite::Result<Committed> {
        let mut committed = Committed::default();
        for moment in &entry.moments {
            let Some(row) = self.insert_moment(moment)? else { continue };
            committed.moments.push(moment.id);
            for run in &moment.runs {
                if self.insert_run(row, moment, run)? {
                    committed.runs.push(run.id);
                }
            }
        }
        for change in &entry.attempts {
            self.change_attempt(change)?;
        }
        Ok(committed)
    }

    /// Stores what a run has come to.
    pub(super) fn record(&mut self, report: &Report) -> rusqlite::Result<()> {
        let mut first_try = None;
        match &report.attempted {
            Some((0, record)) => first_try = Some(record),
            Some((number, record)) => {
                let sql = "INSERT OR REPLACE INTO try (run, number, record) VALUES (?1, ?2, ?3)";
                self.connection.prepare_cached(sql)?.execute(params![report.row, number, record])?;
            }
            None => {}
        }
        self.write_journal(report)?;
        let (state, due_ms, error) = match &report.progress {
            Progress::Next { .. } => (RunState::Running, self.now_ms, None),
            Progress::Retry { at, reason } => (RunState::Pending, due_ms(*at, report.expires_at), Some(reason)),
            Progress::Wait { until, .. } => (RunState::Pending, due_ms(*until, report.expires_at), None),
            Progress::Delivered => (RunState::Delivered, self.now_ms, None),
            Progress::Failed { reason } => (RunState::Failed, self.now_ms, Some(reason)),
            Progress::Expired { reason } => (RunState::Expired, self.now_ms, Some(reason)),
        };
        let ended_ms = state.is_over().then_some(self.now_ms);
        let sql = "UPDATE run SET state = ?2, step = ?3, step_tries = ?4, tries = ?5, due_at_ms = ?6, ended_at_ms = ?7, \
                   first_try = coalesce(first_try, ?8), error = ?9 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![
            report.row,
            state,
            report.step,
            report.step_tries,
            report.tries,
            due_ms,
            ended_ms,
            first_try,
            error
        ])?;
        if state != RunState::Running {
            self.desk.rise(&report.flow);
        }
        if state == RunState::Pending {
            self.desk.note_due(&report.flow, due_ms);
        }
        if let Progress::Wait { until, .. } = &report.progress {
            let sql = "UPDATE run SET ordered = 0, resumed_at_ms = ?2 WHERE id = ?1";
            self.connection.prepare_cached(sql)?.execute(params![report.row, until.as_millisecond()])?;
            return self.promote_next(report);
        }
        if state.is_over() { self.promote_next(report) } else { Ok(()) }
    }

    /// Stores the steps that are over, and the definition that the run has gone over to.
    fn write_journal(&mut self, report: &Report) -> rusqlite::Result<()> {
        for JournalEntry { path, kind, error, saved } in &report.journal {
            let sql = "INSERT OR REPLACE INTO journal (run, path, kind, ended_at_ms, error, saved) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let values = params![report.row, path, kind, self.now_ms, error, saved];
            self.connection.prepare_cached(sql)?.execute(values)?;
        }
        if let Some(definition) = &report.definition {
            self.store_definition(definition)?;
            let sql = "UPDATE run SET definition = ?2, latest = 0 WHERE id = ?1";
            self.connection.prepare_cached(sql)?.execute(params![report.row, definition.hash.as_bytes()])?;
        }
        Ok(())
    }

    /// Stores what a flow says, once.
    fn store_definition(&mut self, definition: &Definition) -> rusqlite::Result<()> {
        if self.stored.definitions.contains(&definition.hash) {
            return Ok(());
        }
        let sql = "INSERT OR IGNORE INTO definition (hash, json) VALUES (?1, ?2)";
        self.connection.prepare_cached(sql)?.execute(params![definition.hash.as_bytes(), &*definition.json])?;
        self.stored.definitions.insert(definition.hash);
        Ok(())
    }

    /// Takes runs that are due from disk, as far as there are seats.
    pub(super) fn claim(&mut self) -> rusqlite::Result<()> {
        for (flow, count) in self.desk.claimable(self.now_ms, PAGE) {
            let sql = "SELECT id FROM run WHERE state = 'pending' AND flow = ?1 AND due_at_ms <= ?2 \
                       ORDER BY due_at_ms, id LIMIT ?3";
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![flow.as_str(), self.now_ms, count], |row| row.get(0))?;
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

    fn insert_moment(&mut self, moment: &PreparedMoment) -> rusqlite::Result<Option<i64>> {
        let known = "SELECT EXISTS (SELECT 1 FROM moment WHERE hash = ?1)";
        if self.connection.prepare_cached(known)?.query_row([moment.id.as_bytes()], |row| row.get(0))? {
            return Ok(None);
        }
        let variables = self.store_variables(moment)?;
        let sql = "INSERT INTO moment (hash, attempt, queue, event, committed_at_ms, payload, variables) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let row = self.connection.prepare_cached(sql)?.insert(params![
            moment.id.as_bytes(),
            moment.attempt.as_bytes(),
            moment.queue,
            moment.event.as_str(),
            self.now_ms,
            moment.payload.head,
            variables
        ])?;
        Ok(Some(row))
    }

    /// The row of the moment's variables: the attempt's last one, unless they have changed.
    fn store_variables(&mut self, moment: &PreparedMoment) -> rusqlite::Result<i64> {
        let variables = &moment.payload.variables;
        if let Some((row, stored)) = self.stored.variables.get(&moment.attempt)
            && stored == variables
        {
            return Ok(*row);
        }
        let sql = "INSERT INTO variables (json) VALUES (?1)";
        let row = self.connection.prepare_cached(sql)?.insert([variables.as_json()])?;
        if self.stored.variables.len() >= REMEMBERED {
            self.stored.forget_all();
        }
        self.stored.variables.insert(moment.attempt, (row, variables.clone()));
        Ok(row)
    }

    fn insert_run(&mut self, moment_row: i64, moment: &PreparedMoment, run: &PlannedRun) -> rusqlite::Result<bool> {
        let PlannedRun { id, hook, flow, expires_after } = run;
        let expires_at = expires_after.map(|after| moment.happened_at.saturating_add(after).unwrap_or(Timestamp::MAX));
        if let Some(definition) = &flow.definition {
            self.store_definition(definition)?;
        }
        let state = if flow.ordered && self.first_open(moment.attempt.as_bytes(), &flow.name)?.is_some() {
            RunState::Waiting
        } else if self.desk.sit(&flow.name, self.now_ms) {
            RunState::Running
        } else {
            RunState::Pending
        };
        let sql = "INSERT OR IGNORE INTO run (hash, moment, attempt, hook, flow, ordered, state, created_at_ms, due_at_ms, \
                   definition, expires_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10)";
        let inserted = self.connection.prepare_cached(sql)?.execute(params![
            id.as_bytes(),
            moment_row,
            moment.attempt.as_bytes(),
            hook,
            flow.name.as_str(),
            flow.ordered,
            state,
            self.now_ms,
            flow.definition.as_ref().map(|definition| definition.hash.as_bytes()),
            expires_at.map(Timestamp::as_millisecond)
        ])?;
        match state {
            RunState::Running if inserted == 0 => self.desk.rise(&flow.name),
            RunState::Running => self.ready.push(Run {
                row: self.connection.last_insert_rowid(),
                id: *id,
                flow: flow.name.clone(),
                began_with: BeganWith::Flow(flow.clone()),
                payload: moment.whole.clone(),
                step: 0,
                step_tries: 0,
                tries: 0,
                expires_at,
                resumed_at: None,
                saved: Vec::new(),
            }),
            RunState::Pending => self.desk.note_due(&flow.name, self.now_ms),
            RunState::Waiting | RunState::Delivered | RunState::Failed | RunState::Expired => {}
        }
        Ok(inserted == 1)
    }

    /// The earliest open run of an ordered flow for an attempt.
    fn first_open(&self, attempt: &[u8], flow: &FlowName) -> rusqlite::Result<Option<(i64, RunState)>> {
        let sql = "SELECT id, state FROM run WHERE ended_at_ms IS NULL \
                   AND attempt = ?1 AND flow = ?2 AND ordered = 1 ORDER BY id LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_row(params![attempt, flow.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// Makes the run ready that waited for one that is over, or that has given up its place.
    fn promote_next(&mut self, over: &Report) -> rusqlite::Result<()> {
        let sql = "SELECT attempt FROM run WHERE id = ?1";
        let attempt: Option<Vec<u8>> =
            self.connection.prepare_cached(sql)?.query_row([over.row], |row| row.get(0)).optional()?;
        let Some(attempt) = attempt else { return Ok(()) };
        let Some((row, RunState::Waiting)) = self.first_open(&attempt, &over.flow)? else { return Ok(()) };
        if self.desk.sit(&over.flow, self.now_ms) {
            return self.start(row);
        }
        let sql = "UPDATE run SET state = 'pending', due_at_ms = ?2 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![row, self.now_ms])?;
        self.desk.note_due(&over.flow, self.now_ms);
        Ok(())
    }

    /// Takes a run that has a seat from disk.
    fn start(&mut self, row: i64) -> rusqlite::Result<()> {
        let sql = "UPDATE run SET state = 'running' WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute([row])?;
        let sql = "SELECT run.id, run.hash, run.flow, run.step, run.step_tries, run.tries, moment.payload, variables.json, \
                   run.expires_at_ms, run.resumed_at_ms, run.latest, definition.hash, definition.json \
                   FROM run JOIN moment ON moment.id = run.moment JOIN variables ON variables.id = moment.variables \
                   LEFT JOIN definition ON definition.hash = run.definition WHERE run.id = ?1";
        let mut run = self.connection.prepare_cached(sql)?.query_row([row], read_run)?;
        if run.step > 0 {
            let sql = "SELECT saved FROM journal WHERE run = ?1 AND saved IS NOT NULL ORDER BY rowid";
            let mut statement = self.connection.prepare_cached(sql)?;
            run.saved = statement.query_map([row], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        }
        self.ready.push(run);
        Ok(())
    }

    fn change_attempt(&mut self, change: &PreparedChange) -> rusqlite::Result<()> {
        match change {
            PreparedChange::Keep { hash, key, state } => {
                let sql = "INSERT INTO attempt (hash, key, state) VALUES (?1, ?2, ?3) \
                           ON CONFLICT (hash) DO UPDATE SET state = excluded.state";
                self.connection.prepare_cached(sql)?.execute(params![hash.as_bytes(), key, state])?;
            }
            PreparedChange::Forget(hash) => {
                let sql = "DELETE FROM attempt WHERE hash = ?1";
                self.connection.prepare_cached(sql)?.execute([hash.as_bytes()])?;
                self.stored.variables.remove(hash);
            }
        }
        Ok(())
    }
}

impl Stored {
    /// Forgets everything, because the rows may have been rolled back.
    pub(super) fn forget_all(&mut self) {
        self.variables.clear();
        self.definitions.clear();
    }
}

/// When a run that rests is looked at again: when it is to go on, or when it has expired.
fn due_ms(at: Timestamp, expires_at: Option<Timestamp>) -> i64 {
    expires_at.map_or(at, |expires_at| at.min(expires_at)).as_millisecond()
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<Run> {
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
        saved: Vec::new(),
    })
}
