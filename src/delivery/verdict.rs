//! What a receiver's answer means for the run.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};

/// What a try has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// It may work later.
    Retry {
        /// Why, for a person.
        reason: String,
        /// How long the receiver asked to wait.
        after: Option<Duration>,
    },
    /// It will not work.
    Failed {
        /// Why, for a person.
        reason: String,
    },
}

impl Verdict {
    /// What the answer with this status means.
    ///
    /// A refusal is repeated only where its status says that time will help: 408 (the receiver waited too long for the
    /// request), 425 (too early), 429 (too many), and the receiver's own faults, 5xx. 410 says that nobody wants it any
    /// more.
    pub fn of_answer(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Self {
        let failed = |reason: String| Self::Failed { reason };
        match status.as_u16() {
            200..=299 => Self::Delivered,
            300..=399 => failed(match headers.get(LOCATION).and_then(|to| to.to_str().ok()) {
                Some(to) => format!("{status}: redirects are not followed (to {to:.200})"),
                None => format!("{status}: redirects are not followed"),
            }),
            408 | 425 | 429 | 500..=599 => Self::Retry { reason: status.to_string(), after: retry_after(headers, now) },
            410 => failed(format!("{status}: the receiver wants no more of these")),
            _ => failed(status.to_string()),
        }
    }
}

/// How long the receiver asks to wait: a number of seconds, or a date. A date that has passed asks for no wait; what is
/// neither asks for nothing.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than any cap.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(date.duration_since(now).try_into().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(value: &str) -> Option<Duration> {
        let now = "2026-11-23T08:00:00Z".parse().expect("a time");
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().expect("a header"))]);
        match Verdict::of_answer(StatusCode::TOO_MANY_REQUESTS, &headers, now) {
            Verdict::Retry { after, .. } => after,
            other => panic!("429 is retried, not {other:?}"),
        }
    }

    #[test]
    fn a_receiver_asks_for_seconds_or_for_a_date() {
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("Mon, 23 Nov 2026 08:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Mon, 23 Nov 2026 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("99999999999999999999999"), Some(Duration::MAX));
        for nothing in ["", "-1", "soon", "Mon, 32 Nov 2026 08:01:00 GMT"] {
            assert_eq!(after(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn only_what_time_may_mend_is_repeated() {
        for code in 200..600_u16 {
            let status = StatusCode::from_u16(code).expect("a status");
            let verdict = Verdict::of_answer(status, &HeaderMap::new(), Timestamp::UNIX_EPOCH);
            match code {
                200..=299 => assert_eq!(verdict, Verdict::Delivered),
                408 | 425 | 429 | 500.. => assert!(matches!(verdict, Verdict::Retry { .. }), "{code}"),
                _ => assert!(matches!(verdict, Verdict::Failed { .. }), "{code}"),
            }
        }
    }
}
