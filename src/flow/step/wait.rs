//! The step `wait`: lets the run rest. The timer is the run's due time in the outbox, so it outlives the daemon.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo, Timestamp};

use super::{Outcome, StepEnd, Surroundings};
use crate::flow::action::{LONGEST_WAIT, WaitStep};

/// A text that says no time that a run can rest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// It is no duration.
    #[error("the text of `wait` is neither a duration (`5 min`) nor a number of seconds")]
    NoDuration,
    /// It is below nothing, or too long.
    #[error("a `wait` is between 0 and 30 days")]
    OutOfRange,
}

pub(super) fn perform(step: &WaitStep, around: Surroundings<'_>) -> StepEnd {
    let wait = match step {
        WaitStep::For(wait) => Ok(*wait),
        WaitStep::Text(text) => match text.render(around.context.fields()) {
            Ok(text) => parse_wait(&text),
            Err(error) => return StepEnd::failed(error),
        },
    };
    match wait {
        Ok(wait) => {
            let until = around.now.saturating_add(wait).unwrap_or(Timestamp::MAX);
            StepEnd::untried(Outcome::Wait { until })
        }
        Err(error) => StepEnd::failed(error),
    }
}

/// Reads a duration as the configuration has it, or a number of seconds as another program gives it.
pub fn parse_wait(text: &str) -> Result<Duration, WaitError> {
    let wait = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| WaitError::OutOfRange)?,
        Err(_) => {
            let span: Span = text.trim().parse().map_err(|_| WaitError::NoDuration)?;
            let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| WaitError::NoDuration)?;
            span.try_into().map_err(|_| WaitError::OutOfRange)?
        }
    };
    if wait > LONGEST_WAIT { Err(WaitError::OutOfRange) } else { Ok(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_seconds_are_read_within_bounds() {
        for (text, seconds) in [("5 min", 300.0), ("90", 90.0), (" 0.5 ", 0.5), ("0", 0.0), ("30 days", 2_592_000.0)] {
            assert_eq!(parse_wait(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "soon", "5 months"] {
            assert_eq!(parse_wait(text), Err(WaitError::NoDuration), "{text}");
        }
        for text in ["-1", "-5 min", "31 days", "1e300", "nan", "inf"] {
            assert_eq!(parse_wait(text), Err(WaitError::OutOfRange), "{text}");
        }
    }
}
