//! Random calls, and what is heard of them, held against what was true.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test lifecycle properties` tries more of them.

use std::collections::BTreeSet;

use hookswitch::moment::EventName;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::model::journey::{self, Journey};
use crate::model::verdict::{differing, lost, made_up, too_much, unended, unsound, untold, untrue};
use crate::model::watcher::Watcher;
use crate::model::{Stage, script};

/// How many cases each property is tried with, unless `PROPTEST_CASES` says otherwise: seconds, all together.
const CASES: u32 = 400;

fn cases() -> ProptestConfig {
    // What they find becomes a scenario, which says more than a seed.
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    config
}

fn no_faults(faults: impl IntoIterator<Item = Vec<String>>) -> TestCaseResult {
    let faults: Vec<_> = faults.into_iter().flatten().collect();
    prop_assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// Nothing of the story was lost.
fn is_whole(stage: &Stage, told: &Watcher<'_>) -> TestCaseResult {
    let Watcher { payloads, lifecycle, .. } = told;
    no_faults([unsound(payloads, lifecycle), untrue(stage, payloads), lost(payloads)])
}

/// Something of the story may have been lost.
fn is_sound(stage: &Stage, told: &Watcher<'_>) -> TestCaseResult {
    let Watcher { payloads, lifecycle, .. } = told;
    no_faults([unsound(payloads, lifecycle), made_up(stage, payloads)])
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_told_is_true(calls in script::calls(), surveys in journey::surveys()) {
        let stage = Stage::of(&calls);
        is_whole(&stage, &Journey { surveys, ..Journey::default() }.of(&stage))?;
    }

    #[test]
    fn a_little_disorder_changes_nothing_that_is_told(
        calls in script::calls(),
        ways in journey::ways(0, 100),
        surveys in journey::surveys(),
    ) {
        let stage = Stage::of(&calls);
        is_whole(&stage, &Journey { ways, surveys, ..Journey::default() }.of(&stage))?;
    }

    #[test]
    fn events_that_are_seconds_late_leave_every_stay_sound(
        calls in script::calls_without_resumes(),
        ways in journey::ways(0, 15_000),
        surveys in journey::surveys(),
    ) {
        let stage = Stage::of(&calls);
        is_sound(&stage, &Journey { ways, surveys, ..Journey::default() }.of(&stage))?;
    }

    #[test]
    fn lost_events_leave_every_stay_sound(
        calls in script::calls_without_resumes(),
        ways in journey::ways(40, 5_000),
        surveys in journey::surveys(),
        outages in journey::outages(),
    ) {
        let stage = Stage::of(&calls);
        is_sound(&stage, &Journey { ways, surveys, outages }.of(&stage))?;
    }

    #[test]
    fn outages_and_restarts_leave_every_stay_sound(
        calls in script::calls_without_resumes(),
        surveys in journey::surveys(),
        outages in journey::outages(),
    ) {
        let stage = Stage::of(&calls);
        let told = Journey { surveys, outages, ..Journey::default() }.of(&stage);
        is_sound(&stage, &told)?;
        no_faults([too_much(&stage, &told.payloads)])?;
    }

    #[test]
    fn what_is_told_beyond_the_eight_changes_nothing_of_these_and_has_an_end(
        calls in script::calls_without_resumes(),
        ways in journey::ways(40, 15_000),
        surveys in journey::surveys(),
        outages in journey::outages(),
    ) {
        let mut stage = Stage::of(&calls);
        let journey = Journey { ways, surveys, outages }.without_restarts();
        let eight = journey.of(&stage).payloads;
        stage.story.hear_all();
        let mut told = journey.of(&stage);
        told.rest();
        no_faults([unended(&told.payloads, &told.lifecycle)])?;
        told.payloads.retain(|payload| payload.event.is_of_the_eight());
        no_faults([differing(&told.payloads, &eight)])?;
    }

    #[test]
    fn what_is_told_beyond_the_eight_has_an_end_across_restarts(
        calls in script::calls_without_resumes(),
        surveys in journey::surveys(),
        outages in journey::outages(),
    ) {
        let mut stage = Stage::of(&calls);
        stage.story.hear_all();
        let mut told = Journey { surveys, outages, ..Journey::default() }.of(&stage);
        told.rest();
        no_faults([unended(&told.payloads, &told.lifecycle)])?;
    }

    #[test]
    fn a_daemon_that_starts_later_names_stays_alike(
        calls in script::calls_without_resumes(),
        after_ms in 0..60_000_i64,
        survey in journey::survey_times(),
        listed_after_ms in 0..500_i64,
    ) {
        let stage = Stage::of(&calls);
        let late = Journey::default().of_a_late_comer(&stage, after_ms, survey, listed_after_ms);
        no_faults([unsound(&late.payloads, &late.lifecycle)])?;
        let of_stays = |told: &Watcher<'_>| -> BTreeSet<_> {
            let is_of_stay = |event| matches!(event, EventName::Joined | EventName::Leaving);
            told.payloads.iter().filter(|payload| is_of_stay(payload.event)).map(|payload| payload.id).collect()
        };
        prop_assert!(of_stays(&late).is_subset(&of_stays(&Journey::default().of(&stage))));
    }

    #[test]
    fn every_stay_that_ends_while_a_daemon_listens_is_told(
        calls in script::calls_without_resumes(),
        after_ms in 0..60_000_i64,
        survey in journey::survey_times(),
        listed_after_ms in 0..500_i64,
    ) {
        let stage = Stage::of(&calls);
        let told = Journey::default().of_a_late_comer(&stage, after_ms, survey, listed_after_ms);
        no_faults([unsound(&told.payloads, &told.lifecycle), untold(&stage, &told.payloads, after_ms)])?;
    }
}
