//! The payload of a moment: each field declared once, with its type, its meaning and the events that carry it.
//!
//! From this declaration come the JSON schema and the reference page. Every payload has every field; one that does not apply
//! to its event, or is not known, is `null`.

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
    ($($(#[doc = $doc:literal])+ $(#[serde($serde:ident)])? $name:ident: $type:ty, $events:expr;)*) => {
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
    id: MomentId, ALL;
    /// The event's name.
    event: EventName, ALL;
    /// The queue's name, as FreeSWITCH has it.
    queue_name: Given<QueueName>, QUEUE;
    /// The queue's type.
    queue_type: Given<QueueType>, QUEUE;
    /// The FreeSWITCH node, as the configuration names it.
    node: NodeName, ALL;
    /// What carries the attempt: `call`, `chat` or `task`.
    channel: Given<Medium>, QUEUE;
    /// The attempt's number: 53 bits of a hash, or the dialer's `cc_attempt_id`. Not a unique key.
    attempt_id: Given<u64>, ATTEMPT;
    /// The number called.
    destination: Option<String>, ATTEMPT;
    /// Whether post-processing is enabled.
    use_processing: Given<bool>, ATTEMPT;
    /// The UUID of the agent's call: of several legs, the one that answered, until then the latest that rang.
    agent_channel_id: Option<ChannelUuid>, ATTEMPT;
    /// The UUID of the member's call; null where no call carries the attempt, or before the member is called.
    member_channel_id: Option<ChannelUuid>, ATTEMPT;
    /// The agent's name, as mod_callcenter has it.
    agent_name: Option<AgentName>, AGENT;
    /// The agent's identifier: from the configured directory, the call, or a numeric agent name.
    agent_id: Option<i64>, AGENT;
    /// The user's identifier: from the configured directory or the call.
    user_id: Option<i64>, AGENT;
    /// The agent's extension, or the number that was dialled on the leg that `agent_channel_id` names.
    agent_extension: Option<String>, AGENT;
    /// The member's name: who calls, or, where FreeSWITCH has made the call, who was called.
    member_name: Option<String>, ATTEMPT;
    /// The member's identifier: the variable `cc_member_id`.
    member_id: Option<i64>, BUT_JOINED;
    /// The member's number: the caller's, or, where FreeSWITCH has made the call, the one that was dialled.
    member_number: Option<String>, ATTEMPT;
    /// Which attempt of this member it is, from 1.
    cc_attempt_seq: Option<u64>, BUT_JOINED;
    /// From the answering of the member's call to now, or to its end.
    call_bill_sec: Option<Seconds>, BUT_JOINED;
    /// From the start of the member's call to now, or to its end.
    call_duration: Option<Seconds>, BUT_JOINED;
    /// What an answering machine detector found: `HUMAN` or `MACHINE`.
    amd_result: Option<AmdResult>, BUT_JOINED;
    /// From the connection of member and agent to the end of the agent's part, or to now.
    call_voice_sec: Option<Seconds>, VOICE;
    /// How the attempt ended.
    cc_result: Given<CcResult>, LEAVING;
    /// Why it ended without an agent.
    cc_cancel_reason: Option<CancelReason>, LEAVING;
    /// FreeSWITCH's hangup cause of the member's call; null while the call lives on.
    call_cause: Option<String>, ENDED;
    /// The final SIP status of the member's INVITE: 200 once it was answered. Null while the call lives on.
    call_sip_code: Option<u16>, ENDED;
    /// The SIP status that FreeSWITCH's table pairs with `call_cause`.
    call_cause_sip_code: Option<u16>, ENDED;
    /// Who ended the member's call; null while it lives on.
    hangup_side: Option<Side>, LEAVING;
    /// Who ended the conversation, also when the call goes on.
    talk_ended_by: Option<Side>, LEAVING;
    /// The key that the member pressed to leave.
    exit_key: Option<String>, LEAVING;
    /// Where the member was transferred to.
    transferred_to: Option<String>, LEAVING;
    /// How long the conversation was on hold.
    hold_sec: Option<Seconds>, LEAVING.and(HOLD);
    /// How often it was put on hold.
    hold_count: Option<u32>, LEAVING.and(HOLD);
    /// The attempt's offers, in their order.
    offers: Given<Vec<OfferSummary>>, LEAVING;
    /// The `attempt_id` of the attempt that this one resumes, or of an earlier queue on the same channel.
    previous_attempt_id: Option<u64>, LEAVING.and(EventSet::of(&[Resumed]));
    /// When a resumed member first joined.
    first_joined_at: Option<Time>, LEAVING.and(EventSet::of(&[Resumed]));
    /// Why the offer was missed.
    missed_reason: Given<MissedReason>, MISSED;
    /// How long the agent's phone rang.
    ring_sec: Option<Seconds>, MISSED.and(OFFER_ENDED);
    /// FreeSWITCH's hangup cause of the agent's call.
    agent_cause: Option<String>, MISSED.and(OFFER_ENDED);
    /// The SIP status that the agent's phone, or FreeSWITCH for it, gave.
    agent_sip_code: Option<u16>, MISSED.and(OFFER_ENDED);
    /// How the offer ended.
    offer_outcome: Given<Outcome>, OFFER_ENDED;
    /// Who put the conversation on hold, or took it off.
    hold_side: Given<Side>, HOLD;
    /// The wait that the queue promises, as configured.
    sla_sec: Given<Seconds>, EventSet::of(&[SlaMissed]);
    /// The agent's status, as mod_callcenter spells it.
    agent_status: Option<String>, CHANGE;
    /// The agent's state, as mod_callcenter spells it.
    agent_state: Option<String>, CHANGE;
    /// The status before; null if it is not known.
    agent_previous_status: Option<String>, EventSet::of(&[AgentStatus]);
    /// The state before; null if it is not known.
    agent_previous_state: Option<String>, EventSet::of(&[AgentState]);
    /// How long what is over now has lasted: the former status or state, the hold, the post-processing.
    lasted_sec: Option<Seconds>, CHANGE.and(EventSet::of(&[Unhold, Processed]));
    /// How many members wait: in the queue and not connected with an agent.
    waiting: Given<u32>, COUNT;
    /// How long the one has waited who waits longest; null where nobody does.
    longest_wait_sec: Option<Seconds>, COUNT;
    /// How many attempts were compared: those that were open, and the members whom FreeSWITCH has.
    attempts_compared: Given<u32>, RECONCILED;
    /// How many of them were over.
    attempts_closed: Given<u32>, RECONCILED;
    /// How many of them were not known before.
    attempts_opened: Given<u32>, RECONCILED;
    /// From joining to the connection, to leaving, or to now.
    wait_sec: Given<Seconds>, ATTEMPT;
    /// When the moment happened.
    timestamp: Time, ALL;
    /// When the member joined.
    joined_at: Given<Time>, ATTEMPT;
    /// When the attempt was offered to the agent.
    offered_at: Option<Time>, ATTEMPT;
    /// When the agent answered.
    answered_at: Option<Time>, ATTEMPT;
    /// When agent and member were connected.
    bridged_at: Option<Time>, ATTEMPT;
    /// When the member left.
    left_at: Option<Time>, ATTEMPT;
    /// The moment's place among the attempt's moments of the eight events, from 1 without holes; others carry the last one.
    sequence: Given<u32>, ATTEMPT;
    /// Whether the moment was inferred rather than seen.
    synthetic: bool, ALL;
    /// Whether it is only a test, which `hookswitch hooks fire` has sent.
    #[serde(default)]
    test: bool, ALL;
    /// The FreeSWITCH event that told it.
    source: Source, ALL;
    /// The variables of the member and of the queue. An empty value is null, as everywhere.
    variables: Variables, ALL;
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
