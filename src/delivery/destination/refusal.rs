//! Why a destination has not taken something.

use std::error::Error;

use crate::delivery::Verdict;

/// Why a destination has not taken something, in words.
///
/// What could not be reached, or has no room just now, may take it later. So may one that nobody can sign in to: whoever
/// mends a password should not have to look for what has failed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It may work later.
    #[error("{0}")]
    MayPass(String),
    /// It will not work.
    #[error("{0}")]
    Lasting(String),
}

impl Refusal {
    /// It may work later; the reason is what the error and its causes say.
    pub(super) fn may_pass(error: &(dyn Error + 'static)) -> Self {
        Self::MayPass(chain(error))
    }

    /// It will not work; the reason is what the error and its causes say.
    pub(super) fn lasting(error: &(dyn Error + 'static)) -> Self {
        Self::Lasting(chain(error))
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MayPass(reason) => Self::Retry { reason, after: None },
            Refusal::Lasting(reason) => Self::Failed { reason },
        }
    }
}

/// What the error and its causes say. Many say what their causes say, which is said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    said
}
