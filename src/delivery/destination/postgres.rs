//! A PostgreSQL database.

use std::pin::pin;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use futures_util::TryStreamExt;
use serde_json::Value as Json;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::door::Door;
use super::parameter::Parameter;
use super::refusal::Refusal;
use super::row;
use super::site::Site;
use super::trust::TrustError;

/// How many of the rows that a statement gives back are kept: more than a flow can look at.
pub const MAX_ROWS: usize = 100;

/// How long connecting may take: a host that is there answers within a second or two, also from far.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A database, and its connections.
#[derive(Debug)]
pub struct Postgres {
    /// The way in.
    pub door: Door,
    pool: Pool,
}

/// What a statement has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// How many rows it has written, or given back.
    pub count: u64,
    /// The first of the rows that it gave back.
    pub rows: Vec<Json>,
}

impl Postgres {
    /// A database to which nobody is connected yet.
    pub fn new(site: &Site) -> Result<Self, TrustError> {
        let mut config = Config::new();
        config.application_name("hookswitch").connect_timeout(CONNECT_TIMEOUT).host(&site.host).port(site.port);
        config.ssl_mode(if site.trust.is_some() { SslMode::Require } else { SslMode::Disable });
        config.user(site.user.as_deref().unwrap_or("hookswitch"));
        site.path.as_deref().map(|database| config.dbname(database));
        site.password().map(|password| config.password(password));
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match &site.trust {
            Some(trust) => Manager::from_config(config, MakeRustlsConnect::new(trust.client_config()?), recycling),
            None => Manager::from_config(config, NoTls, recycling),
        };
        let pool = Pool::builder(manager).max_size(site.concurrency).build();
        let pool = pool.expect("a pool without timeouts of its own needs nothing else");
        Ok(Self { door: Door::new(&site.name, site.concurrency), pool })
    }

    /// Connects and signs in. Gives the server's version.
    pub async fn connect(&self) -> Result<String, Refusal> {
        let executed = self.execute("show server_version", &[], CONNECT_TIMEOUT).await?;
        let version = executed.rows.first().and_then(|row| row["server_version"].as_str()).unwrap_or_default();
        Ok(format!("PostgreSQL {version}"))
    }

    /// Executes one statement, which is a transaction of its own. The server gives it up after `timeout`.
    pub async fn execute(&self, statement: &str, values: &[Json], timeout: Duration) -> Result<Executed, Refusal> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => unconnected(&error),
            error => Refusal::may_pass(&error),
        })?;
        let mut lent = Lent(Some(client));
        let executed = lent.execute(statement, values, timeout).await;
        // A connection that was given up while it was busy is not used again, nor one on which something went wrong.
        if executed.is_ok() {
            lent.give_back();
        }
        executed
    }
}

/// A connection that goes back to the pool only where it is told to, and is closed otherwise.
struct Lent(Option<Object>);

impl Lent {
    async fn execute(&mut self, statement: &str, values: &[Json], timeout: Duration) -> Result<Executed, Refusal> {
        let client = self.0.as_ref().expect("is lent until it is given back");
        let limit = format!("set statement_timeout = {}", timeout.as_millis().max(1));
        client.batch_execute(&limit).await.map_err(|error| refusal(&error))?;
        let statement = client.prepare_cached(statement).await.map_err(|error| refusal(&error))?;
        let wanted = statement.params().len();
        if wanted != values.len() {
            let found = values.len();
            return Err(Refusal::Lasting(format!(
                "the statement has {wanted} parameters, and there are {found} values"
            )));
        }
        let rows = client.query_raw(&statement, values.iter().map(Parameter)).await.map_err(|error| refusal(&error))?;
        let (mut rows, mut kept, mut count) = (pin!(rows), Vec::new(), 0);
        while let Some(row) = rows.try_next().await.map_err(|error| refusal(&error))? {
            count += 1;
            if kept.len() < MAX_ROWS {
                kept.push(row::to_json(&row)?);
            }
        }
        Ok(Executed { count: rows.rows_affected().unwrap_or(count), rows: kept })
    }

    fn give_back(&mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

/// Nobody could sign in, for whatever reason.
fn unconnected(error: &Error) -> Refusal {
    match error.as_db_error() {
        Some(error) => {
            Refusal::MayPass(format!("PostgreSQL lets nobody in: {} ({})", error.message(), error.code().code()))
        }
        None => Refusal::may_pass(error),
    }
}

/// What the server says of a statement. The first two characters of its code are its class: resources that are exhausted,
/// rivals, and somebody's interference may pass, as may a server that only reads for a while; all else is the statement's
/// or its values' fault. What is said of a value that does not fit quotes it, so it is not repeated.
fn refusal(error: &Error) -> Refusal {
    let Some(error) = error.as_db_error() else { return Refusal::may_pass(error) };
    let code = error.code();
    match code.code().get(..2) {
        _ if [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::LOCK_NOT_AVAILABLE].contains(code) => {}
        Some("08" | "40" | "53" | "57" | "58" | "XX") => {}
        Some("22") => return Refusal::Lasting(format!("a value is not of its parameter's type ({})", code.code())),
        _ => return Refusal::Lasting(format!("PostgreSQL refused: {} ({})", error.message(), code.code())),
    }
    Refusal::MayPass(format!("PostgreSQL can't now: {} ({})", error.message(), code.code()))
}
