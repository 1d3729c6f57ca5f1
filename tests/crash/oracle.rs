//! What must hold, whenever and however often the daemon was killed.
//!
//! Nothing is judged by how fast anything was. What the daemon certainly saw in one of its lives is told by its own moments:
//! it takes events one after the other and commits in their order, so between the first and the last event that a life's
//! committed moments name, nothing passed it by. What it certainly did not see had reached the witness before that life
//! began.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use hookswitch::moment::value::CancelReason;
use hookswitch::moment::{EventName, Payload};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::inbox::{Arrivals, Arrived};
use crate::story;
use crate::truth::Truth;
use crate::witness::{Sight, Sightings, Stay, StayName};

/// How long after its last event a stay may still have something to tell, in simulated time: an agent who is called off is
/// `withdrawn` after two seconds of silence. Where no `member-queue-end` comes, ten seconds are waited for it.
const SETTLES_WITHIN: SignedDuration = SignedDuration::from_secs(4);
const SETTLES_WITHOUT_END_WITHIN: SignedDuration = SignedDuration::from_secs(11);

/// What must be true of an attempt whatever of it was missed, unless it was lost: how it ended.
const ENDING: [&str; 4] = ["cc_result", "cc_cancel_reason", "call_cause", "hangup_side"];

/// What may be unknown where the end of the member's call was missed and that of its stay was not.
const MAY_BE_UNKNOWN: [&str; 2] = ["call_cause", "hangup_side"];

/// Everything that is known.
pub(crate) struct Evidence<'a> {
    pub(crate) arrivals: &'a Arrivals,
    /// All runs of the outbox.
    pub(crate) runs: Vec<Run>,
    /// The simulator's journal.
    pub(crate) journal: Vec<Value>,
    pub(crate) sightings: Sightings,
    /// When each life of the daemon began.
    pub(crate) lives: Vec<Timestamp>,
    /// When events may have passed it by while it lived.
    pub(crate) gaps: Vec<Gap>,
}

/// A time in which events may have passed the daemon by, because what is behind it could not take them.
#[derive(Clone, Copy)]
pub(crate) struct Gap {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// A run, as `deliveries list --json` has it.
#[derive(Deserialize)]
pub(crate) struct Run {
    id: String,
    state: String,
    attempt: String,
    created_at: Timestamp,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Findings {
    /// What must not be, in words.
    pub(crate) differences: Vec<String>,
    /// How many attempts were followed from their beginning to their end in one life: told as the journal has them.
    pub(crate) followed: usize,
    /// How many began under the daemon's eyes and were not followed to their end in that life.
    pub(crate) interrupted: usize,
    /// How many began where it is not certain that the daemon saw it, and were told.
    uncertain: usize,
    /// How many of all these left with `lost`.
    lost: usize,
    /// How many began before the life that told them first.
    taken_up: usize,
    /// How many were not told.
    untold: usize,
    covers: String,
}

/// What was told of one attempt.
struct Told<'a> {
    /// Its moments in the order of their numbers, without `active`.
    moments: Vec<&'a Payload>,
    /// The life in which its first moment was committed.
    life: usize,
}

/// The part of the stream that one life certainly saw.
struct Span {
    first: Sight,
    /// None: to the stream's end.
    last: Option<Sight>,
}

impl Span {
    fn widen(&mut self, sight: Sight) {
        if sight.place < self.first.place {
            self.first = sight;
        }
        self.last = self.last.filter(|last| last.place > sight.place).or(Some(sight));
    }

    fn holds(&self, sight: Sight) -> bool {
        self.first.place <= sight.place && self.last.is_none_or(|last| sight.place <= last.place)
    }

    /// Whether the stay was seen to its end, and what it waited for has passed.
    fn outlasts(&self, stay: &Stay, settling: SignedDuration) -> bool {
        self.last.is_none_or(|last| stay.last.place <= last.place && stay.last.at + settling < last.at)
    }
}

impl Evidence<'_> {
    /// Holds the accounts against each other.
    pub(crate) fn judge(&self) -> Findings {
        let mut findings = Findings { covers: self.covers(), ..Findings::default() };
        findings.differences.extend(self.webhooks());
        findings.differences.extend(self.deliveries());
        let runs: HashMap<_, _> = self.runs.iter().map(|run| (run.id.as_str(), run)).collect();
        // What arrived without being in the outbox is a difference already.
        let known = self.arrivals.webhooks.iter();
        let known: Vec<_> = known.filter_map(|arrived| Some((arrived, *runs.get(run_of(&arrived.id))?))).collect();
        findings.differences.extend(story::disordered(
            known.iter().map(|(arrived, run)| (&*arrived.path, &*run.attempt, arrived.moment.sequence.unwrap_or(0))),
        ));
        let (told, illegal) = self.told(&known);
        findings.differences.extend(illegal);
        let spans = self.spans(&known);
        for line in &self.journal {
            self.compare(line, &told, &spans, &mut findings);
        }
        findings
    }

    fn covers(&self) -> String {
        format!(
            "{} lives, {} events, {} attempts in the journal, {} runs, {} webhooks and {} repeats of them",
            self.lives.len(),
            self.sightings.events.len(),
            self.journal.len(),
            self.runs.len(),
            self.arrivals.webhooks.len(),
            self.arrivals.repeats
        )
    }

    /// A webhook keeps its identifier and its body however often it comes; no moment comes to a flow under two.
    fn webhooks(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.arrivals.forged > 0 {
            found.push(format!("{} signatures are wrong", self.arrivals.forged));
        }
        found.extend(self.arrivals.changed.iter().map(|id| format!("{id} came with two bodies")));
        let mut names = HashMap::new();
        for Arrived { id, path, moment, .. } in &self.arrivals.webhooks {
            if let Some(other) = names.insert((path, moment.id), id) {
                found.push(format!("moment {} came to {path} as {other} and as {id}", moment.id));
            }
        }
        found
    }

    /// Every run of the outbox is delivered and was accepted; nothing arrived that is not in the outbox.
    fn deliveries(&self) -> Vec<String> {
        let accepted: BTreeSet<_> = self.arrivals.accepted.iter().map(|id| run_of(id)).collect();
        let arrived: BTreeSet<_> = self.arrivals.webhooks.iter().map(|arrived| run_of(&arrived.id)).collect();
        let known: BTreeSet<_> = self.runs.iter().map(|run| run.id.as_str()).collect();
        let open = self.runs.iter().filter(|run| run.state != "delivered");
        let open = open.map(|run| format!("run {} is {}", run.id, run.state));
        let missing = known.difference(&accepted).map(|run| format!("run {run} was never accepted"));
        let strange = arrived.difference(&known).map(|run| format!("run {run} arrived and is not in the outbox"));
        open.chain(missing).chain(strange).collect()
    }

    /// What was told of each stay, and what is wrong with it by itself. Two attempts for one stay are one too many.
    fn told<'a>(&self, known: &[(&'a Arrived, &'a Run)]) -> (BTreeMap<StayName, Told<'a>>, Vec<String>) {
        let mut attempts: BTreeMap<&str, (Timestamp, BTreeMap<_, &Payload>)> = BTreeMap::new();
        for (arrived, run) in known {
            let moment = &arrived.moment;
            let (first, moments) = attempts.entry(&run.attempt).or_insert((run.created_at, BTreeMap::new()));
            *first = run.created_at.min(*first);
            moments.insert((moment.sequence, moment.id), moment);
        }
        let (mut told, mut wrong) = (BTreeMap::new(), Vec::new());
        for (committed_at, moments) in attempts.into_values() {
            let (moments, illegal) = story::check(moments.into_values().collect());
            let Some(name) = moments.first().map(|moment| stay_of(moment)) else { continue };
            wrong.extend(illegal.into_iter().map(|what| format!("{name:?}: {what}")));
            let life = self.life_at(committed_at);
            if told.insert(name.clone(), Told { moments, life }).is_some() {
                wrong.push(format!("{name:?}: it is told as two attempts"));
            }
        }
        (told, wrong)
    }

    fn life_at(&self, time: Timestamp) -> usize {
        self.lives.partition_point(|began| *began <= time).saturating_sub(1)
    }

    /// What each life saw, between its gaps. The last one outlives the simulator, so it saw everything from its first event,
    /// or the first after its last gap, on.
    fn spans(&self, known: &[(&Arrived, &Run)]) -> Vec<Span> {
        let mut spans: BTreeMap<(usize, usize), Span> = BTreeMap::new();
        for (arrived, run) in known {
            let source = arrived.moment.source.event_sequence;
            let Some(sight) = source.and_then(|sequence| self.sightings.events.get(&sequence)) else { continue };
            if self.gaps.iter().any(|gap| (gap.from..gap.to).contains(&sight.seen_at)) {
                continue;
            }
            let gaps = self.gaps.iter().filter(|gap| gap.to <= sight.seen_at).count();
            let name = (self.life_at(run.created_at), gaps);
            spans.entry(name).or_insert(Span { first: *sight, last: Some(*sight) }).widen(*sight);
        }
        if let Some(span) = spans.get_mut(&(self.lives.len() - 1, self.gaps.len())) {
            span.last = None;
        }
        spans.into_values().collect()
    }

    /// Compares one line of the journal with what was told. What began before the witness came is left out.
    fn compare(&self, line: &Value, told: &BTreeMap<StayName, Told<'_>>, spans: &[Span], findings: &mut Findings) {
        let text = |name: &str| line[name].as_str().expect("a text").to_owned();
        let name = (text("queue"), text("member_channel_id"));
        let Some(stay) = self.sightings.stays.get(&name) else { return };
        let seen = spans.iter().find(|span| span.holds(stay.first));
        let mut differs = |what: String| findings.differences.push(format!("{name:?}: {what}"));
        let Some(told) = told.get(&name) else {
            if seen.is_some() {
                differs("its beginning was seen and not told".into());
            }
            return findings.untold += 1;
        };
        let settling = if line["no_queue_end"] == true { SETTLES_WITHOUT_END_WITHIN } else { SETTLES_WITHIN };
        match seen {
            Some(span) if span.outlasts(stay, settling) => {
                exact(line, told).into_iter().for_each(&mut differs);
                return findings.followed += 1;
            }
            Some(_) => findings.interrupted += 1,
            None => findings.uncertain += 1,
        }
        let life_began = self.lives[told.life];
        if stay.last.seen_at < life_began {
            differs("it was over before the daemon that told of it began".into());
        } else if stay.first.seen_at < life_began {
            findings.taken_up += 1;
            if !told.moments[0].synthetic {
                differs("it began before the daemon that told of it, and `joined` is not synthetic".into());
            }
        }
        let Some(leaving) = told.moments.iter().find(|moment| moment.event == EventName::Leaving) else { return };
        if leaving.cc_cancel_reason == Some(CancelReason::Lost) {
            findings.lost += 1;
            if !leaving.synthetic {
                differs("it was lost, and `leaving` is not synthetic".into());
            }
            return;
        }
        let fields = serde_json::to_value(leaving).expect("serializes");
        let is_unknown = |field| fields[field].is_null() && MAY_BE_UNKNOWN.contains(&field);
        for field in ENDING.into_iter().filter(|field| fields[*field] != line[*field] && !is_unknown(field)) {
            differs(format!(
                "{field} is {}, in truth {}; told: {}; truth: {}",
                fields[field],
                line[field],
                story::words(&told.moments),
                line["hooks"]
            ));
        }
    }
}

/// What was told and what is true, all of it.
fn exact(line: &Value, told: &Told<'_>) -> Vec<String> {
    let attempt = serde_json::from_value(line.clone()).expect("a line of the journal");
    let moments: Vec<_> = told.moments.iter().map(|moment| (*moment).clone()).collect();
    Truth { recording: "journal".into(), config: None, attempts: vec![attempt] }.compare(&moments)
}

/// The run, whose identifier is the webhook's middle: `whr_RUN_STEP`.
fn run_of(webhook: &str) -> &str {
    webhook.split('_').nth(1).unwrap_or_default()
}

fn stay_of(moment: &Payload) -> StayName {
    let channel = moment.member_channel_id.as_ref().map_or("", |channel| channel.as_str());
    (moment.queue_name.as_ref().map_or_else(String::new, ToString::to_string), channel.to_owned())
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.covers)?;
        let Self { followed, interrupted, uncertain, lost, taken_up, untold, .. } = self;
        writeln!(f, "{followed} attempts were followed to their end and told as the journal has them")?;
        writeln!(
            f,
            "{interrupted} were interrupted, {uncertain} began about a kill or a gap: {lost} of both left as lost"
        )?;
        writeln!(f, "{taken_up} were taken up on the way, {untold} were never told")?;
        self.differences.iter().try_for_each(|what| writeln!(f, "  {what}"))
    }
}
