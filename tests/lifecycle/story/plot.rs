//! The steps of a story. Each sends what FreeSWITCH sends for it; time passes only by [`Story::pass`].

use std::collections::BTreeMap;
use std::sync::Arc;

use hookswitch::config::Config;
use hookswitch::esl::Event;
use hookswitch::id::NodeName;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::EventName;
use jiff::{SignedDuration, Timestamp};

use super::channel::{Channel, Ended, Leg};
use super::told::Told;
use super::wire::{self, Draft};

/// When stories begin.
const BEGINNING: i64 = 1_795_421_926_202_271;

/// How long is waited after the last event, so that whatever was due is decided.
const AFTERWARDS: SignedDuration = SignedDuration::from_hours(1);

/// A member in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Stay {
    pub(crate) leg: Leg,
    pub(crate) queue: String,
    pub(crate) member: String,
    pub(crate) joined_at: i64,
}

/// An agent whose phone rings.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub(crate) agent: String,
    pub(crate) leg: Leg,
}

/// An event on its way.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) name: String,
    pub(crate) node: NodeName,
    pub(crate) happens_at: i64,
    /// When it arrives, by the clock of its node.
    pub(crate) arrives_at: i64,
    pub(crate) event: Event,
}

/// A node of the story.
#[derive(Clone, Debug)]
struct Place {
    name: NodeName,
    core: String,
    sequence: u64,
    /// So many microseconds its clock is ahead of the story's time.
    ahead: i64,
}

impl Place {
    fn new(name: &str) -> Self {
        Self { name: name.into(), core: format!("core-{}", name.trim_start_matches("fs")), sequence: 0, ahead: 0 }
    }
}

/// A story.
pub(crate) struct Story {
    config: Arc<Config>,
    /// The nodes; the first is the one where things happen now.
    nodes: Vec<Place>,
    now: i64,
    delay: i64,
    is_lost: bool,
    channels: Vec<Channel>,
    /// What channels were like, whenever an event told it.
    past: Vec<(i64, Leg, Channel)>,
    pub(crate) sent: Vec<Sent>,
}

impl Story {
    /// A story in queues with post-processing.
    pub(crate) fn new() -> Self {
        Self::with("[queues.\"*\"]\nprocessing = true\n")
    }

    /// A story in queues with post-processing, with a hook for every event beyond the eight, and with more configured.
    pub(crate) fn heard(more_of_queues: &str) -> Self {
        Self::with(&hearing(more_of_queues))
    }

    /// The story as it is, with such hooks.
    pub(crate) fn hear_all(&mut self) {
        let config = Config::from_toml("story.toml", &hearing("")).expect("a good configuration");
        self.config = Arc::new(config);
    }

    /// A story under a configuration.
    pub(crate) fn with(config: &str) -> Self {
        let config = Config::from_toml("story.toml", config).expect("a good configuration");
        let mut story = Self {
            config: Arc::new(config),
            nodes: vec![Place::new("fs1")],
            now: BEGINNING,
            delay: 0,
            is_lost: false,
            channels: Vec::new(),
            past: Vec::new(),
            sent: Vec::new(),
        };
        story.heartbeat();
        story.pass(5_000);
        story
    }

    /// Time passes: so many milliseconds.
    pub(crate) fn pass(&mut self, millis: i64) {
        self.now += millis * 1_000;
    }

    /// What time it is, in microseconds.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// The story goes on at another time: with another call, beside those that were told.
    pub(crate) fn go_to(&mut self, now: i64) {
        self.now = now;
    }

    /// What follows happens on another node of the cluster.
    pub(crate) fn on(&mut self, node: &str) {
        let place = self.nodes.iter().position(|other| other.name.as_str() == node).unwrap_or_else(|| {
            self.nodes.push(Place::new(node));
            self.nodes.len() - 1
        });
        self.nodes.swap(0, place);
    }

    /// The clock of the node is set ahead by so many seconds.
    pub(crate) fn set_clock_ahead(&mut self, seconds: i64) {
        self.nodes[0].ahead = seconds * 1_000_000;
    }

    /// What happens in `part` is never heard of.
    pub(crate) fn lost<T>(&mut self, part: impl FnOnce(&mut Self) -> T) -> T {
        self.is_lost = true;
        let result = part(self);
        self.is_lost = false;
        result
    }

    /// What happens in `part` is heard of so many milliseconds later.
    pub(crate) fn late<T>(&mut self, millis: i64, part: impl FnOnce(&mut Self) -> T) -> T {
        self.delay = millis * 1_000;
        let result = part(self);
        self.delay = 0;
        result
    }

    /// An event that tells nothing but the time.
    pub(crate) fn heartbeat(&mut self) {
        let draft = self.draft("HEARTBEAT");
        self.send("HEARTBEAT", draft);
    }

    /// FreeSWITCH is started anew.
    pub(crate) fn restart(&mut self) {
        self.nodes[0].core.push('+');
        self.nodes[0].sequence = 0;
        self.heartbeat();
    }

    /// Somebody calls.
    pub(crate) fn call(&mut self, number: &str, dialled: &str) -> Leg {
        self.channel(Channel { inbound: true, caller: number.into(), dialled: dialled.into(), ..Channel::default() })
    }

    /// FreeSWITCH calls somebody.
    pub(crate) fn dial(&mut self, caller: &str, dialled: &str) -> Leg {
        self.channel(Channel { caller: caller.into(), dialled: dialled.into(), ..Channel::default() })
    }

    pub(super) fn channel(&mut self, channel: Channel) -> Leg {
        let leg = Leg(self.channels.len());
        let uuid = format!("channel-{}", leg.0);
        self.channels.push(Channel { uuid, created_at: self.now, ..channel });
        self.of_channel("CHANNEL_CREATE", leg);
        leg
    }

    /// A channel variable is set; no event tells it by itself.
    pub(crate) fn set(&mut self, leg: Leg, variable: &str, value: impl ToString) {
        self.channels[leg.0].set(variable, value);
    }

    /// The leg's UUID.
    pub(crate) fn uuid(&self, leg: Leg) -> String {
        self.channels[leg.0].uuid.clone()
    }

    /// The number that a leg's far end has.
    pub(crate) fn number(&self, leg: Leg) -> &str {
        &self.channels[leg.0].caller
    }

    /// A leg is answered.
    pub(crate) fn pick_up(&mut self, leg: Leg) {
        if self.channels[leg.0].answered_at == 0 {
            self.channels[leg.0].answered_at = self.now;
            self.of_channel("CHANNEL_ANSWER", leg);
        }
    }

    /// A caller comes in, and is the only one there.
    pub(crate) fn caller(&mut self) -> Stay {
        let leg = self.call("40712345001", "2001");
        self.pass(20);
        self.join(leg, "support@default")
    }

    /// A member who is in a queue before the call is answered.
    pub(crate) fn unanswered_caller(&mut self) -> Stay {
        let leg = self.call("40712345001", "2001");
        self.channels[leg.0].answered_at = -1;
        let stay = self.join(leg, "support@default");
        self.channels[leg.0].answered_at = 0;
        stay
    }

    /// A caller enters a queue.
    pub(crate) fn join(&mut self, leg: Leg, queue: &str) -> Stay {
        let member = format!("member-{}", self.nodes.iter().map(|node| node.sequence).sum::<u64>());
        self.enter(leg, queue, member, "member-queue-start")
    }

    /// A caller takes the place again that was left in `before`.
    pub(crate) fn resume(&mut self, leg: Leg, before: &Stay) -> Stay {
        self.enter(leg, &before.queue, before.member.clone(), "member-queue-resume")
    }

    fn enter(&mut self, leg: Leg, queue: &str, member: String, action: &str) -> Stay {
        self.pick_up(leg);
        self.set(leg, "cc_side", "member");
        self.set(leg, "cc_queue", queue);
        self.set(leg, "cc_member_uuid", &member);
        let stay = Stay { leg, queue: queue.to_owned(), member, joined_at: self.now };
        let mut draft = self.draft("CUSTOM");
        self.write(leg, &mut draft);
        self.about(&mut draft, action, &stay);
        self.send(action, draft);
        stay
    }

    /// A member leaves a queue, with mod_callcenter's reason, or without one after a conversation.
    pub(crate) fn leave(&mut self, stay: &Stay, reason: Option<&str>) {
        let mut draft = self.draft("CUSTOM");
        self.write(stay.leg, &mut draft);
        self.about(&mut draft, "member-queue-end", stay);
        draft.header("CC-Member-Joined-Time", stay.joined_at / 1_000_000);
        draft.header("CC-Cause", if reason.is_some() { "Cancel" } else { "Terminated" });
        match reason {
            Some(reason) => draft.header("CC-Cancel-Reason", reason),
            None => draft.header("CC-Hangup-Cause", "SUCCESS"),
        }
        self.send("member-queue-end", draft);
        if let Some(reason) = reason {
            self.set(stay.leg, "cc_queue_canceled_epoch", self.now / 1_000_000);
            self.set(stay.leg, "cc_cause", "cancel");
            self.set(stay.leg, "cc_cancel_reason", reason);
        }
    }

    /// A member is to be offered to an agent.
    pub(crate) fn offering(&mut self, stay: &Stay, agent: &str) {
        self.offering_of(stay, agent, "callback");
    }

    /// A member is to be offered to an agent on a standing call.
    pub(crate) fn offering_standby(&mut self, stay: &Stay, agent: &str) {
        self.offering_of(stay, agent, "uuid-standby");
    }

    fn offering_of(&mut self, stay: &Stay, agent: &str, kind: &str) {
        let mut draft = self.draft("CUSTOM");
        self.about(&mut draft, "agent-offering", stay);
        draft.header("CC-Agent", agent);
        draft.header("CC-Agent-Type", kind);
        self.send("agent-offering", draft);
    }

    /// An agent's phone is called.
    pub(crate) fn ring(&mut self, stay: &Stay, agent: &str) -> Ring {
        let user = agent.split('@').next().unwrap_or(agent).to_owned();
        self.ring_at(stay, agent, &user, &[])
    }

    /// An agent is called at `dialled`, on a leg with these variables.
    pub(crate) fn ring_at(&mut self, stay: &Stay, agent: &str, dialled: &str, variables: &[(&str, &str)]) -> Ring {
        let mut channel = Channel {
            caller: self.channels[stay.leg.0].caller.clone(),
            dialled: dialled.to_owned(),
            ..Channel::default()
        };
        for (name, value) in variables {
            channel.set(name, value);
        }
        channel.set("cc_side", "agent");
        channel.set("cc_agent", agent);
        channel.set("cc_queue", &stay.queue);
        channel.set("cc_member_uuid", &stay.member);
        channel.set("cc_member_session_uuid", self.uuid(stay.leg));
        Ring { agent: agent.to_owned(), leg: self.channel(channel) }
    }

    /// A member is offered to an agent, whose phone rings.
    pub(crate) fn offer(&mut self, stay: &Stay, agent: &str) -> Ring {
        self.offering(stay, agent);
        self.ring(stay, agent)
    }

    /// An agent could not be reached, or did not answer.
    pub(crate) fn fail(&mut self, stay: &Stay, agent: &str, cause: &str) {
        let mut draft = self.draft("CUSTOM");
        self.about(&mut draft, "bridge-agent-fail", stay);
        draft.header("CC-Agent", agent);
        draft.header("CC-Hangup-Cause", cause);
        draft.header("CC-Member-Joined-Time", stay.joined_at / 1_000_000);
        self.send("bridge-agent-fail", draft);
    }

    /// An agent's phone gives up, or is given up.
    pub(crate) fn miss(&mut self, stay: &Stay, ring: &Ring, cause: &str, by: Ended) {
        self.hang_up(ring.leg, cause, by);
        self.fail(stay, &ring.agent, cause);
    }

    /// mod_callcenter is about to connect an agent.
    pub(crate) fn bridge_start(&mut self, stay: &Stay, ring: &Ring) {
        let draft = self.of_agent("bridge-agent-start", stay, ring);
        self.send("bridge-agent-start", draft);
    }

    /// The agent's part is over.
    pub(crate) fn bridge_end(&mut self, stay: &Stay, ring: &Ring, bridged: bool) {
        let mut draft = self.of_agent("bridge-agent-end", stay, ring);
        draft.header("CC-Hangup-Cause", "SUCCESS");
        draft.header("CC-Agent-Bridged", bridged);
        self.send("bridge-agent-end", draft);
    }

    fn of_agent(&mut self, action: &str, stay: &Stay, ring: &Ring) -> Draft {
        let mut draft = self.draft("CUSTOM");
        self.write(ring.leg, &mut draft);
        self.about(&mut draft, action, stay);
        draft.header("CC-Agent", &ring.agent);
        draft.header("CC-Agent-UUID", self.uuid(ring.leg));
        draft.header("CC-Member-Joined-Time", stay.joined_at / 1_000_000);
        draft
    }

    /// Two channels are connected.
    pub(crate) fn connect(&mut self, left: Leg, right: Leg) {
        for (leg, other) in [(left, right), (right, left)] {
            let other = self.uuid(other);
            self.channels[leg.0].bridged_at = self.now;
            self.channels[leg.0].other = Some(other);
        }
        let Channel { created_at, answered_at, .. } = self.channels[right.0];
        self.channels[left.0].others_times = (created_at, answered_at);
        self.channels[right.0].others_times = (0, 0);
        self.of_channel("CHANNEL_BRIDGE", left);
    }

    /// Member and agent are connected by mod_callcenter, whose mark is on the member's channel from then on.
    pub(crate) fn bridge(&mut self, stay: &Stay, ring: &Ring) {
        let mark = format!("1795421926:x:uuid_br:{}", self.uuid(ring.leg));
        self.set(stay.leg, "transfer_source", mark);
        self.set(stay.leg, "cc_agent", &ring.agent);
        self.set(stay.leg, "cc_agent_uuid", self.uuid(ring.leg));
        self.connect(stay.leg, ring.leg);
    }

    /// The agent answers and is connected.
    pub(crate) fn answer(&mut self, stay: &Stay, ring: &Ring) {
        self.pick_up(ring.leg);
        self.bridge_start(stay, ring);
        self.pass(20);
        self.bridge(stay, ring);
    }

    /// An agent is offered the member, answers after a second and talks for five.
    pub(crate) fn talk(&mut self, stay: &Stay, agent: &str) -> Ring {
        let ring = self.offer(stay, agent);
        self.pass(1_000);
        self.answer(stay, &ring);
        self.pass(5_000);
        ring
    }

    /// Two channels are parted.
    pub(crate) fn part(&mut self, leg: Leg) {
        self.of_channel("CHANNEL_UNBRIDGE", leg);
    }

    /// A leg's far end puts it on hold.
    pub(crate) fn hold(&mut self, leg: Leg) {
        self.of_channel("CHANNEL_HOLD", leg);
    }

    /// A leg's far end takes it off hold.
    pub(crate) fn unhold(&mut self, leg: Leg) {
        self.of_channel("CHANNEL_UNHOLD", leg);
    }

    /// A leg begins to end; the event that tells so is `gone`.
    pub(crate) fn ending(&mut self, leg: Leg, cause: &str, by: Ended) {
        let now = self.now;
        self.channels[leg.0].end(now, cause, by);
    }

    /// A leg has ended.
    pub(crate) fn gone(&mut self, leg: Leg) {
        self.of_channel("CHANNEL_HANGUP_COMPLETE", leg);
    }

    /// A leg ends.
    pub(crate) fn hang_up(&mut self, leg: Leg, cause: &str, by: Ended) {
        self.ending(leg, cause, by);
        self.gone(leg);
    }

    /// The caller hangs up while talking, and all that follows.
    pub(crate) fn caller_ends(&mut self, stay: &Stay, ring: &Ring) {
        self.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
        self.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        self.pass(100);
        self.bridge_end(stay, ring, true);
        self.leave(stay, None);
    }

    /// The caller hangs up while waiting.
    pub(crate) fn give_up(&mut self, stay: &Stay) {
        self.ending(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
        self.leave(stay, Some("BREAK_OUT"));
        self.gone(stay.leg);
    }

    /// An agent's status changes.
    pub(crate) fn status(&mut self, agent: &str, status: &str) {
        let mut draft = self.draft("CUSTOM");
        draft.header("CC-Action", "agent-status-change");
        draft.header("CC-Agent", agent);
        draft.header("CC-Agent-Status", status);
        self.send("agent-status-change", draft);
    }

    /// mod_callcenter sets an agent's state.
    pub(crate) fn state(&mut self, agent: &str, state: &str) {
        let mut draft = self.draft("CUSTOM");
        draft.header("CC-Action", "agent-state-change");
        draft.header("CC-Agent", agent);
        draft.header("CC-Agent-State", state);
        self.send("agent-state-change", draft);
    }

    /// An agent is made.
    pub(crate) fn add_agent(&mut self, agent: &str) {
        let mut draft = self.draft("CUSTOM");
        draft.header("CC-Action", "agent-add");
        draft.header("CC-Agent", agent);
        draft.header("CC-Agent-Type", "callback");
        self.send("agent-add", draft);
    }

    fn about(&self, draft: &mut Draft, action: &str, stay: &Stay) {
        draft.header("CC-Action", action);
        draft.header("CC-Queue", &stay.queue);
        draft.header("CC-Member-UUID", &stay.member);
        draft.header("CC-Member-Session-UUID", self.uuid(stay.leg));
        draft.header("CC-Member-CID-Name", "Zoë Müller");
        draft.header("CC-Member-CID-Number", &self.channels[stay.leg.0].caller);
    }

    pub(super) fn of_channel(&mut self, name: &str, leg: Leg) {
        let mut draft = self.draft(name);
        self.write(leg, &mut draft);
        self.send(name, draft);
    }

    pub(super) fn write(&mut self, leg: Leg, draft: &mut Draft) {
        let channel = self.channels[leg.0].clone();
        channel.write(draft);
        self.past.push((self.now, leg, channel));
    }

    /// What `uuid_dump` told of a leg at that time; none before it was made, and once it had ended.
    pub(crate) fn dump(&self, leg: Leg, at: i64) -> Option<Event> {
        let (_, _, channel) = self.past.iter().rfind(|(then, of, _)| *of == leg && *then <= at)?;
        let mut draft = Draft::new("CHANNEL_DATA", &self.nodes[0].core, 0, at);
        channel.write(&mut draft);
        self.lives(leg, at).then(|| draft.event())
    }

    /// Whether a leg was up at that time.
    pub(crate) fn lives(&self, leg: Leg, at: i64) -> bool {
        let channel = &self.channels[leg.0];
        channel.created_at <= at && (channel.hung_up_at == 0 || at < channel.hung_up_at)
    }

    /// The legs that were up at that time.
    pub(crate) fn living(&self, at: i64) -> impl Iterator<Item = Leg> {
        (0..self.channels.len()).map(Leg).filter(move |leg| self.lives(*leg, at))
    }

    pub(super) fn draft(&mut self, name: &str) -> Draft {
        let node = &mut self.nodes[0];
        node.sequence += 1;
        Draft::new(name, &node.core, node.sequence, self.now + node.ahead)
    }

    pub(super) fn send(&mut self, name: &str, draft: Draft) {
        if !self.is_lost {
            let Place { name: node, ahead, .. } = self.nodes[0].clone();
            let (happens_at, arrives_at) = (self.now + ahead, self.now + self.delay + ahead);
            self.sent.push(Sent { name: name.to_owned(), node, happens_at, arrives_at, event: draft.event() });
        }
    }

    /// Numbers the events in the order in which they happened, as a process does, where they were told in another.
    pub(crate) fn number_by_time(&mut self) {
        let mut places: Vec<_> = (0..self.sent.len()).collect();
        places.sort_by_key(|place| self.sent[*place].happens_at);
        for (sequence, place) in (1..).zip(places) {
            self.sent[place].event = wire::numbered(&self.sent[place].event, sequence);
        }
    }

    /// What the lifecycle makes of the story, once nothing more can come.
    pub(crate) fn told(&self) -> Told {
        let mut lifecycle = Lifecycle::new("fs1".into(), self.config.clone());
        let mut effects = Effects::default();
        self.play(&mut lifecycle, &mut effects);
        for node in &self.nodes {
            let end = lifecycle.on(&node.name).now() + AFTERWARDS;
            lifecycle.advance(end, &mut effects);
        }
        Told { payloads: effects.moments.into_iter().map(|moment| moment.payload).collect(), lifecycle }
    }

    /// Tells the events to a lifecycle, in the order in which they arrive.
    pub(crate) fn play(&self, lifecycle: &mut Lifecycle, effects: &mut Effects) {
        let mut sent: Vec<_> = self.sent.iter().collect();
        let ahead: BTreeMap<_, _> = self.nodes.iter().map(|node| (&node.name, node.ahead)).collect();
        sent.sort_by_key(|sent| sent.arrives_at - ahead[&sent.node]);
        for sent in sent {
            lifecycle.on(&sent.node).advance(micros(sent.arrives_at - 1), effects);
            lifecycle.handle_event(&sent.event, effects);
        }
    }

    /// The story's configuration.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.clone()
    }

    /// A lifecycle under the story's configuration.
    pub(crate) fn lifecycle(&self) -> Lifecycle {
        Lifecycle::new("fs1".into(), self.config.clone())
    }
}

/// A time in microseconds.
pub(crate) fn micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).expect("in range")
}

/// A configuration with post-processing, a hook for every event beyond the eight, and more of all queues.
fn hearing(more_of_queues: &str) -> String {
    let (of_agents, of_queues): (Vec<_>, Vec<_>) = EventName::beyond().partition(|event| event.is_of_agent());
    let hooks = |events: Vec<EventName>| {
        let hook = |event| format!("{{ event = \"{event}\", flow = \"f\" }}");
        events.into_iter().map(hook).collect::<Vec<_>>().join(", ")
    };
    format!(
        "[flows.f]\nsteps = [{{ log = {{ message = 'x' }} }}]\n[agents.\"*\"]\nhooks = [{}]\n\
         [queues.\"*\"]\nprocessing = true\nhooks = [{}]\n{more_of_queues}\n",
        hooks(of_agents),
        hooks(of_queues),
    )
}
