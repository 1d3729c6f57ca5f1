//! What is known to be stored, so that it is not stored again.

use std::collections::{HashMap, HashSet};

use rusqlite::params;

use super::Work;
use crate::flow::Definition;
use crate::id::{AttemptHash, DefinitionHash};
use crate::moment::value::Variables;
use crate::outbox::prepared::PreparedMoment;

/// How many attempts' variables are remembered. An attempt that was forgotten has its variables stored once more.
const REMEMBERED: usize = 50_000;

/// What is known to be stored, so that it is not stored again.
#[derive(Debug, Default)]
pub(in crate::outbox) struct Stored {
    /// The row in which the variables of an attempt were last stored.
    pub(super) variables: HashMap<AttemptHash, (i64, Variables)>,
    /// The definitions of flows: as many as there were changes of the configuration.
    definitions: HashSet<DefinitionHash>,
}

impl Stored {
    /// Forgets everything, because the rows may have been rolled back.
    pub(in crate::outbox) fn forget_all(&mut self) {
        self.variables.clear();
        self.definitions.clear();
    }
}

impl Work<'_> {
    /// The row of the moment's variables: the attempt's last one, unless they have changed.
    pub(super) fn store_variables(&mut self, moment: &PreparedMoment) -> rusqlite::Result<i64> {
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

    /// Stores what a flow says, once.
    pub(super) fn store_definition(&mut self, definition: &Definition) -> rusqlite::Result<()> {
        if self.stored.definitions.contains(&definition.hash) {
            return Ok(());
        }
        let sql = "INSERT OR IGNORE INTO definition (hash, json) VALUES (?1, ?2)";
        self.connection.prepare_cached(sql)?.execute(params![definition.hash.as_bytes(), &*definition.json])?;
        self.stored.definitions.insert(definition.hash);
        Ok(())
    }
}
