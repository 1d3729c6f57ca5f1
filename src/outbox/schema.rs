//! The store's tables and their version.

use rusqlite::{Connection, TransactionBehavior};

/// What makes a file of each version out of one of the version before, from an empty one on. A version that was released
/// is never changed.
const VERSIONS: [&str; 5] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];

/// The version that this program reads and writes.
pub(super) const VERSION: i64 = VERSIONS.len() as i64;

/// Says in the file's header whose file it is (`hksw`), so that another program's database is refused.
const APPLICATION_ID: i64 = 0x686b_7377;

/// Why a file's tables can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer program has written the file.
    #[error(
        "it was written by a newer hookswitch (schema {found}, this program knows up to {VERSION}); update the program"
    )]
    Newer {
        /// The file's version.
        found: i64,
    },
    /// A program that only reads has met a file that the daemon has not yet brought up to date.
    #[error("it has schema {found} and this program needs {VERSION}; start the daemon once to bring it up to date")]
    Older {
        /// The file's version.
        found: i64,
    },
    /// The file belongs to another program.
    #[error("it is a database of another program")]
    Foreign,
    /// SQLite could not read or write it.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Creates the tables of a new file, and brings those of an older program up to date.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), SchemaError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    let missing = usize::try_from(found).ok().and_then(|found| VERSIONS.get(found..));
    match missing {
        None => return Err(SchemaError::Newer { found }),
        Some([]) => return Ok(()),
        Some(missing) => missing.iter().try_for_each(|version| transaction.execute_batch(version))?,
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// Refuses a file whose tables are not those of this program.
pub(super) fn check(connection: &Connection) -> Result<(), SchemaError> {
    match version(connection)? {
        VERSION => Ok(()),
        found if found > VERSION => Err(SchemaError::Newer { found }),
        found => Err(SchemaError::Older { found }),
    }
}

/// The file's version; 0 for an empty one.
fn version(connection: &Connection) -> Result<i64, SchemaError> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match application {
        APPLICATION_ID => Ok(version),
        0 if version == 0 && tables == 0 => Ok(0),
        _ => Err(SchemaError::Foreign),
    }
}
