//! Agents: their status and state, what a snapshot finds of them, and who they are.

use hookswitch::freeswitch::Snapshot;
use hookswitch::freeswitch::snapshot::AgentRow;
use hookswitch::hook;
use hookswitch::lifecycle::Effects;
use hookswitch::lifecycle::anomaly::Anomaly;
use hookswitch::moment::value::Seconds;
use hookswitch::moment::{EventName, Payload};

use crate::story::Story;

/// The changes of agents: who, from what, to what, after how long.
fn changes(payloads: &[&Payload]) -> Vec<String> {
    let words = |payload: &&&Payload| {
        let of = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
        let (before, now) = match payload.event {
            EventName::AgentStatus => (of(&payload.agent_previous_status), of(&payload.agent_status)),
            _ => (of(&payload.agent_previous_state), of(&payload.agent_state)),
        };
        let after = payload.lasted_sec.map(|Seconds(seconds)| format!(" after {seconds}")).unwrap_or_default();
        let found = if payload.synthetic { " (found)" } else { "" };
        format!("{}: {before} to {now}{after}{found}", payload.agent_name.as_ref().expect("an agent"))
    };
    payloads.iter().filter(|payload| payload.event.is_of_agent()).map(|payload| words(&payload)).collect()
}

#[test]
fn a_change_tells_what_was_before_and_for_how_long() {
    let mut story = Story::heard("");
    story.status("1000@default", "Available");
    story.pass(2_500);
    story.state("1000@default", "Receiving");
    story.status("1000@default", "On Break");
    story.status("1000@default", "On Break");
    let told = story.told();
    let payloads: Vec<_> = told.payloads.iter().collect();
    assert_eq!(
        changes(&payloads),
        [
            "1000@default: unknown to Available",
            "1000@default: unknown to Receiving",
            "1000@default: Available to On Break after 2.5",
        ]
    );
    let last = told.payloads.last().expect("a moment");
    assert_eq!((last.agent_id, last.agent_extension.as_deref()), (Some(1000), Some("1000")));
    assert_eq!(last.agent_state.as_deref(), Some("Receiving"), "what else is known of the agent");
    let of_queue_or_attempt = (&last.queue_name, last.attempt_id, last.sequence, last.wait_sec, last.use_processing);
    assert_eq!(of_queue_or_attempt, (&None, None, None, None, None));
}

#[test]
fn two_changes_within_one_tick_are_told_in_the_order_in_which_they_were_made() {
    let mut story = Story::heard("");
    story.state("agent1", "Receiving");
    story.state("agent1", "Waiting");
    story.sent.swap(1, 2);
    let told = story.told();
    assert_eq!(changes(&told.payloads.iter().collect::<Vec<_>>()), ["agent1: unknown to Waiting"]);
    assert_eq!(told.anomalies(Anomaly::LateAgentEvent), 1);
}

#[test]
fn whoever_hears_of_a_change_names_it_alike() {
    let mut story = Story::heard("");
    story.status("agent1", "Available");
    story.pass(1_000);
    story.status("agent1", "On Break");
    story.pass(1_000);
    story.status("agent1", "Available");
    let early = story.told();
    story.sent.remove(1);
    let late = story.told();
    let ids = |payloads: &[Payload]| payloads.iter().map(|payload| payload.id).collect::<Vec<_>>();
    assert_eq!(ids(&early.payloads)[1..], ids(&late.payloads)[..]);
    assert_ne!(ids(&early.payloads)[0], ids(&early.payloads)[2], "the same status again is another moment");
}

fn row(name: &str, status: &str, state: &str) -> AgentRow {
    AgentRow { name: name.into(), status: status.into(), state: state.into(), ..AgentRow::default() }
}

#[test]
fn a_snapshot_finds_what_has_changed_but_knows_less_than_events_that_came_since() {
    let mut story = Story::heard("");
    for agent in ["agent1", "agent2", "agent3"] {
        story.status(agent, "Available");
    }
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    lifecycle.begin_connection();
    let mut later = Effects::default();
    story.sent.clear();
    story.pass(1_000);
    story.status("agent2", "On Break");
    story.play(&mut lifecycle, &mut later);
    let agents = vec![
        AgentRow { last_status_change: "1795421931".into(), ..row("agent1", "Logged Out", "Waiting") },
        row("agent2", "Available", "Waiting"),
        row("agent3", "Available", "Waiting"),
        row("agent4", "Available", "Waiting"),
    ];
    let snapshot = Snapshot { core: Some("core-1".into()), agents, ..Snapshot::default() };
    lifecycle.reconcile(&snapshot, &Default::default(), &mut later);
    let payloads: Vec<_> = later.moments.iter().map(|moment| &moment.payload).collect();
    assert_eq!(
        changes(&payloads),
        ["agent2: Available to On Break after 1", "agent1: Available to Logged Out after 0 (found)"]
    );
}

#[test]
fn hooks_of_agents_hear_them_by_pattern() {
    let config = "[flows.f]\nsteps = [{ log = { message = 'x' } }]\n\
        [agents.\"*\"]\nhooks = [{ event = 'agent_status', flow = 'f' }]\n\
        [agents.\"10??\"]\nhooks = [{ name = 'ten', event = 'agent_status', flow = 'f', when = \"agent_status == 'On Break'\" }]\n\
        [agents.1000]\nid = 7\nhooks = [{ name = 'own', event = 'agent_state', flow = 'f' }]\n";
    let config_as_read = hookswitch::config::Config::from_toml("t", config).expect("good");
    let mut story = Story::with(config);
    story.status("1000", "On Break");
    story.status("1000", "Available");
    story.status("2000", "On Break");
    story.state("1000", "Idle");
    story.state("2000", "Idle");
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    let planned = effects.moments.into_iter().flat_map(|moment| hook::plan(&config_as_read, moment));
    let runs: Vec<Vec<String>> = planned.map(|(_, runs)| runs.into_iter().map(|run| run.hook).collect()).collect();
    assert_eq!(
        runs,
        [vec!["agents/*/0", "agents/10??/ten"], vec!["agents/*/0"], vec!["agents/*/0"], vec!["agents/1000/own"]]
    );
}

#[test]
fn an_agent_that_was_added_is_asked_for_once() {
    let mut story = Story::new();
    story.add_agent("agent9");
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    assert!(lifecycle.take_stale_roster());
    assert!(!lifecycle.take_stale_roster());
}

#[test]
fn an_agent_is_called_where_its_contact_says() {
    let mut story = Story::heard("");
    story.status("anna", "On Break");
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    let agents = vec![AgentRow { contact: "user/1017@default".into(), ..row("anna", "Available", "Waiting") }];
    let snapshot = Snapshot { core: Some("core-1".into()), agents, ..Snapshot::default() };
    lifecycle.reconcile(&snapshot, &Default::default(), &mut effects);
    story.play(&mut lifecycle, &mut effects);
    let last = &effects.moments.last().expect("a moment").payload;
    assert_eq!(
        (last.agent_extension.as_deref(), last.agent_previous_status.as_deref()),
        (Some("1017"), Some("Available"))
    );
}
