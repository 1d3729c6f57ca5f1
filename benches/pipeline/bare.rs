//! What nobody can do without: a durable commit, and a request.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use hookswitch::outbox::{Opened, Settings};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use tempfile::TempDir;

use crate::receiver::Receiver;
use crate::times::Times;

/// The tables that a moment with a run writes to.
const TABLES: [&str; 3] = ["attempt", "moment", "run"];

/// Rows of each table.
pub(crate) struct Rows([Vec<Vec<Value>>; TABLES.len()]);

impl Rows {
    /// The latest rows of an outbox.
    pub(crate) fn of(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        let latest = |table: &str| -> rusqlite::Result<Vec<Vec<Value>>> {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY rowid DESC LIMIT 2000"))?;
            let columns = statement.column_count();
            statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?.collect()
        };
        let [attempt, moment, run] = TABLES.map(latest);
        Ok(Self([attempt?, moment?, run?]))
    }
}

/// Commits one row of each table so many times a second, and tells how long each commit took.
pub(crate) fn commits(rows: &Rows, pace: u32, round: Duration) -> io::Result<Times> {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = directory.path().join("outbox.db");
    // The same tables; the outbox lets go of them before they are used.
    drop(Opened::open(&Settings::at(&path)).map_err(io::Error::other)?);
    commits_into(&path, rows, pace, round).map_err(io::Error::other)
}

fn commits_into(path: &Path, rows: &Rows, pace: u32, round: Duration) -> rusqlite::Result<Times> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "wal_autocheckpoint", 8_192)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < round {
        let due = begin + Duration::from_secs(times.len() as u64) / pace;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let before = Instant::now();
        let transaction = connection.transaction()?;
        for (table, rows) in TABLES.iter().zip(&rows.0) {
            let row = &rows[times.len() % rows.len()];
            let places = vec!["?"; row.len()].join(", ");
            let sql = format!("INSERT OR REPLACE INTO {table} VALUES ({places})");
            transaction.prepare_cached(&sql)?.execute(params_from_iter(row))?;
        }
        transaction.commit()?;
        times.push(before.elapsed());
    }
    Ok(Times::of(times))
}

/// Sends so many requests a second, and tells how long it took from each one's making to its first byte.
pub(crate) async fn requests(body: &[u8], pace: u32, round: Duration, receiver: &Receiver) -> Times {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let (url, text) = (format!("http://{}/bare", receiver.address), std::str::from_utf8(body).expect("UTF-8"));
    let (mut tasks, mut begun) = (tokio::task::JoinSet::new(), Vec::new());
    receiver.take();
    let (begin, before) = (Instant::now(), receiver.count());
    while begin.elapsed() < round {
        let number = begun.len() as u64;
        let body = text.replacen(&"5a".repeat(16), &format!("{number:032x}"), 1);
        tokio::time::sleep_until((begin + Duration::from_secs(number) / pace).into()).await;
        begun.push(Instant::now());
        tasks.spawn(client.post(&url).body(body).send());
    }
    while let Some(sent) = tasks.join_next().await {
        sent.expect("no panic").expect("an answer");
    }
    assert_eq!(receiver.count() - before, begun.len() as u64);
    let first_bytes = receiver.take();
    Times::of(begun.iter().enumerate().map(|(number, begun)| first_bytes[&format!("{number:032x}")] - *begun).collect())
}
