//! Erasing what is stored of a person, found by the phone number.

use std::path::Path;

use rusqlite::{Connection, params};

use super::deliveries::DeliveriesError;
use super::file;
use super::schema::SchemaError;

/// What stands in the place of what was erased.
pub const ERASED: &str = "[erased]";

/// How many attempts are erased within one transaction: the daemon's writer waits for it.
const CHUNK: usize = 200;

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Attempts of that number.
    pub attempts: usize,
    /// Their moments, whose payloads name nobody any more.
    pub moments: usize,
    /// How many of the attempts are still open: what they bring from now on carries the number again.
    pub open_attempts: usize,
}

/// Erases the number, the name and the variables of the member with this number from every stored moment, and from the
/// records of tries what could repeat them: addresses, headers' values and answers. All else stays.
///
/// SQLite overwrites what it frees, and the write-ahead log is emptied as far as nobody reads it.
pub fn erase_number(outbox: &Path, number: &str) -> Result<Erasure, DeliveriesError> {
    if !outbox.exists() {
        return Err(DeliveriesError::Missing(outbox.to_owned()));
    }
    let connection = file::connect_beside(outbox)
        .map_err(|cause: SchemaError| DeliveriesError::Unusable { path: outbox.to_owned(), cause })?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    let sql = "SELECT DISTINCT attempt FROM moment WHERE json_extract(payload, '$.member_number') = ?1";
    let attempts: Vec<Vec<u8>> =
        connection.prepare(sql)?.query_map([number], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut erasure = Erasure { attempts: attempts.len(), ..Erasure::default() };
    for chunk in attempts.chunks(CHUNK) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let erased = chunk.iter().try_for_each(|attempt| erase_attempt(&connection, attempt, number, &mut erasure));
        connection.execute_batch(if erased.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        erased?;
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(erasure)
}

fn erase_attempt(connection: &Connection, attempt: &[u8], number: &str, erasure: &mut Erasure) -> rusqlite::Result<()> {
    // Of an attempt that is over, the state is kept for its successor, and says when the member left.
    let is_open = "SELECT EXISTS (SELECT 1 FROM attempt WHERE hash = ?1 AND json_type(state, '$.left_at') IS NULL)";
    let is_open: bool = connection.prepare_cached(is_open)?.query_row([attempt], |row| row.get(0))?;
    erasure.open_attempts += usize::from(is_open);
    let variables = "UPDATE variables SET json = '{}' WHERE id IN (SELECT variables FROM moment WHERE attempt = ?1)";
    connection.prepare_cached(variables)?.execute([attempt])?;
    for (table, column, of_attempt) in [
        ("run", "first_try", "attempt = ?1 AND first_try IS NOT NULL"),
        ("try", "record", "run IN (SELECT id FROM run WHERE attempt = ?1)"),
    ] {
        // What is not there, such as the answer to a request without one, is not put there.
        let sql = format!(
            "UPDATE {table} SET {column} = json_replace({column}, '$.request.url', ?2, '$.request.headers', json('[]'), \
             '$.response.body', ?2, '$.command.line', ?2, '$.command.answer', ?2, \
             '$.error', CASE json_type({column}, '$.error') WHEN 'text' THEN ?2 END) WHERE {of_attempt}"
        );
        connection.prepare_cached(&sql)?.execute(params![attempt, ERASED])?;
    }
    let journal = "UPDATE journal SET error = CASE WHEN error IS NOT NULL THEN ?2 END, \
                   saved = CASE WHEN saved IS NOT NULL THEN '{}' END \
                   WHERE run IN (SELECT id FROM run WHERE attempt = ?1)";
    connection.prepare_cached(journal)?.execute(params![attempt, ERASED])?;
    let errors = "UPDATE run SET error = ?2 WHERE attempt = ?1 AND error IS NOT NULL";
    connection.prepare_cached(errors)?.execute(params![attempt, ERASED])?;
    // The member's number can be the one that was called, or the one that another was transferred to.
    let fields = ["member_number", "member_name", "destination", "transferred_to"];
    let replaced = fields.map(|field| {
        let condition = match field {
            "member_number" | "member_name" => format!("json_type(payload, '$.{field}') = 'text'"),
            _ => format!("json_extract(payload, '$.{field}') = ?3"),
        };
        format!("'$.{field}', CASE WHEN {condition} THEN ?2 ELSE json_extract(payload, '$.{field}') END")
    });
    let payload =
        format!("UPDATE moment SET payload = json_replace(payload, {}) WHERE attempt = ?1", replaced.join(", "));
    erasure.moments += connection.prepare_cached(&payload)?.execute(params![attempt, ERASED, number])?;
    Ok(())
}
