//! What a receiver's answer means for the run.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use url::Url;

use super::mask::{SecretValues, mask_url};
use super::statuses::Meaning;

/// The longest address that is told.
const LONGEST_TOLD: usize = 200;

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
    /// What the answer with this status means, where statuses of its kind mean that.
    pub fn of_answer(status: StatusCode, meaning: Meaning, from: &Url, headers: &HeaderMap, now: Timestamp) -> Self {
        match meaning {
            Meaning::Success => return Self::Delivered,
            Meaning::Retry => return Self::Retry { reason: status.to_string(), after: retry_after(headers, now) },
            Meaning::Failure => {}
        }
        let reason = match status.as_u16() {
            200..=299 => format!("{status}: that is none of the statuses that count as success"),
            300..=399 => format!("{status}: redirects are not followed{}", led_to(from, headers)),
            410 => format!("{status}: the receiver wants no more of these"),
            _ => status.to_string(),
        };
        Self::Failed { reason }
    }

    /// The same without secrets in the reason.
    pub(super) fn masked(mut self, secrets: &SecretValues) -> Self {
        if let Self::Retry { reason, .. } | Self::Failed { reason } = &mut self {
            secrets.mask_in_place(reason);
        }
        self
    }

    /// The same, with more said of the reason.
    pub(super) fn with_note(self, note: &str) -> Self {
        match self {
            Self::Delivered => Self::Delivered,
            Self::Retry { reason, after } => Self::Retry { reason: reason + note, after },
            Self::Failed { reason } => Self::Failed { reason: reason + note },
        }
    }
}

/// Where an answer leads to, its secrets masked: nothing of the address that has led there is in it.
pub(super) fn led_to(from: &Url, headers: &HeaderMap) -> String {
    let Some(location) = headers.get(LOCATION) else { return String::new() };
    let location = String::from_utf8_lossy(location.as_bytes());
    let root = Url::parse(&from.origin().ascii_serialization());
    let Ok(to) = root.and_then(|root| root.join(location.trim())) else { return String::new() };
    let masked = mask_url(to.as_str());
    match masked.len() <= LONGEST_TOLD {
        true => format!(" (to {masked})"),
        // Whatever is cut may be cut within a secret.
        false => format!(" (to {}/…)", to.origin().ascii_serialization()),
    }
}

/// How long the receiver asks to wait: a number of seconds, or a date in one of the three forms that HTTP has. A date that
/// has passed asks for no wait; what is neither asks for nothing.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than any cap.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::from(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::statuses::StatusRules;

    fn home() -> Url {
        "https://hooks.slack.com/services/T0/B0/geheim".parse().expect("a URL")
    }

    fn after(value: &str) -> Option<Duration> {
        let now = "2026-11-23T08:00:00Z".parse().expect("a time");
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().expect("a header"))]);
        match Verdict::of_answer(StatusCode::TOO_MANY_REQUESTS, Meaning::Retry, &home(), &headers, now) {
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
        assert_eq!(after("Monday, 23-Nov-26 08:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Mon Nov 23 08:01:00 2026"), Some(Duration::from_secs(60)));
        assert_eq!(after("Thu Dec  3 08:00:00 2026"), Some(Duration::from_hours(10 * 24)));
        for nothing in [
            "",
            "-1",
            "+1",
            "1 2",
            "1.5",
            "1e3",
            "soon",
            "Mon, 32 Nov 2026 08:01:00 GMT",
            "Mon, 23 Nov 2026 08:01:00 +0200",
            "2026-11-23T08:01:00Z",
        ] {
            assert_eq!(after(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_location_is_told_without_its_secrets() {
        let told = |location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().expect("a header"))]);
            format!(
                "{:?}",
                Verdict::of_answer(StatusCode::FOUND, Meaning::Failure, &home(), &headers, Timestamp::UNIX_EPOCH)
            )
        };
        for location in [
            "https://me:geheim@a.example/x?token=geheim&n=1",
            "/x?token=geheim",
            "//me:geheim@a.example/x",
            "\\\\me:geheim@a.example/x#n=1&access_token=geheim",
            "/x/T0/B0/geheim",
            "https://a.example/x;token=geheim/y",
        ] {
            assert!(!told(location).contains("geheim") && told(location).contains("/x"), "{}", told(location));
        }
        assert!(told(&format!("/{}", "geheim/".repeat(50))).contains("(to https://hooks.slack.com/…)"));
    }

    #[test]
    fn only_what_time_may_mend_is_repeated() {
        for code in 200..600_u16 {
            let status = StatusCode::from_u16(code).expect("a status");
            let meaning = StatusRules::default().meaning(None, code);
            let verdict = Verdict::of_answer(status, meaning, &home(), &HeaderMap::new(), Timestamp::UNIX_EPOCH);
            match code {
                200..=299 => assert_eq!(verdict, Verdict::Delivered),
                408 | 425 | 429 | 500.. => assert!(matches!(verdict, Verdict::Retry { .. }), "{code}"),
                _ => assert!(matches!(verdict, Verdict::Failed { .. }), "{code}"),
            }
        }
    }
}
