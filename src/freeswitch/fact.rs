//! An event as the fact that the lifecycle acts on.

use std::borrow::Cow;

use jiff::Timestamp;

use super::channel::ChannelData;
use super::header as h;
use crate::esl::Event;
use crate::signal::event::{self as signal, ToldByEvent};

/// The year 2100: an event that claims to be later is without a time. It would set the clock of its node, and nothing that
/// happens after it could be true.
const LATEST_SECOND: i64 = 4_102_444_800;

/// What every event says of itself.
#[derive(Clone, Debug)]
pub struct Stamp<'e> {
    /// The FreeSWITCH process.
    pub core: Option<Cow<'e, str>>,
    /// The event's number within it.
    pub sequence: Option<u64>,
    /// When it happened; none where the header is missing or no time.
    pub at: Option<Timestamp>,
}

/// An event, typed.
#[derive(Clone, Debug)]
pub struct Fact<'e> {
    /// What it says of itself.
    pub stamp: Stamp<'e>,
    /// What it tells.
    pub kind: FactKind<'e>,
}

/// What an event tells.
#[derive(Clone, Debug)]
pub enum FactKind<'e> {
    /// A step in a channel's life.
    Channel(ChannelStep, ChannelData<'e>),
    /// A step of a member in a queue.
    Member(MemberStep, MemberRef<'e>, ChannelData<'e>),
    /// A step in the offering of a member to an agent; its channel data, where it has some, are the agent leg's.
    Offer(OfferStep<'e>, MemberRef<'e>, AgentRef<'e>, ChannelData<'e>),
    /// A change of an agent.
    Agent(AgentStep<'e>, AgentRef<'e>),
    /// A step of a caller or a consumer in a fifo, with that one's channel data.
    Fifo(FifoStep<'e>, Cow<'e, str>, ChannelData<'e>),
    /// What is told of a queue outside mod_callcenter; its channel data, where it has some, are the teller's.
    Told(Box<ToldByEvent>, ChannelData<'e>),
    /// Nothing that a call's story is told by.
    Other,
}

/// A step in a channel's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelStep {
    /// It was made.
    Create,
    /// Its far end rings.
    Ring,
    /// It was answered.
    Answer,
    /// A detector of answering machines has judged; the channel's variables say how.
    Judge,
    /// mod_avmd has heard an answering machine's beep on it.
    Beep,
    /// It was connected with another.
    Bridge,
    /// It was disconnected from another.
    Unbridge,
    /// Its far end put it on hold.
    Hold,
    /// Its far end took it off hold.
    Unhold,
    /// It has ended and all its variables are final.
    HangupComplete,
}

/// A step of a member in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberStep {
    /// The member entered.
    Start,
    /// A member who hung up earlier took its place again.
    Resume,
    /// The member left.
    End,
}

/// A step in the offering of a member to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferStep<'e> {
    /// The agent is called; standby agents are on the phone already.
    Offering {
        /// Whether the agent is on a standing call.
        standby: bool,
    },
    /// The agent is there, and the connection is about to be made.
    BridgeStart,
    /// The agent's part is over.
    BridgeEnd {
        /// Whether both channels were up after the connection had been tried.
        bridged: bool,
    },
    /// The agent was not reached.
    Fail {
        /// The result of calling the agent.
        cause: Cow<'e, str>,
    },
}

/// A change of an agent, with what holds now, as mod_callcenter spells it. Its wrap-up time, type and tiers change without
/// a word, and so does its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentStep<'e> {
    /// It was made.
    Added,
    /// Its status was set: what the agent wants.
    Status(Cow<'e, str>),
    /// Its state was set: what mod_callcenter has it do.
    State(Cow<'e, str>),
    /// Where it is called was set.
    Contact(Cow<'e, str>),
}

/// A step of a caller or a consumer in a fifo. Callers wait; consumers are the agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FifoStep<'e> {
    /// A caller entered.
    Push,
    /// A caller left without a consumer.
    Leave {
        /// Whether the longest wait was over.
        timed_out: bool,
    },
    /// A consumer took a caller.
    Pop {
        /// The caller's channel.
        caller: Cow<'e, str>,
    },
    /// A caller is parted from the consumer for good.
    CallerStop,
    /// A consumer is parted from the caller for good.
    ConsumerStop,
}

/// Who a member event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRef<'e> {
    /// The queue.
    pub queue: Cow<'e, str>,
    /// The member.
    pub member: Cow<'e, str>,
    /// The member's channel.
    pub session: Cow<'e, str>,
}

/// An agent's name.
pub type AgentRef<'e> = Cow<'e, str>;

impl<'e> Fact<'e> {
    /// Reads the event. A callcenter event that lacks what its action must name is malformed.
    pub fn read(event: &'e Event) -> Result<Self, Malformed> {
        Ok(Self { stamp: Stamp::read(event), kind: FactKind::read(event)? })
    }
}

impl<'e> Stamp<'e> {
    /// Reads what the event says of itself.
    pub fn read(event: &'e Event) -> Self {
        let at = event.header(h::EVENT_DATE_TIMESTAMP).and_then(|text| text.parse().ok());
        Self {
            core: event.header(h::CORE_UUID),
            sequence: event.header(h::EVENT_SEQUENCE).and_then(|text| text.parse().ok()),
            at: at
                .and_then(|micros| Timestamp::from_microsecond(micros).ok())
                .filter(|at| (1..LATEST_SECOND).contains(&at.as_second())),
        }
    }
}

/// An event that lacks what it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It has no name.
    #[error("an event without a name")]
    NoName,
    /// A header that its kind must have is missing.
    #[error("an event without its {0} header")]
    Missing(&'static str),
    /// A header of ours does not say what it must.
    #[error("an event whose {0} header, or what belongs to it, can't be read")]
    Unreadable(&'static str),
}

impl<'e> FactKind<'e> {
    fn read(event: &'e Event) -> Result<Self, Malformed> {
        let name = event.header(h::EVENT_NAME).ok_or(Malformed::NoName)?;
        let step = match &*name {
            "CUSTOM" => return Self::read_custom(event),
            "CHANNEL_CREATE" => ChannelStep::Create,
            "CHANNEL_PROGRESS" | "CHANNEL_PROGRESS_MEDIA" => ChannelStep::Ring,
            "CHANNEL_ANSWER" => ChannelStep::Answer,
            "CHANNEL_BRIDGE" => ChannelStep::Bridge,
            "CHANNEL_UNBRIDGE" => ChannelStep::Unbridge,
            "CHANNEL_HOLD" => ChannelStep::Hold,
            "CHANNEL_UNHOLD" => ChannelStep::Unhold,
            "CHANNEL_HANGUP_COMPLETE" => ChannelStep::HangupComplete,
            _ => return Ok(Self::Other),
        };
        required(event, h::UNIQUE_ID)?;
        Ok(Self::Channel(step, ChannelData(event)))
    }

    fn read_custom(event: &'e Event) -> Result<Self, Malformed> {
        let step = match event.header(h::EVENT_SUBCLASS).as_deref() {
            Some("fifo::info") => return Self::read_fifo(event),
            Some(signal::SUBCLASS) => return Ok(Self::Told(Box::new(ToldByEvent::read(event)?), ChannelData(event))),
            Some("hookswitch::amd") => ChannelStep::Judge,
            Some("avmd::beep") => ChannelStep::Beep,
            _ => return Self::read_callcenter(event),
        };
        required(event, h::UNIQUE_ID)?;
        Ok(Self::Channel(step, ChannelData(event)))
    }

    fn read_fifo(event: &'e Event) -> Result<Self, Malformed> {
        let step = match &*required(event, h::FIFO_ACTION)? {
            "push" => FifoStep::Push,
            "abort" => FifoStep::Leave { timed_out: false },
            "timeout" => FifoStep::Leave { timed_out: true },
            "consumer_pop" => FifoStep::Pop { caller: required(event, h::FIFO_CALLER_UUID)? },
            "bridge-caller-stop" => FifoStep::CallerStop,
            "bridge-consumer-stop" => FifoStep::ConsumerStop,
            _ => return Ok(Self::Other),
        };
        required(event, h::UNIQUE_ID)?;
        Ok(Self::Fifo(step, required(event, h::FIFO_NAME)?, ChannelData(event)))
    }

    fn read_callcenter(event: &'e Event) -> Result<Self, Malformed> {
        let Some(action) = event.header(h::CC_ACTION) else { return Ok(Self::Other) };
        let member = |step| Ok(Self::Member(step, MemberRef::read(event)?, ChannelData(event)));
        let offer =
            |step| Ok(Self::Offer(step, MemberRef::read(event)?, required(event, h::CC_AGENT)?, ChannelData(event)));
        let agent = |step| Ok(Self::Agent(step, required(event, h::CC_AGENT)?));
        match &*action {
            "member-queue-start" => member(MemberStep::Start),
            "member-queue-resume" => member(MemberStep::Resume),
            "member-queue-end" => member(MemberStep::End),
            "agent-offering" => {
                let kind = event.header(h::CC_AGENT_TYPE);
                offer(OfferStep::Offering { standby: kind.is_some_and(|k| k.eq_ignore_ascii_case("uuid-standby")) })
            }
            "bridge-agent-start" => offer(OfferStep::BridgeStart),
            "bridge-agent-end" => {
                let bridged = event.header(h::CC_AGENT_BRIDGED).is_some_and(|text| text == "true");
                offer(OfferStep::BridgeEnd { bridged })
            }
            "bridge-agent-fail" => offer(OfferStep::Fail { cause: required(event, h::CC_HANGUP_CAUSE)? }),
            "agent-add" => agent(AgentStep::Added),
            "agent-status-change" => agent(AgentStep::Status(required(event, h::CC_AGENT_STATUS)?)),
            "agent-state-change" => agent(AgentStep::State(required(event, h::CC_AGENT_STATE)?)),
            "agent-contact-change" => agent(AgentStep::Contact(event.header(h::CC_AGENT_CONTACT).unwrap_or_default())),
            _ => Ok(Self::Other),
        }
    }
}

impl<'e> MemberRef<'e> {
    fn read(event: &'e Event) -> Result<Self, Malformed> {
        Ok(Self {
            queue: required(event, h::CC_QUEUE)?,
            member: required(event, h::CC_MEMBER_UUID)?,
            session: required(event, h::CC_MEMBER_SESSION_UUID)?,
        })
    }
}

fn required<'e>(event: &'e Event, name: &'static str) -> Result<Cow<'e, str>, Malformed> {
    event.header(name).ok_or(Malformed::Missing(name))
}
