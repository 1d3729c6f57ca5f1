//! The names that steps give to what they save, as far as templates and expressions may use them.

use std::collections::BTreeSet;

/// What a step that failed leaves to those after it.
pub const ERROR: &str = "error";

/// What a flow that is told of failures is told.
pub const FAILURE: &str = "failure";

/// The names that can be used beside a payload's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SavedNames {
    /// These.
    These(BTreeSet<String>),
    /// Any: the text was checked when it was configured.
    Any,
}

impl SavedNames {
    /// No names at all, for texts that stand in no flow.
    pub const fn none() -> Self {
        Self::These(BTreeSet::new())
    }

    /// Whether the name can be used.
    pub fn knows(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::Any => true,
        }
    }
}

impl FromIterator<String> for SavedNames {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self::These(names.into_iter().collect())
    }
}
