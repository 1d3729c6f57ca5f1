//! What callers and agents do, at random.

use proptest::prelude::*;

/// The queues.
const QUEUES: [&str; 2] = ["support@default", "sales@default"];

/// How many agents there are.
const AGENTS: usize = 4;

/// Somebody calls.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) comes_after_ms: i64,
    pub(crate) queue: &'static str,
    pub(crate) visit: Visit,
    pub(crate) next: Option<Next>,
}

/// A stay in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) rounds: Vec<Vec<Offer>>,
    pub(crate) end: End,
}

/// What the caller does after a stay, where the call, or the member, allows it.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// Takes the place again that was left, on the same channel, or by calling again.
    Resumes(Visit),
    /// Enters another queue on the same channel.
    EntersAnother(Visit),
}

/// The member is offered to an agent; agents of one round are called at the same time.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) agent: usize,
    pub(crate) rings_ms: i64,
    pub(crate) fate: Fate,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// Fails with that cause, on a leg.
    Fails(&'static str),
    /// Fails before there is a leg.
    HasNoPhone,
    /// Has two devices; both ring, one is found busy, and nobody answers the other.
    HasTwoPhones,
    /// Answers, and is gone before the connection.
    AnswersInVain,
    /// Is set on break while the phone rings, if no other phone does.
    GoesOnBreak,
}

/// How a stay ends. The phones of `ringing` ring then.
#[derive(Clone, Debug)]
pub(crate) enum End {
    GivesUp { ringing: Vec<usize>, how: GivingUp },
    IsKilled { ringing: Vec<usize>, by_shutdown: bool },
    IsTakenOut { ringing: Vec<usize>, reason: &'static str, cancels_are_first: bool },
    Talks(Talk),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum GivingUp {
    /// Hangs up.
    HangsUp,
    /// Hangs up, and the agents' phones stop ringing before anything tells why.
    CancelsFirst,
    /// Is lost by the network.
    IsLost,
    /// Hangs up while an agent who has answered hears an announcement.
    InWhisper,
}

/// A conversation.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) agent: usize,
    /// Agents who are slower, and whether they answer at the same time.
    pub(crate) losers: Vec<(usize, bool)>,
    pub(crate) ms: i64,
    /// How long it is on hold, in the middle.
    pub(crate) hold_ms: Option<i64>,
    pub(crate) end: TalkEnd,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum TalkEnd {
    ByMember {
        sip: bool,
    },
    ByAgent {
        sip: bool,
    },
    /// The dialplan goes on after the queue.
    ByAgentAlone,
    ByKill,
    /// The agent's leg lives so much longer than the conversation.
    BlindTransfer {
        lingers_ms: i64,
    },
    AttendedTransfer,
}

/// Some calls.
pub(crate) fn calls() -> impl Strategy<Value = Vec<Call>> {
    prop::collection::vec(call(), 1..5)
}

/// Some calls of members who don't come back on the same channel. Where not all of their events are heard in time, nobody
/// can tell their stays apart: they have the same UUIDs.
pub(crate) fn calls_without_resumes() -> impl Strategy<Value = Vec<Call>> {
    calls().prop_map(|mut calls| {
        for Call { visit, next, .. } in &mut calls {
            let goes_on = matches!(visit.end, End::IsTakenOut { .. });
            next.take_if(|next| goes_on && matches!(next, Next::Resumes(_)));
        }
        calls
    })
}

fn call() -> impl Strategy<Value = Call> {
    let next = prop_oneof![visit().prop_map(Next::Resumes), visit().prop_map(Next::EntersAnother)];
    (0..30_000_i64, prop::sample::select(&QUEUES[..]), visit(), prop::option::of(next))
        .prop_map(|(comes_after_ms, queue, visit, next)| Call { comes_after_ms, queue, visit, next })
}

fn visit() -> impl Strategy<Value = Visit> {
    (prop::collection::vec(round(), 0..4), end()).prop_map(|(rounds, end)| Visit { rounds, end })
}

fn round() -> impl Strategy<Value = Vec<Offer>> {
    let alone = (0..AGENTS, 200..15_000_i64, fate());
    let alone = alone.prop_map(|(agent, rings_ms, fate)| vec![Offer { agent, rings_ms, fate }]);
    let offers = prop::collection::vec((200..15_000_i64, fate()), AGENTS);
    let all = (agents(2..AGENTS + 1), offers).prop_map(|(agents, offers)| {
        let offers = agents.into_iter().zip(offers);
        offers.map(|(agent, (rings_ms, fate))| Offer { agent, rings_ms, fate }).collect()
    });
    prop_oneof![3 => alone, 1 => all]
}

/// Some agents, each once.
fn agents(many: std::ops::Range<usize>) -> impl Strategy<Value = Vec<usize>> {
    (many, Just((0..AGENTS).collect::<Vec<_>>()).prop_shuffle()).prop_map(|(many, mut agents)| {
        agents.truncate(many);
        agents
    })
}

fn fate() -> impl Strategy<Value = Fate> {
    let causes = ["USER_BUSY", "ALLOTTED_TIMEOUT", "CALL_REJECTED", "NO_USER_RESPONSE", "UNWANTED"];
    prop_oneof![
        4 => prop::sample::select(causes.to_vec()).prop_map(Fate::Fails),
        1 => Just(Fate::HasNoPhone),
        1 => Just(Fate::HasTwoPhones),
        2 => Just(Fate::AnswersInVain),
        1 => Just(Fate::GoesOnBreak),
    ]
}

fn end() -> impl Strategy<Value = End> {
    use GivingUp::{CancelsFirst, HangsUp, InWhisper, IsLost};
    let how = prop::sample::select(vec![HangsUp, CancelsFirst, IsLost, InWhisper]);
    let reason = prop::sample::select(vec!["EXIT_WITH_KEY", "TIMEOUT", "NO_AGENT_TIMEOUT", "BREAK_OUT"]);
    prop_oneof![
        2 => (agents(0..3), how).prop_map(|(ringing, how)| End::GivesUp { ringing, how }),
        1 => (agents(0..3), any::<bool>()).prop_map(|(ringing, by_shutdown)| End::IsKilled { ringing, by_shutdown }),
        2 => (agents(0..3), reason, any::<bool>())
            .prop_map(|(ringing, reason, cancels_are_first)| End::IsTakenOut { ringing, reason, cancels_are_first }),
        4 => talk().prop_map(End::Talks),
    ]
}

fn talk() -> impl Strategy<Value = Talk> {
    let end = prop_oneof![
        any::<bool>().prop_map(|sip| TalkEnd::ByMember { sip }),
        any::<bool>().prop_map(|sip| TalkEnd::ByAgent { sip }),
        Just(TalkEnd::ByAgentAlone),
        Just(TalkEnd::ByKill),
        prop::sample::select(vec![100, 2_000]).prop_map(|lingers_ms| TalkEnd::BlindTransfer { lingers_ms }),
        Just(TalkEnd::AttendedTransfer),
    ];
    let losers = prop::collection::vec(any::<bool>(), AGENTS);
    (agents(1..AGENTS), losers, 500..20_000_i64, prop::option::of(200..5_000_i64), end).prop_map(
        |(agents, answers, ms, hold_ms, end)| {
            let losers = agents[1..].iter().copied().zip(answers).collect();
            Talk { agent: agents[0], losers, ms, hold_ms, end }
        },
    )
}
