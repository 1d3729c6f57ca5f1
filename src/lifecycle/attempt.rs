//! One stay of a member in one queue: its facts, and what each new fact changes.
//!
//! The attempt tells its own moments as facts come in. Whether an offer or the stay itself is over is decided in
//! [`super::ending`], after every fact and whenever the attempt's deadline comes.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::offer::{LegEnd, Offer, OfferState};
use super::variables;
use super::world::Occasion;
use crate::config::queue::QueueSettings;
use crate::freeswitch::channel::{AnswerState, ChannelData, Disposition, Hangup};
use crate::freeswitch::header as h;
use crate::id::{AgentName, AttemptHash, AttemptKey, ChannelUuid, NodeName};
use crate::moment::EventName;
use crate::moment::value::{AmdResult, CancelReason, Outcome, Variables};

/// An attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// What makes it itself.
    pub key: AttemptKey,
    /// The node that it is on.
    pub node: NodeName,
    /// The settings of its queue, as they were when it joined.
    #[serde(skip)]
    pub settings: Arc<QueueSettings>,
    /// Its number.
    pub attempt_id: u64,
    /// Who waits.
    pub member: Member,
    /// The member's call.
    pub call: Call,
    /// When the member joined.
    pub joined_at: Timestamp,
    /// The offers, in their order.
    pub offers: Vec<Offer>,
    /// Agents' legs that were seen before their offer.
    pub unclaimed_legs: Vec<(AgentName, ChannelUuid)>,
    /// The connection with an agent.
    pub bridge: Option<Bridge>,
    /// That FreeSWITCH said that the member has left the queue.
    pub queue_end: Option<QueueEnd>,
    /// That the attempt was found gone.
    pub loss: Option<Loss>,
    /// How many of the eight moments were told.
    pub sequence: u32,
    /// Whether `leaving` was told: the attempt is over.
    pub left: bool,
    /// Whether something has changed that a restart must find again.
    #[serde(skip)]
    pub dirty: bool,
}

/// Who waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Member {
    /// The caller's name.
    pub name: Option<String>,
    /// The member's number.
    pub number: Option<String>,
    /// The variable `cc_member_id`.
    pub id: Option<i64>,
    /// Which of the member's attempts this is.
    pub attempt_seq: u64,
    /// When a resumed member joined first.
    pub first_joined_at: Option<Timestamp>,
    /// The attempt before this one.
    pub previous_attempt_id: Option<u64>,
}

/// The member's call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Call {
    /// The number called.
    pub destination: Option<String>,
    /// When the channel was made.
    pub created_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// What a machine detector found.
    pub amd_result: Option<AmdResult>,
    /// The key that left the queue.
    pub exit_key: Option<String>,
    /// FreeSWITCH's mark of the latest transfer, as it stood when the member joined.
    pub transfer_mark_at_join: Option<String>,
    /// The latest mark since.
    pub transfer_mark: Option<String>,
    /// The person to whom an attended transfer led.
    pub transferred_to: Option<String>,
    /// The variables.
    pub variables: Variables,
    /// How the call ended.
    pub end: Option<LegEnd>,
    /// The node's clock when that was seen.
    pub end_seen_at: Option<Timestamp>,
}

/// The connection of member and agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bridge {
    /// Which offer.
    pub offer: usize,
    /// Since when.
    pub at: Timestamp,
    /// When mod_callcenter said that the agent's part is over.
    pub agent_done_at: Option<Timestamp>,
    /// When the two were disconnected, unless they were connected again.
    pub disconnected_at: Option<Timestamp>,
    /// The time on hold.
    pub hold: Hold,
}

/// The time that a conversation spends on hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Hold {
    /// How often it was put on hold.
    pub count: u32,
    /// The holds that are over, in microseconds.
    pub done_micros: i64,
    /// Since when it is on hold.
    pub since: Option<Timestamp>,
}

impl Hold {
    fn begin(&mut self, at: Timestamp) {
        if self.since.is_none() {
            self.since = Some(at);
            self.count += 1;
        }
    }

    fn end(&mut self, at: Timestamp) {
        if let Some(since) = self.since.take() {
            self.done_micros += (at.as_microsecond() - since.as_microsecond()).max(0);
        }
    }
}

/// That FreeSWITCH does not have the attempt any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Loss {
    /// The latest time at which it was still there, as far as is known.
    pub at: Timestamp,
    /// Until when the events that tell its end may still come.
    pub grace_until: Timestamp,
}

/// What `member-queue-end` said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueEnd {
    /// When.
    pub at: Timestamp,
    /// The node's clock when that was seen: waits are measured from there, because events can be late.
    pub seen_at: Timestamp,
    /// Whether the call goes on.
    pub call_goes_on: bool,
    /// Why, where no agent was connected.
    pub reason: Option<CancelReason>,
    /// The call's hangup cause, where it is ending.
    pub cause: Option<String>,
}

impl Attempt {
    /// Its name in the outbox.
    pub fn hash(&self) -> AttemptHash {
        self.key.hash()
    }

    /// Takes what the member's channel data say now, as far as they belong to this stay: a member who is in the next
    /// queue already carries that one's variables.
    pub fn absorb(&mut self, data: ChannelData<'_>) {
        self.call.created_at = self.call.created_at.or_else(|| data.created_at());
        self.call.answered_at = self.call.answered_at.or_else(|| data.answered_at());
        if let Some(mark) = data.header(h::TRANSFER_SOURCE) {
            self.call.transfer_mark = Some(mark.into_owned());
        }
        if data.header(h::CC_QUEUE_VARIABLE).is_some_and(|queue| queue != self.key.queue.as_str()) {
            return;
        }
        self.call.amd_result = variables::amd_result(data).or(self.call.amd_result);
        self.call.exit_key = data.header(h::CC_EXIT_KEY).map(|key| key.into_owned()).or(self.call.exit_key.take());
        self.member.id = data.header(h::CC_MEMBER_ID).and_then(|id| id.parse().ok()).or(self.member.id);
        self.call.variables = variables::collect(data, &self.settings);
    }

    /// The member entered the queue.
    pub fn join(&mut self, occasion: &mut Occasion<'_>, synthetic: bool) {
        self.tell(occasion, EventName::Joined, None, self.joined_at, synthetic);
    }

    /// The attempt is offered to an agent. An earlier offer to the same one is over then, even if nobody saw how.
    pub fn offer(&mut self, occasion: &mut Occasion<'_>, agent: &str, standby: bool) {
        if let Some(stale) = self.open_offer(agent).filter(|index| self.offers[*index].state == OfferState::Open) {
            self.offers[stale].close(Outcome::Lost, occasion.at);
        }
        let index = self.add_offer(agent, standby, occasion.at);
        let mine = self.unclaimed_legs.iter().filter(|(of, _)| of.as_str() == agent).map(|(_, leg)| leg.clone());
        let legs: Vec<_> = mine.collect();
        self.unclaimed_legs.retain(|(of, _)| of.as_str() != agent);
        for leg in legs {
            self.offers[index].add_leg(leg);
        }
        if standby || self.offers[index].leg().is_some() {
            self.announce(occasion, index);
        }
    }

    /// A leg was made on which an agent is called.
    pub fn add_leg(&mut self, occasion: &mut Occasion<'_>, agent: &str, leg: ChannelUuid, data: ChannelData<'_>) {
        let Some(index) = self.open_offer(agent) else {
            self.unclaimed_legs.push((agent.into(), leg));
            return;
        };
        self.offers[index].add_leg(leg);
        self.offers[index].identity.absorb(data);
        self.announce(occasion, index);
    }

    /// An agent's leg was answered. Where the agent must still accept with a key, that is no answer yet.
    pub fn answer_leg(&mut self, occasion: &mut Occasion<'_>, leg: &str, data: ChannelData<'_>) {
        let Some(index) = self.offers.iter().position(|offer| offer.is_open() && offer.has_leg(leg)) else { return };
        if !data.needs_confirmation() {
            self.answer(occasion, index, data.answered_at().unwrap_or(occasion.at));
        }
    }

    /// mod_callcenter is about to connect an agent.
    pub fn start_bridge(&mut self, occasion: &mut Occasion<'_>, agent: &str, data: ChannelData<'_>) {
        let seen = self.open_offer(agent);
        let index = seen.unwrap_or_else(|| self.add_offer(agent, false, occasion.at));
        let offer = &mut self.offers[index];
        offer.identity.absorb(data);
        if let Some(leg) = data.header(h::CC_AGENT_UUID).or_else(|| data.uuid()) {
            offer.choose_leg(ChannelUuid::new(leg));
        }
        self.announce_as(occasion, index, seen.is_none());
        self.answer(occasion, index, occasion.at);
    }

    /// The member's channel was connected with `other`.
    pub fn connect(&mut self, occasion: &mut Occasion<'_>, other: &str) {
        let Some(index) = self.offers.iter().position(|offer| offer.is_open() && offer.has_leg(other)) else { return };
        match &mut self.bridge {
            Some(bridge) if bridge.offer == index => bridge.disconnected_at = None,
            Some(_) => {}
            None => self.bridge(occasion, index, occasion.at, false),
        }
    }

    /// Takes over a connection that nobody saw being made; when the agent was called and answered is not known.
    pub fn take_over_bridge(&mut self, occasion: &mut Occasion<'_>, agent: &str, leg: ChannelUuid, at: Timestamp) {
        let index = self.open_offer(agent).unwrap_or_else(|| self.add_offer(agent, false, at));
        self.offers[index].choose_leg(leg);
        self.announce_as(occasion, index, true);
        self.answer_as(occasion, index, at, true);
        self.bridge(occasion, index, at, true);
    }

    /// Infers a connection whose event was lost from the time that the channel data of either leg still hold.
    pub fn infer_bridge(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        if self.bridge.is_some() {
            return;
        }
        let Some(at) = data.bridged_at() else { return };
        let (Some(uuid), Some(other)) = (data.uuid(), data.other_uuid()) else { return };
        let session = self.key.session.as_str();
        let is_of_member = uuid == session;
        let leg = match (is_of_member, other == session) {
            (true, _) => other,
            (false, true) => uuid,
            (false, false) => return,
        };
        // Whoever was connected had answered, whether that was seen or not.
        let connected =
            self.offers.iter().position(|offer| offer.is_open() && offer.offered_at <= at && offer.has_leg(&leg));
        if let Some(index) = connected {
            return self.bridge(occasion, index, at, true);
        }
        // Of an offer that nobody saw, the member's own data name the agent.
        let says = |name, what: &str| data.header(name).is_some_and(|said| said == what);
        let is_of_stay = is_of_member
            && self.joined_at <= at
            && says(h::CC_QUEUE_VARIABLE, self.key.queue.as_str())
            && says(h::CC_AGENT_UUID_VARIABLE, &leg);
        if is_of_stay && let Some(agent) = data.header(h::CC_AGENT_VARIABLE) {
            self.take_over_bridge(occasion, &agent, ChannelUuid::new(&*leg), at);
        }
    }

    /// The agent's part is over.
    pub fn end_bridge(&mut self, occasion: &mut Occasion<'_>, agent: &str, bridged: bool, data: ChannelData<'_>) {
        self.infer_bridge(occasion, data);
        let Some(index) = self.open_offer(agent) else { return };
        let leg_end = LegEnd {
            at: data.hung_up_at().unwrap_or(occasion.at),
            cause: data.hangup_cause().map(|cause| cause.into_owned()),
            hangup: data.hangup(),
        };
        let offer = &mut self.offers[index];
        if data.answer_state() == AnswerState::Hangup
            && let Some(leg) = offer.leg().filter(|leg| leg.end.is_none()).map(|leg| leg.channel.clone())
        {
            offer.end_leg(leg.as_str(), leg_end);
        }
        if offer.state != OfferState::Bridged {
            offer.close(Outcome::Failed, occasion.at);
            self.dirty = true;
            return;
        }
        offer.close(Outcome::Bridged, occasion.at);
        if let Some(bridge) = &mut self.bridge {
            bridge.agent_done_at = Some(occasion.at);
        }
        if bridged && self.use_processing(occasion, Some(index)) {
            self.tell(occasion, EventName::Processing, Some(index), occasion.at, false);
        }
    }

    /// The agent was not reached.
    pub fn fail_offer(&mut self, occasion: &mut Occasion<'_>, agent: &str, cause: &str) {
        if let Some(index) = self.open_offer(agent) {
            self.offers[index].state =
                OfferState::Failing { cause: cause.to_owned(), at: occasion.at, seen_at: occasion.now };
        }
    }

    /// The agent's status changed to one in which mod_callcenter takes its offers back.
    pub fn agent_left(&mut self, agent: &str, at: Timestamp) {
        for offer in self.offers.iter_mut().filter(|offer| offer.is_open() && offer.agent.as_str() == agent) {
            offer.agent_left_at = Some(at);
        }
    }

    /// Either leg of the connected pair was put on hold, or taken off it.
    pub fn hold(&mut self, channel: &str, on: bool, at: Timestamp) {
        if !self.is_of_pair(channel) {
            return;
        }
        if let Some(bridge) = &mut self.bridge {
            if on {
                bridge.hold.begin(at);
            } else {
                bridge.hold.end(at);
            }
        }
    }

    /// A channel of the connected pair was disconnected from another. Where the agent's was, from a third person, that
    /// is the end of a consultation.
    pub fn disconnect(&mut self, channel: &str, other: Option<&str>, at: Timestamp) {
        let session = self.key.session.as_str();
        let from_member = channel == session || (self.is_of_pair(channel) && other == Some(session));
        if from_member && let Some(bridge) = &mut self.bridge {
            bridge.hold.end(at);
            bridge.disconnected_at.get_or_insert(at);
        }
    }

    /// An agent's leg ended.
    pub fn end_leg(&mut self, channel: &str, at: Timestamp, data: ChannelData<'_>) {
        let end = leg_end(at, data);
        for offer in self.offers.iter_mut().filter(|offer| offer.has_leg(channel)) {
            offer.end_leg(channel, end.clone());
        }
    }

    /// FreeSWITCH says that the member has left the queue. The first such word stands.
    pub fn end_queue(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        self.infer_bridge(occasion, data);
        if self.queue_end.is_some() {
            return;
        }
        self.queue_end = Some(QueueEnd {
            at: occasion.at,
            seen_at: occasion.now,
            call_goes_on: data.answer_state() == AnswerState::Answered,
            reason: match data.header(h::CC_CANCEL_REASON).as_deref() {
                Some("TIMEOUT") => Some(CancelReason::Timeout),
                Some("NO_AGENT_TIMEOUT") => Some(CancelReason::NoAgentTimeout),
                Some("EXIT_WITH_KEY") => Some(CancelReason::ExitWithKey),
                Some(_) => Some(CancelReason::BreakOut),
                None => None,
            },
            cause: data.hangup_cause().map(|cause| cause.into_owned()),
        });
        self.dirty = true;
    }

    /// The member's call has ended. Where it went on after the queue, its end is none of this stay's.
    pub fn end_call(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        self.infer_bridge(occasion, data);
        let is_in_next_queue = data.header(h::CC_QUEUE_VARIABLE).is_some_and(|queue| queue != self.key.queue.as_str());
        if self.loss.is_some() && self.queue_end.is_none() && is_in_next_queue {
            // How the member came there was not seen, so how the stay ended is not known.
            return;
        }
        if self.call.end.is_none() && !self.call_went_on(occasion.now) {
            self.call.end = Some(leg_end(occasion.at, data));
            self.call.end_seen_at = Some(occasion.now);
            self.dirty = true;
        }
    }

    /// FreeSWITCH does not have the attempt any more, and nobody has seen how it ended; until `grace_until`, the events
    /// that tell it may still come.
    pub fn lose(&mut self, at: Timestamp, grace_until: Timestamp) {
        if self.loss.is_none() {
            self.loss = Some(Loss { at: at.max(self.latest_fact_at()), grace_until });
        }
    }

    /// The latest time at which something of the attempt was seen.
    pub fn latest_fact_at(&self) -> Timestamp {
        let offers = self.offers.iter().map(|offer| offer.answered_at.unwrap_or(offer.offered_at));
        let bridge = self.bridge.iter().map(|bridge| bridge.at);
        offers.chain(bridge).fold(self.joined_at, Timestamp::max)
    }

    /// The latest offer to the agent that is not over.
    pub fn open_offer(&self, agent: &str) -> Option<usize> {
        self.offers.iter().rposition(|offer| offer.is_open() && offer.agent.as_str() == agent)
    }

    /// Whether post-processing is on.
    pub fn use_processing(&self, occasion: &Occasion<'_>, offer: Option<usize>) -> bool {
        let agent = offer.map(|index| &self.offers[index].agent);
        occasion.world.use_processing(self.settings.processing, &self.key.queue, agent)
    }

    /// Tells `offering`, unless it was told.
    pub fn announce(&mut self, occasion: &mut Occasion<'_>, index: usize) {
        self.announce_as(occasion, index, false);
    }

    fn announce_as(&mut self, occasion: &mut Occasion<'_>, index: usize, synthetic: bool) {
        if !std::mem::replace(&mut self.offers[index].announced, true) {
            let at = self.offers[index].offered_at;
            self.tell(occasion, EventName::Offering, Some(index), at, synthetic);
        }
    }

    fn add_offer(&mut self, agent: &str, standby: bool, at: Timestamp) -> usize {
        let ordinal = self.offers.iter().filter(|offer| offer.agent.as_str() == agent).count();
        let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
        self.offers.push(Offer::new(agent.into(), ordinal, standby, at));
        self.offers.len() - 1
    }

    fn answer(&mut self, occasion: &mut Occasion<'_>, index: usize, at: Timestamp) {
        self.answer_as(occasion, index, at, false);
    }

    fn answer_as(&mut self, occasion: &mut Occasion<'_>, index: usize, at: Timestamp, synthetic: bool) {
        if self.offers[index].answered_at.is_none() {
            self.announce(occasion, index);
            self.offers[index].answered_at = Some(at);
            self.tell(occasion, EventName::Answered, Some(index), at, synthetic);
        }
    }

    fn bridge(&mut self, occasion: &mut Occasion<'_>, index: usize, at: Timestamp, synthetic: bool) {
        self.answer_as(occasion, index, at, true);
        self.offers[index].state = OfferState::Bridged;
        self.bridge =
            Some(Bridge { offer: index, at, agent_done_at: None, disconnected_at: None, hold: Hold::default() });
        self.tell(occasion, EventName::Bridged, Some(index), at, synthetic);
        self.close_beaten_offers(at);
    }

    /// Closes the offers of agents who answered at the same time as the one who was connected: mod_callcenter tells of
    /// them nothing more.
    fn close_beaten_offers(&mut self, at: Timestamp) {
        for offer in &mut self.offers {
            if offer.state == OfferState::Open && offer.answered_at.is_some() {
                offer.close(Outcome::LostRace, at);
            }
        }
    }

    fn is_of_pair(&self, channel: &str) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| {
            self.key.session.as_str() == channel
                || self.offers[bridge.offer].leg().is_some_and(|leg| leg.channel.as_str() == channel)
        })
    }
}

fn leg_end(at: Timestamp, data: ChannelData<'_>) -> LegEnd {
    let mut hangup: Hangup = data.hangup();
    let cause = data.hangup_cause().map(|cause| cause.into_owned());
    if cause.as_deref() == Some("MEDIA_TIMEOUT") {
        // The network lost the far end: that counts as its leaving.
        hangup.disposition = Disposition::ByFarEnd;
    }
    LegEnd { at: data.hung_up_at().unwrap_or(at), cause, hangup }
}
