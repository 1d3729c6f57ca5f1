//! The payload of a moment: each field declared once, with its type, its meaning, the events that carry it and a sample.
//!
//! From this declaration come the JSON schema, the reference page and the sample moments that test-fires send. Every
//! payload has every field; one that does not apply to its event, or is not known, is `null`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::EventName::{
    self, Abandoned, Active, AgentState, AgentStatus, Answered, Bridged, Hold, Joined, Leaving, Missed, OfferEnded,
    Offering, Processed, Processing, QueueCount, Reconciled, Resumed, SlaMissed, Transferred, Unhold,
};
use super::event::EventSet;
use super::value::{
    AmdResult, CancelReason, CcResult, Medium, MissedReason, OfferSummary, Outcome, QueueType, Seconds, Side, Source,
    Time, Variables,
};
use crate::id::{AgentName, ChannelUuid, MomentId, NodeName, QueueName};

/// What the reference tells of one field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The field's name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// The events that carry it.
    pub events: EventSet,
    /// Whether it is known wherever it is carried.
    pub is_given: bool,
}

/// A field that is null only where it does not apply: which events carry it is all that there is to know.
type Given<T> = Option<T>;

const fn is_given(field_type: &str) -> bool {
    // The other optional fields are written `Option`, those that no event is without by their type.
    !matches!(field_type.as_bytes(), [b'O', b'p', b't', b'i', b'o', b'n', b'<', ..])
}

/// Declares the payload's fields; see the invocation below.
macro_rules! payload {
    ($($(#[doc = $doc:literal])+ $(#[serde($serde:ident)])? $name:ident: $type:ty, $events:expr, $sample:expr;)*) => {
        /// The fields of a moment.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct Payload {
            $($(#[doc = $doc])+ $(#[serde($serde)])? pub $name: $type,)*
        }

        impl Payload {
            /// Every field, in the order in which payloads have them.
            pub const FIELDS: &'static [Field] = &[
                $(Field {
                    name: stringify!($name),
                    meaning: concat!($($doc),+),
                    events: $events,
                    is_given: is_given(stringify!($type)),
                },)*
            ];

            /// Sets to null what does not apply to the payload's event.
            pub fn clear_inapplicable(&mut self) {
                let event = self.event;
                $(if !const { $events }.contains(event) { self.$name = Default::default(); })*
            }

            /// A plausible payload of `event`.
            pub fn sample(event: EventName) -> Self {
                let mut payload = Self { $($name: $sample,)* };
                payload.event = event;
                payload.clear_inapplicable();
                payload
            }

            /// The field of that name.
            pub fn field(name: &str) -> Option<&'static Field> {
                Self::FIELDS.iter().find(|field| field.name == name)
            }

            /// Moves all its times, so that it happens at `timestamp`.
            pub fn move_to(&mut self, timestamp: jiff::Timestamp) {
                let by = timestamp.duration_since(self.timestamp.0);
                let times = [
                    &mut self.joined_at,
                    &mut self.first_joined_at,
                    &mut self.offered_at,
                    &mut self.answered_at,
                    &mut self.bridged_at,
                    &mut self.left_at,
                ];
                for time in times.into_iter().flatten().chain([&mut self.timestamp]) {
                    time.0 = time.0.saturating_add(by).unwrap_or(time.0);
                }
            }
        }
    };
}

const ALL: EventSet = EventSet::ALL;
/// In a queue.
const QUEUE: EventSet = EventSet::but(&[AgentStatus, AgentState]);
/// Of an attempt.
const ATTEMPT: EventSet = EventSet::but(&[AgentStatus, AgentState, QueueCount, Reconciled]);
const BUT_JOINED: EventSet = EventSet::but(&[Joined, AgentStatus, AgentState, QueueCount, Reconciled]);
const AGENT: EventSet = EventSet::but(&[Joined, Resumed, SlaMissed, QueueCount, Reconciled]);
const LEAVING: EventSet = EventSet::of(&[Leaving, Transferred, Abandoned]);
const ENDED: EventSet = LEAVING.and(EventSet::of(&[Processing, Processed]));
const VOICE: EventSet = ENDED.and(EventSet::of(&[Answered, Active, Offering, Bridged, OfferEnded, Hold, Unhold]));
const HOLD: EventSet = EventSet::of(&[Hold, Unhold]);
const MISSED: EventSet = EventSet::of(&[Missed]);
const OFFER_ENDED: EventSet = EventSet::of(&[OfferEnded]);
const CHANGE: EventSet = EventSet::of(&[AgentStatus, AgentState]);
const COUNT: EventSet = EventSet::of(&[QueueCount]);
const RECONCILED: EventSet = EventSet::of(&[Reconciled]);

payload! {
    /// The moment's identifier: the same for every repeat of it.
    id: MomentId, ALL, MomentId::from_bytes([0x5a; 16]);
    /// The event's name.
    event: EventName, ALL, Joined;
    /// The queue's name, as FreeSWITCH has it.
    queue_name: Given<QueueName>, QUEUE, Some("support@default".into());
    /// The queue's type.
    queue_type: Given<QueueType>, QUEUE, Some(QueueType::Inbound);
    /// The FreeSWITCH node, as the configuration names it.
    node: NodeName, ALL, "fs1".into();
    /// What carries the attempt: `call`, `chat` or `task`.
    channel: Given<Medium>, QUEUE, Some(Medium::Call);
    /// The attempt's number: 53 bits of a hash, or the dialer's `cc_attempt_id`. Not a unique key.
    attempt_id: Given<u64>, ATTEMPT, Some(3_541_774_862_152_233);
    /// The number called.
    destination: Option<String>, ATTEMPT, Some("2001".into());
    /// Whether post-processing is enabled.
    use_processing: Given<bool>, ATTEMPT, Some(true);
    /// The UUID of the agent's call.
    agent_channel_id: Option<ChannelUuid>, ATTEMPT, Some("6c565e9d-e7e5-4f2b-83f1-b889917b5d7b".into());
    /// The UUID of the member's call; null where no call carries the attempt, or before the member is called.
    member_channel_id: Option<ChannelUuid>, ATTEMPT, Some("ddc040a8-c903-4f12-8e46-485551fc06cf".into());
    /// The agent's name, as mod_callcenter has it.
    agent_name: Option<AgentName>, AGENT, Some("1000@default".into());
    /// The agent's identifier: from the configured directory, the call, or a numeric agent name.
    agent_id: Option<i64>, AGENT, Some(17);
    /// The user's identifier: from the configured directory or the call.
    user_id: Option<i64>, AGENT, Some(4);
    /// The agent's extension.
    agent_extension: Option<String>, AGENT, Some("1000".into());
    /// The member's name.
    member_name: Option<String>, ATTEMPT, Some("Zoë Müller".into());
    /// The member's identifier: the variable `cc_member_id`.
    member_id: Option<i64>, BUT_JOINED, Some(42);
    /// The member's number, in either direction.
    member_number: Option<String>, ATTEMPT, Some("40712345001".into());
    /// Which attempt of this member it is, from 1.
    cc_attempt_seq: Option<u64>, BUT_JOINED, Some(1);
    /// From the answering of the member's call to now, or to its end.
    call_bill_sec: Option<Seconds>, BUT_JOINED, Some(Seconds(6.04));
    /// From the start of the member's call to now, or to its end.
    call_duration: Option<Seconds>, BUT_JOINED, Some(Seconds(6.06));
    /// What an answering machine detector found: `HUMAN` or `MACHINE`.
    amd_result: Option<AmdResult>, BUT_JOINED, Some(AmdResult::Human);
    /// From the connection of member and agent to the end of the agent's part, or to now.
    call_voice_sec: Option<Seconds>, VOICE, Some(Seconds(4.4));
    /// How the attempt ended.
    cc_result: Given<CcResult>, LEAVING, Some(CcResult::Success);
    /// Why it ended without an agent.
    cc_cancel_reason: Option<CancelReason>, LEAVING, None;
    /// FreeSWITCH's hangup cause of the member's call; null while the call lives on.
    call_cause: Option<String>, ENDED, Some("NORMAL_CLEARING".into());
    /// The final SIP status of the member's INVITE: 200 once it was answered. Null while the call lives on.
    call_sip_code: Option<u16>, ENDED, Some(200);
    /// The SIP status that FreeSWITCH's table pairs with `call_cause`.
    call_cause_sip_code: Option<u16>, ENDED, Some(480);
    /// Who ended the member's call; null while it lives on.
    hangup_side: Option<Side>, LEAVING, Some(Side::Member);
    /// Who ended the conversation, also when the call goes on.
    talk_ended_by: Option<Side>, LEAVING, Some(Side::Member);
    /// The key that the member pressed to leave.
    exit_key: Option<String>, LEAVING, None;
    /// Where the member was transferred to.
    transferred_to: Option<String>, LEAVING, None;
    /// How long the conversation was on hold.
    hold_sec: Option<Seconds>, LEAVING.and(HOLD), Some(Seconds(0.0));
    /// How often it was put on hold.
    hold_count: Option<u32>, LEAVING.and(HOLD), Some(0);
    /// The attempt's offers, in their order.
    offers: Given<Vec<OfferSummary>>, LEAVING, Some(vec![OfferSummary {
        agent: "1000@default".into(),
        outcome: Outcome::Bridged,
        ring_sec: Seconds(1.52),
    }]);
    /// The `attempt_id` of the attempt that this one resumes, or of an earlier queue on the same channel.
    previous_attempt_id: Option<u64>, LEAVING.and(EventSet::of(&[Resumed])), None;
    /// When a resumed member first joined.
    first_joined_at: Option<Time>, LEAVING.and(EventSet::of(&[Resumed])), None;
    /// Why the offer was missed.
    missed_reason: Given<MissedReason>, MISSED, Some(MissedReason::NoAnswer);
    /// How long the agent's phone rang.
    ring_sec: Option<Seconds>, MISSED.and(OFFER_ENDED), Some(Seconds(15.0));
    /// FreeSWITCH's hangup cause of the agent's call.
    agent_cause: Option<String>, MISSED.and(OFFER_ENDED), Some("ALLOTTED_TIMEOUT".into());
    /// The SIP status that the agent's phone, or FreeSWITCH for it, gave.
    agent_sip_code: Option<u16>, MISSED.and(OFFER_ENDED), Some(487);
    /// How the offer ended.
    offer_outcome: Given<Outcome>, OFFER_ENDED, Some(Outcome::NoAnswer);
    /// Who put the conversation on hold, or took it off.
    hold_side: Given<Side>, HOLD, Some(Side::Agent);
    /// The wait that the queue promises, as configured.
    sla_sec: Given<Seconds>, EventSet::of(&[SlaMissed]), Some(Seconds(20.0));
    /// The agent's status, as mod_callcenter spells it.
    agent_status: Option<String>, CHANGE, Some("On Break".into());
    /// The agent's state, as mod_callcenter spells it.
    agent_state: Option<String>, CHANGE, Some("Waiting".into());
    /// The status before; null if it is not known.
    agent_previous_status: Option<String>, EventSet::of(&[AgentStatus]), Some("Available".into());
    /// The state before; null if it is not known.
    agent_previous_state: Option<String>, EventSet::of(&[AgentState]), Some("In a queue call".into());
    /// How long what is over now has lasted: the former status or state, the hold, the post-processing.
    lasted_sec: Option<Seconds>, CHANGE.and(EventSet::of(&[Unhold, Processed])), Some(Seconds(3.04));
    /// How many members wait: in the queue and not connected with an agent.
    waiting: Given<u32>, COUNT, Some(3);
    /// How long the one has waited who waits longest; null where nobody does.
    longest_wait_sec: Option<Seconds>, COUNT, Some(Seconds(41.2));
    /// How many attempts were compared: those that were open, and the members whom FreeSWITCH has.
    attempts_compared: Given<u32>, RECONCILED, Some(12);
    /// How many of them were over.
    attempts_closed: Given<u32>, RECONCILED, Some(1);
    /// How many of them were not known before.
    attempts_opened: Given<u32>, RECONCILED, Some(2);
    /// From joining to the connection, to leaving, or to now.
    wait_sec: Given<Seconds>, ATTEMPT, Some(Seconds(1.64));
    /// When the moment happened.
    timestamp: Time, ALL, sample_time(0);
    /// When the member joined.
    joined_at: Given<Time>, ATTEMPT, Some(sample_time(0));
    /// When the attempt was offered to the agent.
    offered_at: Option<Time>, ATTEMPT, Some(sample_time(80));
    /// When the agent answered.
    answered_at: Option<Time>, ATTEMPT, Some(sample_time(1_600));
    /// When agent and member were connected.
    bridged_at: Option<Time>, ATTEMPT, Some(sample_time(1_640));
    /// When the member left.
    left_at: Option<Time>, ATTEMPT, Some(sample_time(6_040));
    /// The moment's place among the attempt's moments of the eight events, from 1 without holes; others carry the last one.
    sequence: Given<u32>, ATTEMPT, Some(1);
    /// Whether the moment was inferred rather than seen.
    synthetic: bool, ALL, false;
    /// Whether it is only a test, which `hookswitch hooks fire` has sent.
    #[serde(default)]
    test: bool, ALL, false;
    /// The FreeSWITCH event that told it.
    source: Source, ALL, Source {
        core_uuid: Some("fd0664df-585f-4127-b5de-877e31f2568d".into()),
        event_sequence: Some(526),
    };
    /// The variables of the member and of the queue.
    variables: Variables, ALL, sample_variables();
}

fn sample_time(offset_ms: i64) -> Time {
    Time(jiff::Timestamp::from_millisecond(1_795_421_926_202 + offset_ms).expect("the sample time is in range"))
}

fn sample_variables() -> Variables {
    let mut object = serde_json::Map::new();
    object.insert("customer_id".into(), "CUST-00042".into());
    object.insert("tags".into(), vec!["vip", "gold member"].into());
    Variables::from_object(&object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_has_every_field_and_null_where_it_does_not_apply() {
        for event in EventName::ALL {
            let json = serde_json::to_value(Payload::sample(event)).expect("serializes");
            let object = json.as_object().expect("an object");
            assert_eq!(object.len(), Payload::FIELDS.len());
            for field in Payload::FIELDS {
                let value = object.get(field.name).unwrap_or_else(|| panic!("{} is there", field.name));
                if !field.events.contains(event) {
                    assert!(value.is_null(), "{} on {event}", field.name);
                }
            }
        }
    }

    #[test]
    fn a_payload_reads_back() {
        for event in EventName::ALL {
            let payload = Payload::sample(event);
            let json = serde_json::to_string(&payload).expect("serializes");
            assert_eq!(serde_json::from_str::<Payload>(&json).expect("reads back"), payload);
        }
    }
}
