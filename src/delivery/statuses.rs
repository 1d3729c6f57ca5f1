//! Statuses of answers: which count as success, and which are tried again.

use std::ops::RangeInclusive;

/// Some statuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

/// What statuses mean, where it is said; unsaid: as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusRules {
    /// Those that count as success, instead of 2xx.
    pub success: Option<Statuses>,
    /// Those that are tried again, instead of 408, 425, 429 and 5xx.
    pub retry: Option<Statuses>,
}

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The receiver has it.
    Success,
    /// It may work later.
    Retry,
    /// It will not work.
    Failure,
}

/// The statuses that an answer can have: those below are only on the way to one.
const ANSWERS: RangeInclusive<u16> = 200..=599;

impl Statuses {
    /// Those in any of the ranges.
    pub fn new(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        Self(ranges.into_iter().collect())
    }

    /// Service Unavailable alone: with `Retry-After` it speaks for the whole receiver.
    pub fn unavailable() -> Self {
        Self::new([503..=503])
    }

    /// Reads a class (`5xx`), a range (`400-403`) or one status.
    pub fn parse(text: &str) -> Option<RangeInclusive<u16>> {
        let digits = |text: &str| {
            let is_status = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            is_status.then(|| text.parse::<u16>().ok()).flatten()
        };
        let text = text.trim();
        let range = match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(class), _) => {
                let first = digits(&format!("{class}00"))?;
                first..=first + 99
            }
            (None, Some((first, last))) => digits(first.trim_end())?..=digits(last.trim_start())?,
            (None, None) => digits(text)?..=digits(text)?,
        };
        let is_answer = |status: &u16| ANSWERS.contains(status);
        (range.start() <= range.end() && is_answer(range.start()) && is_answer(range.end())).then_some(range)
    }

    /// Whether the status is one of these.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl StatusRules {
    /// A status that is said to be both a success and to be tried again.
    pub fn contradiction(&self) -> Option<u16> {
        let (success, retry) = (self.success.as_ref()?, self.retry.as_ref()?);
        ANSWERS.into_iter().find(|status| success.contains(*status) && retry.contains(*status))
    }

    /// What a status means by these rules, or else by the more general ones.
    pub fn meaning(&self, general: Option<&Self>, status: u16) -> Meaning {
        // The more general a rule, the later it comes; what neither says is as usual.
        let levels = [Some(self), general];
        let said = |rule: fn(&Self) -> Option<&Statuses>| {
            let found = levels.iter().enumerate().find_map(|(level, rules)| Some((level, rule((*rules)?)?)));
            found.map(|(level, statuses)| (level, statuses.contains(status)))
        };
        let success = said(|rules| rules.success.as_ref()).unwrap_or((2, is_usual_success(status)));
        let retry = said(|rules| rules.retry.as_ref()).unwrap_or((2, is_usually_retried(status)));
        match (success, retry) {
            ((level, true), (other, true)) if other < level => Meaning::Retry,
            ((_, true), _) => Meaning::Success,
            (_, (_, true)) => Meaning::Retry,
            _ => Meaning::Failure,
        }
    }
}

fn is_usual_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

/// Time helps where the receiver waited too long for the request (408), where it is too early (425), where there are too
/// many (429), and with the receiver's own faults.
fn is_usually_retried(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(texts: &[&str]) -> Statuses {
        Statuses::new(texts.iter().map(|text| Statuses::parse(text).expect("statuses")))
    }

    fn rules(success: Option<&[&str]>, retry: Option<&[&str]>) -> StatusRules {
        StatusRules { success: success.map(statuses), retry: retry.map(statuses) }
    }

    #[test]
    fn classes_ranges_and_single_statuses_are_read() {
        assert_eq!(Statuses::parse("5xx"), Some(500..=599));
        assert_eq!(Statuses::parse(" 400 - 403 "), Some(400..=403));
        assert_eq!(Statuses::parse("404"), Some(404..=404));
        for other in
            ["", "xx", "6xx", "1xx", "100", "600", "403-400", "40", "0404", "+404", "5XX", "4-5", "400-", "55xx"]
        {
            assert_eq!(Statuses::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_said_of_the_step_goes_before_what_is_said_of_the_receiver() {
        let usual = StatusRules::default();
        let receiver = rules(Some(&["200", "404"]), Some(&["401", "5xx"]));
        let step = rules(None, Some(&["404"]));
        let meaning = |rules: &StatusRules, general, status| rules.meaning(general, status);
        assert_eq!(meaning(&usual, None, 204), Meaning::Success);
        assert_eq!(meaning(&usual, None, 404), Meaning::Failure);
        assert_eq!(meaning(&usual, Some(&receiver), 404), Meaning::Success);
        assert_eq!(meaning(&usual, Some(&receiver), 204), Meaning::Failure, "these instead of 2xx");
        assert_eq!(meaning(&usual, Some(&receiver), 401), Meaning::Retry);
        assert_eq!(meaning(&usual, Some(&receiver), 429), Meaning::Failure, "these instead of the usual ones");
        assert_eq!(meaning(&step, Some(&receiver), 404), Meaning::Retry);
        assert_eq!(meaning(&step, Some(&receiver), 500), Meaning::Failure);
        assert_eq!(meaning(&rules(None, Some(&["202"])), None, 202), Meaning::Retry);
        assert_eq!(meaning(&rules(Some(&["503"]), None), None, 503), Meaning::Success);
    }

    #[test]
    fn a_status_is_not_both() {
        assert_eq!(rules(Some(&["2xx"]), Some(&["5xx", "290-310"])).contradiction(), Some(290));
        assert_eq!(rules(Some(&["2xx"]), Some(&["5xx"])).contradiction(), None);
        assert_eq!(rules(None, Some(&["2xx"])).contradiction(), None);
    }
}
