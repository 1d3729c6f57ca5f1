//! What nobody can do without: a durable commit, and a request.

use std::io;
use std::ops::Range;
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

/// How many rows of each are taken.
const LATEST: usize = 2_000;

/// Rows of each table.
pub(crate) struct Rows([Table; TABLES.len()]);

struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Rows {
    /// The latest rows of an outbox.
    pub(crate) fn of(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        let latest = |table: &str| -> rusqlite::Result<Table> {
            let mut statement =
                connection.prepare(&format!("SELECT * FROM {table} ORDER BY rowid DESC LIMIT {LATEST}"))?;
            let columns: Vec<String> = statement.column_names().map(ToOwned::to_owned).collect();
            let width = columns.len();
            let rows = statement.query_map([], |row| (0..width).map(|column| row.get(column)).collect())?;
            Ok(Table { rows: rows.collect::<rusqlite::Result<_>>()?, columns })
        };
        let [attempt, moment, run] = TABLES.map(latest);
        Ok(Self([attempt?, moment?, run?]))
    }
}

impl Table {
    /// A row that is not there yet; of attempts one that mostly is, because their states are written again and again.
    fn next(&self, name: &str, number: usize) -> Vec<Value> {
        let mut row = self.rows[number % self.rows.len()].clone();
        for (column, value) in self.columns.iter().zip(&mut row) {
            match column.as_str() {
                "id" => *value = Value::Null,
                "hash" if name != "attempt" => *value = Value::Blob(fastrand::u128(..).to_be_bytes().into()),
                _ => {}
            }
        }
        row
    }
}

/// A database with the outbox's tables and settings, and nothing around it.
pub(crate) struct Commits {
    connection: Connection,
    rows: Rows,
    _directory: TempDir,
}

impl Commits {
    /// An empty one, which is to take rows such as these.
    pub(crate) fn open(rows: Rows) -> io::Result<Self> {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        let path = directory.path().join("outbox.db");
        // The tables are the outbox's, which lets go of them before they are used.
        drop(Opened::open(&Settings::at(&path)).map_err(io::Error::other)?);
        let connection = connect(&path).map_err(io::Error::other)?;
        let mut commits = Self { connection, rows, _directory: directory };
        // A write-ahead log that still grows takes longer to flush than one that is used again. Some rounds of all rows are
        // longer than the log is let to become.
        (0..5).try_for_each(|_| commits.commit(0..LATEST)).map_err(io::Error::other)?;
        Ok(commits)
    }

    /// Commits one row of each table so many times a second, and tells how long each commit took.
    pub(crate) fn pace(&mut self, pace: u32, round: Duration) -> rusqlite::Result<Times> {
        let (begin, mut times) = (Instant::now(), Vec::new());
        while begin.elapsed() < round {
            let due = begin + Duration::from_secs(times.len() as u64) / pace;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let before = Instant::now();
            self.commit(times.len()..times.len() + 1)?;
            times.push(before.elapsed());
        }
        Ok(Times::of(times))
    }

    fn commit(&mut self, numbers: Range<usize>) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for (number, (name, table)) in
            numbers.flat_map(|number| TABLES.iter().zip(&self.rows.0).map(move |of| (number, of)))
        {
            let row = table.next(name, number);
            let places = vec!["?"; row.len()].join(", ");
            let sql = format!("INSERT OR REPLACE INTO {name} VALUES ({places})");
            transaction.prepare_cached(&sql)?.execute(params_from_iter(row))?;
        }
        transaction.commit()
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // The rows refer to others, which are not there.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", 8_192)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
    Ok(connection)
}

/// Sends so many requests a second, and tells how long it took from each one's making to its first byte.
pub(crate) async fn requests(body: &[u8], pace: u32, round: Duration, receiver: &Receiver) -> Times {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let (url, text) = (format!("http://{}/bare", receiver.address), std::str::from_utf8(body).expect("UTF-8"));
    let sample: serde_json::Value = serde_json::from_str(text).expect("a payload");
    let id = sample["data"]["id"].as_str().expect("an identifier");
    let (mut tasks, mut begun) = (tokio::task::JoinSet::new(), Vec::new());
    receiver.take();
    let begin = Instant::now();
    while begin.elapsed() < round {
        let number = begun.len() as u64;
        let body = text.replacen(id, &format!("{number:032x}"), 1);
        tokio::time::sleep_until((begin + Duration::from_secs(number) / pace).into()).await;
        begun.push(Instant::now());
        tasks.spawn(client.post(&url).body(body).send());
    }
    while let Some(sent) = tasks.join_next().await {
        sent.expect("no panic").expect("an answer");
    }
    let first_bytes = receiver.take();
    Times::of(begun.iter().enumerate().map(|(number, begun)| first_bytes[&format!("{number:032x}")] - *begun).collect())
}
