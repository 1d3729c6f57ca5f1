//! The scenarios, in the order in which they are played: what happens, and the story that must be told.

mod dialer;
mod flow;
mod node;
mod offer;
mod outbound;
mod talk;
mod waiting;

use std::time::Duration;

use crate::stage::Stage;
use crate::story::Story;

/// Something that happens to callers, and what must be told of it.
pub(crate) struct Scenario {
    /// What it is about.
    pub(crate) name: &'static str,
    /// A line for each attempt, as [`Story::line`] has it.
    pub(crate) expected: &'static [&'static str],
    /// Makes it happen.
    pub(crate) play: fn(&mut Stage<'_>),
    /// What else must hold: every way in which it does not.
    pub(crate) also: fn(&[Story]) -> Vec<String>,
    /// Whether FreeSWITCH goes away without a word, so that phones don't see how their calls end.
    pub(crate) crashes: bool,
}

impl Scenario {
    const fn new(name: &'static str, expected: &'static [&'static str], play: fn(&mut Stage<'_>)) -> Self {
        Self { name, expected, play, also: |_| vec![], crashes: false }
    }
}

/// All of them.
pub(crate) const ALL: &[Scenario] = &[
    offer::ANSWERED,
    offer::AGENT_HANGS_UP,
    waiting::ABANDONED,
    waiting::ABANDONED_WHILE_RINGING,
    offer::NO_ANSWER,
    offer::BUSY,
    offer::UNAVAILABLE,
    offer::DECLINED,
    offer::RING_ALL,
    waiting::QUEUE_TIMEOUT,
    waiting::NO_AGENT_TIMEOUT,
    waiting::EXIT_KEY,
    waiting::EXIT_KEY_IN_MEDIA,
    talk::BLIND_TRANSFER,
    talk::BLIND_TRANSFER_TO_QUEUE,
    talk::ATTENDED_TRANSFER,
    talk::ATTENDED_TRANSFER_BY_PHONE,
    talk::HOLD,
    offer::UUID_STANDBY,
    waiting::RESUMED,
    waiting::TWO_QUEUES,
    waiting::MENU,
    talk::WHISPER_CALLER_LEAVES,
    talk::WHISPER_AGENT_LEAVES,
    dialer::HUMAN,
    dialer::MACHINE,
    dialer::JUDGED,
    dialer::NOT_REACHED,
    outbound::PROGRESSIVE,
    outbound::PROGRESSIVE_MACHINE,
    outbound::PROGRESSIVE_NOT_REACHED,
    outbound::PREDICTIVE,
    outbound::PREDICTIVE_NO_AGENT,
    outbound::OUTBOUND_IVR,
    outbound::PREVIEW,
    outbound::PREVIEW_NOT_REACHED,
    outbound::OFFLINE,
    outbound::FIFO,
    outbound::FIFO_ABANDONED,
    flow::LOOK_UP,
    flow::LOOK_UP_FAILS,
    flow::VARIABLE,
    flow::SPELLING,
    flow::TRANSFER,
    flow::ANNOUNCEMENT,
    flow::HANG_UP,
    flow::REST,
    flow::QUESTIONS,
    node::RELOAD,
    node::RELOAD_FORCED,
    node::SHUTDOWN,
    node::CRASH,
];

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A caller who talks with 1000, and a second one who waits; they hang up after so long, if at all, the second one before
/// the agent is free again.
fn one_talks_one_waits(stage: &mut Stage<'_>, stays: Option<Duration>) {
    stage.agent("1000");
    stage.calling("caller", "4000", "caller", stays, &[]);
    stage.until("bridged");
    stage.calling("caller", "4000", "caller", stays.map(|stays| stays / 2), &[]);
    std::thread::sleep(seconds(2));
}

/// That the last attempt's payload carries a value, named by its path.
fn carries(stories: &[Story], path: &[&str], wanted: serde_json::Value) -> Vec<String> {
    let Some((first, rest)) = path.split_first() else { return vec![] };
    let told = stories.last().map(|story| rest.iter().fold(story.field(first), |value, name| &value[name]));
    if told == Some(&wanted) {
        return vec![];
    }
    vec![format!("{} is {told:?}, not {wanted}", path.join("."))]
}
