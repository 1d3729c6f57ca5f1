//! What was true of each stay, and what its hooks must therefore say.

use std::collections::BTreeMap;

use hookswitch::id::{AttemptKey, MomentId};
use hookswitch::moment::value::{CancelReason, CcResult, Outcome, Seconds, Side, Time};
use hookswitch::moment::{EventName, Payload};
use serde_json::{Value, json};

use crate::story::{Leg, Stay, micros};

/// What was true of a stay. Times are microseconds.
#[derive(Clone, Debug)]
pub(crate) struct TrueStay {
    pub(crate) stay: Stay,
    pub(crate) session: String,
    /// Which of the stays that share all UUIDs it is.
    pub(crate) ordinal: u32,
    /// Which of the member's stays it is, from 1.
    pub(crate) attempt_seq: u64,
    /// The stay before it: of the same member, or on the same channel.
    pub(crate) previous_attempt_id: Option<u64>,
    pub(crate) first_joined_at: Option<i64>,
    pub(crate) call_began_at: i64,
    pub(crate) offers: Vec<TrueOffer>,
    pub(crate) talk: Option<TrueTalk>,
    /// When mod_callcenter struck the member off its list.
    pub(crate) struck_off_at: i64,
    pub(crate) end: TrueEnd,
}

/// What was true of an offer.
#[derive(Clone, Debug)]
pub(crate) struct TrueOffer {
    pub(crate) agent: String,
    /// Which of the stay's offers to this agent it is.
    pub(crate) ordinal: u32,
    pub(crate) legs: Vec<Leg>,
    pub(crate) offered_at: i64,
    pub(crate) answered_at: Option<i64>,
    pub(crate) ended_at: i64,
    pub(crate) outcome: Outcome,
}

/// What was true of a conversation.
#[derive(Clone, Debug)]
pub(crate) struct TrueTalk {
    pub(crate) offer: usize,
    pub(crate) began_at: i64,
    pub(crate) ended_at: i64,
    /// When the agent was free for post-processing.
    pub(crate) agent_done_at: i64,
    pub(crate) hold_ms: Option<i64>,
}

/// What was true of a stay's end.
#[derive(Clone, Debug)]
pub(crate) struct TrueEnd {
    pub(crate) left_at: i64,
    pub(crate) result: CcResult,
    pub(crate) reason: Option<CancelReason>,
    pub(crate) cause: Option<&'static str>,
    pub(crate) hangup_side: Option<Side>,
    pub(crate) talk_ended_by: Option<Side>,
    pub(crate) transferred_to: Option<String>,
    pub(crate) exit_key: Option<&'static str>,
}

/// What a hook must say, by field.
pub(crate) type Saying = BTreeMap<&'static str, Value>;

/// The fields of every hook that are compared.
const ALWAYS: [&str; 6] = ["event", "timestamp", "queue_name", "attempt_id", "joined_at", "cc_attempt_seq"];

/// The fields of an offer's hooks that are compared.
const OF_OFFER: [&str; 5] = ["agent_name", "agent_channel_id", "offered_at", "missed_reason", "ring_sec"];

/// The fields of `leaving` that are compared.
const OF_LEAVING: [&str; 17] = [
    "cc_result",
    "cc_cancel_reason",
    "call_cause",
    "hangup_side",
    "talk_ended_by",
    "transferred_to",
    "exit_key",
    "left_at",
    "bridged_at",
    "wait_sec",
    "call_duration",
    "call_voice_sec",
    "hold_sec",
    "hold_count",
    "offers",
    "previous_attempt_id",
    "first_joined_at",
];

/// Of the fields that a payload has, those that are compared.
pub(crate) fn said(payload: &Payload) -> Saying {
    let fields = serde_json::to_value(payload).expect("serializes");
    let of_event = match payload.event {
        EventName::Leaving => &OF_LEAVING[..],
        event if event.is_of_offer() => &OF_OFFER[..],
        _ => &[],
    };
    let mut said: Saying = ALWAYS.iter().chain(of_event).map(|name| (*name, fields[*name].clone())).collect();
    if let Some(Value::Array(offers)) = said.get_mut("offers") {
        sort(offers);
    }
    said
}

/// Several agents who are called at the same time come in any order.
fn sort(offers: &mut [Value]) {
    offers.sort_by_key(Value::to_string);
}

impl TrueOffer {
    fn is_missed(&self) -> bool {
        self.answered_at.is_none() && !matches!(self.outcome, Outcome::Bridged | Outcome::LostRace)
    }

    fn ring(&self) -> Value {
        seconds(self.offered_at, self.answered_at.unwrap_or(self.ended_at))
    }
}

impl TrueStay {
    /// The key, in a process.
    pub(crate) fn key(&self, core: &str) -> AttemptKey {
        AttemptKey {
            core: core.into(),
            queue: (&*self.stay.queue).into(),
            member: (&*self.stay.member).into(),
            session: (&*self.session).into(),
            ordinal: self.ordinal,
        }
    }

    /// What its hooks must say, by the moments' names.
    pub(crate) fn sayings(&self, story_uuid: impl Fn(Leg) -> String) -> BTreeMap<MomentId, Saying> {
        let hash = self.key("core-1").hash();
        let mut sayings = BTreeMap::new();
        let mut say = |event: EventName, at: i64, offer: Option<&TrueOffer>, more: Saying| {
            let named = offer.map(|offer| ((&*offer.agent).into(), offer.ordinal));
            let id = hash.moment(event.as_str(), named.as_ref().map(|(agent, ordinal)| (agent, *ordinal)));
            let mut saying = self.always(event, at);
            if let Some(offer) = offer {
                saying.extend(of_offer(event, offer, &story_uuid));
            }
            saying.extend(more);
            sayings.insert(id, saying);
        };
        say(EventName::Joined, self.stay.joined_at, None, Saying::new());
        for (place, offer) in self.offers.iter().enumerate() {
            say(EventName::Offering, offer.offered_at, Some(offer), Saying::new());
            if let Some(at) = offer.answered_at {
                say(EventName::Answered, at, Some(offer), Saying::new());
            }
            if offer.is_missed() {
                say(EventName::Missed, offer.ended_at, Some(offer), Saying::new());
            }
            if let Some(talk) = self.talk.as_ref().filter(|talk| talk.offer == place) {
                say(EventName::Bridged, talk.began_at, Some(offer), Saying::new());
                say(EventName::Processing, talk.agent_done_at, Some(offer), Saying::new());
            }
        }
        say(EventName::Leaving, self.end.left_at, None, self.of_leaving());
        sayings
    }

    fn always(&self, event: EventName, at: i64) -> Saying {
        [
            ("event", json!(event)),
            ("timestamp", time(at)),
            ("queue_name", json!(self.stay.queue)),
            ("attempt_id", json!(self.key("core-1").hash().attempt_id())),
            ("joined_at", time(self.stay.joined_at)),
            ("cc_attempt_seq", if event == EventName::Joined { Value::Null } else { json!(self.attempt_seq) }),
        ]
        .into()
    }

    fn of_leaving(&self) -> Saying {
        let TrueEnd { left_at, result, reason, cause, hangup_side, talk_ended_by, transferred_to, exit_key } =
            &self.end;
        let talk = self.talk.as_ref();
        let hold_ms = talk.and_then(|talk| talk.hold_ms);
        let summary =
            |offer: &TrueOffer| json!({ "agent": offer.agent, "outcome": offer.outcome, "ring_sec": offer.ring() });
        let mut offers: Vec<_> = self.offers.iter().map(summary).collect();
        sort(&mut offers);
        [
            ("cc_result", json!(result)),
            ("cc_cancel_reason", json!(reason)),
            ("call_cause", json!(cause)),
            ("hangup_side", json!(hangup_side)),
            ("talk_ended_by", json!(talk_ended_by)),
            ("transferred_to", json!(transferred_to)),
            ("exit_key", json!(exit_key)),
            ("left_at", time(*left_at)),
            ("bridged_at", talk.map_or(Value::Null, |talk| time(talk.began_at))),
            ("wait_sec", seconds(self.stay.joined_at, talk.map_or(*left_at, |talk| talk.began_at))),
            ("call_duration", seconds(self.call_began_at, *left_at)),
            ("call_voice_sec", talk.map_or(Value::Null, |talk| seconds(talk.began_at, talk.ended_at))),
            ("hold_sec", seconds(0, hold_ms.unwrap_or(0) * 1_000)),
            ("hold_count", json!(u32::from(hold_ms.is_some()))),
            ("offers", json!(offers)),
            ("previous_attempt_id", json!(self.previous_attempt_id)),
            ("first_joined_at", self.first_joined_at.map_or(Value::Null, time)),
        ]
        .into()
    }
}

fn of_offer(event: EventName, offer: &TrueOffer, uuid: impl Fn(Leg) -> String) -> Saying {
    let missed = event == EventName::Missed;
    let mut saying = Saying::from([
        ("agent_name", json!(offer.agent)),
        ("offered_at", time(offer.offered_at)),
        ("missed_reason", if missed { json!(offer.outcome) } else { Value::Null }),
        ("ring_sec", if missed { offer.ring() } else { Value::Null }),
    ]);
    // Of several devices, any may be the first that is heard of.
    if let [] | [_] = offer.legs[..] {
        saying.insert("agent_channel_id", json!(offer.legs.first().map(|leg| uuid(*leg))));
    }
    saying
}

fn time(at: i64) -> Value {
    json!(Time(micros(at)))
}

fn seconds(from: i64, to: i64) -> Value {
    json!(Seconds::between(micros(from), micros(to)))
}
