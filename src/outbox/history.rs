//! What happened before there was an outbox: moments that are kept as if they had been committed when they happened.

use std::path::Path;
use std::sync::Arc;

use super::clock::Reading;
use super::desk::Desk;
use super::entry::Entry;
use super::file;
use super::lock::Lock;
use super::prepared::PreparedEntry;
use super::store::{OpenError, OpenErrorCause};
use super::transaction::{Stored, Work};
use crate::moment::Moment;
use crate::outbox::schema::SchemaError;

/// Writes the moments, the earliest first, into an outbox that nobody has open. They start no runs: whoever was to hear of
/// them then would hear of them now.
pub fn write(path: &Path, moments: impl IntoIterator<Item = Moment>) -> Result<(), OpenError> {
    let write = || -> Result<(), OpenErrorCause> {
        let _lock = Lock::take(path)?;
        let mut connection = file::connect(path)?;
        let transaction = connection.transaction().map_err(SchemaError::from)?;
        let (mut desk, mut stored) = (Desk::new(0, Arc::default()), Stored::default());
        for moment in moments {
            let clock = Reading::of_past(moment.payload.timestamp.0.as_millisecond());
            let entry = PreparedEntry::new(Entry { moments: vec![(moment, Vec::new())], attempts: Vec::new() });
            let mut work =
                Work { connection: &transaction, desk: &mut desk, stored: &mut stored, clock, ready: Vec::new() };
            work.commit(&entry).map_err(SchemaError::from)?;
        }
        transaction.commit().map_err(SchemaError::from)?;
        Ok(())
    };
    write().map_err(|cause| OpenError::new(path, cause))
}
