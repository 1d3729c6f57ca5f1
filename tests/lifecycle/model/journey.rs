//! What becomes of events, connections and daemons on the way, at random.

use proptest::prelude::*;

use super::stage::Stage;
use super::watcher::{SurveyTimes, Watcher};
use crate::story::Sent;

/// How long after a story's last event all is over: longer than anything waits for anything.
const AFTERWARDS: i64 = 3_600_000_000;

/// What happens on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journey {
    /// What becomes of events: of the first, of the second, and so on, over and over.
    pub(crate) ways: Ways,
    pub(crate) surveys: Vec<Survey>,
    pub(crate) outages: Vec<Outage>,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    pub(crate) is_lost: bool,
    pub(crate) is_doubled: bool,
    pub(crate) delay_ms: i64,
}

/// The daemon looks what there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Survey {
    pub(crate) after_ms: i64,
    pub(crate) lasts: SurveyTimes,
}

/// The connection is cut for some time; the daemon is started anew meanwhile, or lives on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) after_ms: i64,
    pub(crate) lasts_ms: i64,
    pub(crate) restarts: bool,
    pub(crate) survey: SurveyTimes,
}

/// What becomes of events.
#[derive(Clone, Default)]
pub(crate) struct Ways(Vec<Way>);

impl std::fmt::Debug for Ways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let winding = |(place, way): (usize, &Way)| match way {
            Way { is_lost: true, .. } => Some(format!("{place}: lost")),
            Way { is_doubled, delay_ms, .. } if *is_doubled || *delay_ms > 0 => {
                Some(format!("{place}: {}+{delay_ms} ms", if *is_doubled { "doubled " } else { "" }))
            }
            Way { .. } => None,
        };
        f.debug_list().entries(self.0.iter().enumerate().filter_map(winding)).finish()
    }
}

/// Ways on which so many events of 256 are lost, and one of eight is late, by at most `latest_ms`.
pub(crate) fn ways(losses_in_256: u16, latest_ms: i64) -> impl Strategy<Value = Ways> {
    let way = (0..256_u16, 0..10_u8, 0..8_u8, 0..=latest_ms).prop_map(move |(lost, doubled, late, delay_ms)| Way {
        is_lost: lost >= 256 - losses_in_256,
        is_doubled: doubled == 9,
        delay_ms: if late == 7 { delay_ms } else { 0 },
    });
    prop::collection::vec(way, 97).prop_map(Ways)
}

/// How long a survey takes.
pub(crate) fn survey_times() -> impl Strategy<Value = SurveyTimes> {
    (0..40_i64, 0..300_i64, 0..300_i64, 0..100_i64).prop_map(|(channels_ms, members_ms, dumps_ms, answer_ms)| {
        SurveyTimes { channels_ms, members_ms, dumps_ms, answer_ms }
    })
}

/// Some surveys.
pub(crate) fn surveys() -> impl Strategy<Value = Vec<Survey>> {
    let survey = (0..90_000_i64, survey_times()).prop_map(|(after_ms, lasts)| Survey { after_ms, lasts });
    prop::collection::vec(survey, 0..5)
}

/// Some outages.
pub(crate) fn outages() -> impl Strategy<Value = Vec<Outage>> {
    let outage = (0..60_000_i64, 0..30_000_i64, any::<bool>(), survey_times())
        .prop_map(|(after_ms, lasts_ms, restarts, survey)| Outage { after_ms, lasts_ms, restarts, survey });
    prop::collection::vec(outage, 0..3)
}

/// A step of the way.
enum Step<'a> {
    Hear(&'a Sent),
    Survey(SurveyTimes),
    Cut,
    Restart,
    Connect(SurveyTimes),
}

impl Journey {
    /// The same, but that one daemon sees all of it.
    pub(crate) fn without_restarts(&self) -> Self {
        let mut journey = self.clone();
        journey.outages.iter_mut().for_each(|outage| outage.restarts = false);
        journey
    }

    /// What a daemon makes of it that is there from the beginning.
    pub(crate) fn of<'a>(&self, stage: &'a Stage) -> Watcher<'a> {
        let mut watcher = Watcher::new(stage);
        let sent = self.sent(stage);
        let beginning = stage.story.sent[0].happens_at;
        let mut steps = vec![(beginning, Step::Connect(SurveyTimes::default()))];
        steps.extend(sent.iter().map(|sent| (sent.arrives_at, Step::Hear(sent))));
        steps.extend(self.surveys.iter().map(|s| (beginning + s.after_ms * 1_000, Step::Survey(s.lasts))));
        for outage in &self.outages {
            let cut_at = beginning + outage.after_ms * 1_000;
            let connected_at = cut_at + outage.lasts_ms * 1_000;
            steps.push((cut_at, Step::Cut));
            steps.extend(outage.restarts.then_some((connected_at, Step::Restart)));
            steps.push((connected_at, Step::Connect(outage.survey)));
        }
        walk(&mut watcher, steps);
        watcher
    }

    /// What a daemon makes of it that begins so much later.
    pub(crate) fn of_a_late_comer<'a>(
        &self,
        stage: &'a Stage,
        after_ms: i64,
        survey: SurveyTimes,
        listed_after_ms: i64,
    ) -> Watcher<'a> {
        let mut watcher = Watcher::new(stage);
        watcher.listed_after = listed_after_ms * 1_000;
        let sent = self.sent(stage);
        let begins_at = stage.story.sent[0].happens_at + after_ms * 1_000;
        let mut steps = vec![(begins_at, Step::Connect(survey))];
        let heard = sent.iter().filter(|sent| begins_at <= sent.arrives_at);
        steps.extend(heard.map(|sent| (sent.arrives_at, Step::Hear(sent))));
        walk(&mut watcher, steps);
        watcher
    }

    /// The events that arrive. The first, a heartbeat, is the beginning of the connection.
    fn sent(&self, stage: &Stage) -> Vec<Sent> {
        let steady = [Way::default()];
        let ways = if self.ways.0.is_empty() { &steady[..] } else { &self.ways.0 };
        let mut arriving = Vec::new();
        for (sent, way) in stage.story.sent.iter().zip(steady.iter().chain(ways.iter().cycle())) {
            let copies = if way.is_lost { 0 } else { 1 + usize::from(way.is_doubled) };
            let arrives_at = sent.arrives_at + way.delay_ms * 1_000;
            arriving.extend((0..copies).map(|_| Sent { arrives_at, ..sent.clone() }));
        }
        arriving
    }
}

/// Takes the steps in the order of time; when all is over, FreeSWITCH is found empty.
fn walk(watcher: &mut Watcher<'_>, mut steps: Vec<(i64, Step<'_>)>) {
    steps.sort_by_key(|(at, _)| *at);
    let last = steps.last().map_or(0, |(at, _)| *at);
    let mut is_cut = false;
    for (at, step) in steps {
        watcher.run_until(at);
        match step {
            Step::Hear(sent) if !is_cut => watcher.hear(sent, at),
            Step::Survey(lasts) if !is_cut => watcher.notice_gap(at, lasts),
            Step::Hear(_) | Step::Survey(_) => {}
            Step::Cut => {
                watcher.disconnect(at);
                is_cut = true;
            }
            Step::Restart => watcher.restart(at),
            Step::Connect(survey) => {
                watcher.connect(at, survey);
                is_cut = false;
            }
        }
    }
    for hours in 1..=2 {
        let at = last + hours * AFTERWARDS;
        watcher.run_until(at);
        watcher.pass_time(at);
        watcher.notice_gap(at, SurveyTimes::default());
    }
    watcher.run_until(last + 2 * AFTERWARDS);
    watcher.pass_time(last + 3 * AFTERWARDS);
}
