//! Which runs are meant.

use std::fmt;

use jiff::Timestamp;
use rusqlite::types::Value;

use super::run::RunState;
use crate::id::{AttemptHash, RunId};

/// How many digits of a run's identifier must be given: fewer mean too many.
const LEAST_DIGITS: usize = 4;

/// Which runs are meant; what is unset leaves none out.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of these; empty: any.
    pub runs: Vec<RunId>,
    /// Of this queue.
    pub queue: Option<String>,
    /// Of this flow.
    pub flow: Option<String>,
    /// Of this attempt.
    pub attempt: Option<AttemptRef>,
    /// Behind this row of the log, which spares those who look at the latest from reading all of it; 0: anywhere.
    pub after: i64,
    /// Of this member's number, for which the log is read row by row.
    pub number: Option<String>,
    /// In one of these states; empty: in any.
    pub states: Vec<RunState>,
    /// Committed at or after this time.
    pub since: Option<Timestamp>,
    /// Committed before this time.
    pub until: Option<Timestamp>,
}

/// An attempt, as a person names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptRef {
    /// By its hash.
    Hash(AttemptHash),
    /// By its number, which is the hash's beginning.
    Number(u64),
}

/// A run, as a person names it: by its identifier, or so many of its first digits that no other begins with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRef {
    digits: String,
}

impl Filter {
    /// This run alone.
    pub fn run(run: RunId) -> Self {
        Self { runs: vec![run], ..Self::default() }
    }

    /// The condition and its values. States and times are compared in the words of the indexes.
    pub(super) fn to_sql(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["1".to_owned()];
        let mut values = Vec::new();
        let mut add = |condition: &str, added: Vec<Value>| {
            conditions.push(condition.to_owned());
            values.extend(added);
        };
        if !self.runs.is_empty() {
            let runs: Vec<String> = self.runs.iter().map(RunId::to_string).collect();
            let runs = serde_json::to_string(&runs).expect("texts are JSON");
            add("run.hash IN (SELECT unhex(value) FROM json_each(?))", vec![runs.into()]);
        }
        if let Some(queue) = &self.queue {
            add("moment.queue = ?", vec![queue.clone().into()]);
        }
        if let Some(flow) = &self.flow {
            add("run.flow = ?", vec![flow.clone().into()]);
        }
        if self.after > 0 {
            add("run.id > ?", vec![self.after.into()]);
        }
        if let Some(number) = &self.number {
            add("json_extract(moment.payload, '$.member_number') = ?", vec![number.clone().into()]);
        }
        if let Some(since) = self.since {
            add("run.created_at_ms >= ?", vec![since.as_millisecond().into()]);
        }
        if let Some(until) = self.until {
            add("run.created_at_ms < ?", vec![until.as_millisecond().into()]);
        }
        match self.states.as_slice() {
            [] => {}
            [state] => add(&format!("run.state = '{state}'"), Vec::new()),
            states => {
                let listed: Vec<_> = states.iter().map(|state| format!("'{state}'")).collect();
                add(&format!("run.state IN ({})", listed.join(", ")), Vec::new());
            }
        }
        if !self.states.is_empty() && !self.states.iter().any(|state| state.is_over()) {
            // So that the index of open runs serves it.
            add("run.ended_at_ms IS NULL", Vec::new());
        }
        if let Some(attempt) = self.attempt {
            let (first, last) = attempt.range();
            add("moment.attempt BETWEEN ? AND ?", vec![first.to_vec().into(), last.to_vec().into()]);
        }
        (conditions.join(" AND "), values)
    }
}

impl AttemptRef {
    /// The first and the last hash that it may mean.
    fn range(self) -> ([u8; 16], [u8; 16]) {
        match self {
            Self::Hash(hash) => (*hash.as_bytes(), *hash.as_bytes()),
            Self::Number(number) => {
                let first = u128::from(number) << 75;
                (first.to_be_bytes(), (first | ((1 << 75) - 1)).to_be_bytes())
            }
        }
    }
}

impl std::str::FromStr for AttemptRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(hash) = text.parse() {
            return Ok(Self::Hash(hash));
        }
        match text.parse::<u64>() {
            Ok(number) if number < 1 << 53 => Ok(Self::Number(number)),
            Ok(_) | Err(_) => Err("neither an attempt's hash nor its number"),
        }
    }
}

impl RunRef {
    /// The first and the last identifier that it may mean.
    pub(super) fn range(&self) -> ([u8; 16], [u8; 16]) {
        let filled = |digit: &str| {
            let missing = 32 - self.digits.len();
            let bits = u128::from_str_radix(&(self.digits.clone() + &digit.repeat(missing)), 16);
            bits.expect("32 hexadecimal digits").to_be_bytes()
        };
        (filled("0"), filled("f"))
    }
}

impl From<RunId> for RunRef {
    fn from(run: RunId) -> Self {
        Self { digits: run.to_string() }
    }
}

impl fmt::Display for RunRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}

impl std::str::FromStr for RunRef {
    type Err = &'static str;

    /// Reads a run's identifier or its beginning, or a webhook's, which has it in its middle (`whr_RUN_STEP`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("whr_").map_or(text, |rest| rest.split('_').next().unwrap_or(rest));
        let is_right = (LEAST_DIGITS..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if is_right {
            Ok(Self { digits: digits.to_owned() })
        } else {
            Err("neither a run's id (4 to 32 hexadecimal digits) nor a webhook's (`whr_…`)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_beginning_or_by_its_webhooks() {
        let id: RunId = "000102030405060708090a0b0c0d0e0f".parse().expect("an id");
        let means = |text: &str| {
            let (first, last) = text.parse::<RunRef>().expect("a run").range();
            first <= *id.as_bytes() && *id.as_bytes() <= last
        };
        assert!(means(&id.to_string()) && means("0001") && means(&format!("whr_{id}_2-then-0")));
        assert!(!means("0002"));
        for text in ["whr_", "000", "00010g", "000102030405060708090a0b0c0d0e0f0"] {
            assert!(text.parse::<RunRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_attempts_number_means_its_hash() {
        for byte in 0..=255 {
            let hash = AttemptHash::from_bytes([byte; 16]);
            let (first, last) = AttemptRef::Number(hash.attempt_id()).range();
            assert!(first <= *hash.as_bytes() && *hash.as_bytes() <= last);
        }
    }
}
