//! The runs that a moment starts.

use std::cell::OnceCell;

use minijinja::Value;
use serde::Deserialize as _;
use tracing::field::display;
use tracing::info;

use super::subscription::Hook;
use crate::config::Config;
use crate::moment::{EventName, Moment, Payload};
use crate::outbox::PlannedRun;

/// The moment, with the runs that its queue's hooks start; those of its agent, where it happened in no queue.
///
/// `answered` has a second name, `active`: where a hook of that name fires, the moment has a twin with an identifier of its
/// own and the same sequence number.
pub fn plan(config: &Config, moment: Moment) -> Vec<(Moment, Vec<PlannedRun>)> {
    plan_those(config, moment, |_, _| true)
}

/// The same, without what is only rehearsed: where the hook, its queue or the daemon has `dry_run`, a log line tells what
/// would have started.
pub fn start(config: &Config, moment: Moment) -> Vec<(Moment, Vec<PlannedRun>)> {
    plan_those(config, moment, |hook, payload| {
        let queue_is_dry = payload.queue_name.as_ref().is_some_and(|queue| config.queue(queue).dry_run);
        let rehearsed = hook.dry_run || config.daemon.dry_run || queue_is_dry;
        if rehearsed {
            let (flow, event) = (&hook.flow.name, payload.event);
            let (queue, agent) = (payload.queue_name.as_ref().map(display), payload.agent_name.as_ref().map(display));
            info!(queue, agent, attempt = payload.attempt_id, hook = hook.id, %flow, "dry run: {event} would start a flow");
        }
        !rehearsed
    })
}

fn plan_those(
    config: &Config,
    moment: Moment,
    takes: impl Fn(&Hook, &Payload) -> bool,
) -> Vec<(Moment, Vec<PlannedRun>)> {
    let runs = |payload: &Payload| runs(config, payload, &takes);
    let twin = (moment.payload.event == EventName::Answered).then(|| twin(&moment));
    let twin = twin.map(|twin| (runs(&twin.payload), twin)).filter(|(runs, _)| !runs.is_empty());
    let mut planned = vec![(runs(&moment.payload), moment)];
    planned.extend(twin);
    planned.into_iter().map(|(runs, moment)| (moment, runs)).collect()
}

fn twin(moment: &Moment) -> Moment {
    let mut twin = moment.clone();
    twin.payload.event = EventName::Active;
    twin.payload.id = moment.payload.id.twin(EventName::Active.as_str());
    twin
}

fn runs(config: &Config, payload: &Payload, takes: impl Fn(&Hook, &Payload) -> bool) -> Vec<PlannedRun> {
    let fields = OnceCell::new();
    let fires = |hook: &Hook| {
        hook.enabled
            && hook.event == payload.event
            && hook.when.as_ref().is_none_or(|when| hook.holds(when, fields.get_or_init(|| fields_of(payload))))
            && takes(hook, payload)
    };
    let run = |hook: &Hook| PlannedRun {
        id: payload.id.run(&hook.id, &hook.flow.name),
        hook: hook.id.clone(),
        flow: hook.flow.clone(),
        // The shorter one, where both say something.
        expires_after: hook.expires_after.into_iter().chain(hook.flow.expires_after).min(),
    };
    match (&payload.queue_name, &payload.agent_name) {
        (Some(queue), _) => config.queue(queue).hooks.iter().filter(|hook| fires(hook)).map(|hook| run(hook)).collect(),
        (None, Some(agent)) => config.agent_hooks(agent).filter(|hook| fires(hook)).map(|hook| run(hook)).collect(),
        (None, None) => Vec::new(),
    }
}

/// The payload's fields, as conditions see them.
fn fields_of(payload: &Payload) -> Value {
    let json = serde_json::to_value(payload).expect("a payload is JSON");
    Value::deserialize(json).expect("the engine takes every JSON value")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOWS: &str = "[flows.f]\nsteps = [{ log = { message = \"x\" } }]\n";

    fn planned(hooks: &str, event: EventName) -> Vec<(Moment, Vec<PlannedRun>)> {
        let text = format!("{FLOWS}[queues.\"support@*\"]\nhooks = [{hooks}]\n");
        let config = Config::from_toml("test.toml", &text).expect("a good configuration");
        let payload = Payload::sample(event);
        plan(&config, Moment { attempt: Default::default(), payload })
    }

    fn hooks(planned: &[(Moment, Vec<PlannedRun>)]) -> Vec<(EventName, Vec<&str>)> {
        planned
            .iter()
            .map(|(moment, runs)| (moment.payload.event, runs.iter().map(|run| run.hook.as_str()).collect()))
            .collect()
    }

    #[test]
    fn a_moment_starts_the_hooks_of_its_event_in_their_order() {
        let planned = planned(
            r#"{ name = "b", event = "leaving", flow = "f" }, { event = "leaving", flow = "f" }, { event = "joined", flow = "f" }"#,
            EventName::Leaving,
        );
        assert_eq!(hooks(&planned), [(EventName::Leaving, vec!["support@*/b", "support@*/1"])]);
        let (moment, runs) = &planned[0];
        assert_eq!(runs[0].id, moment.payload.id.run("support@*/b", &"f".into()));
        assert_ne!(runs[0].id, runs[1].id);
    }

    #[test]
    fn a_moment_without_hooks_is_still_a_moment() {
        assert_eq!(hooks(&planned("", EventName::Joined)), [(EventName::Joined, vec![])]);
    }

    #[test]
    fn a_disabled_hook_and_one_whose_condition_does_not_hold_start_nothing() {
        let planned = planned(
            r#"{ event = "leaving", flow = "f", enabled = false },
               { event = "leaving", flow = "f", when = "cc_result != 'success'" },
               { event = "leaving", flow = "f", when = "variables.customer_id" },
               { event = "leaving", flow = "f", when = "variables.nobody" }"#,
            EventName::Leaving,
        );
        assert_eq!(hooks(&planned), [(EventName::Leaving, vec!["support@*/2"])]);
    }

    #[test]
    fn what_is_only_rehearsed_starts_nothing_and_is_planned_all_the_same() {
        let hooks = "[{ name = 'a', event = 'joined', flow = 'f', dry_run = true }, \
                      { name = 'b', event = 'joined', flow = 'f' }]";
        let started = |more: &str, of_queue: &str| {
            let text = format!("{more}{FLOWS}[queues.\"*\"]\nhooks = {hooks}\n{of_queue}\n");
            let config = Config::from_toml("test.toml", &text).expect("a good configuration");
            let moment = Moment { attempt: Default::default(), payload: Payload::sample(EventName::Joined) };
            assert_eq!(plan(&config, moment.clone())[0].1.len(), 2);
            let started = start(&config, moment);
            started[0].1.iter().map(|run| run.hook.clone()).collect::<Vec<_>>()
        };
        assert_eq!(started("", ""), ["*/b"]);
        assert!(started("[daemon]\ndry_run = true\n", "").is_empty());
        assert!(started("", "dry_run = true").is_empty());
        assert_eq!(started("", "dry_run = true\n[queues.\"support@default\"]\ndry_run = false"), ["*/b"]);
    }

    #[test]
    fn answered_has_a_twin_only_where_somebody_hears_it() {
        let both = planned(
            r#"{ name = "a", event = "answered", flow = "f" }, { name = "b", event = "active", flow = "f" }"#,
            EventName::Answered,
        );
        assert_eq!(
            hooks(&both),
            [(EventName::Answered, vec!["support@*/a"]), (EventName::Active, vec!["support@*/b"])]
        );
        assert_ne!(both[0].0.payload.id, both[1].0.payload.id);
        assert_eq!(both[0].0.payload.sequence, both[1].0.payload.sequence);
        let alone = planned(r#"{ event = "active", flow = "f", when = "false" }"#, EventName::Answered);
        assert_eq!(hooks(&alone), [(EventName::Answered, vec![])]);
    }

    #[test]
    fn a_condition_that_fails_is_counted_and_does_not_fire() {
        let text = format!(
            "{FLOWS}[queues.q]\nhooks = [{{ event = \"joined\", flow = \"f\", when = \"queue_name + 1 > 2\" }}]\n"
        );
        let config = Config::from_toml("test.toml", &text).expect("a good configuration");
        let mut payload = Payload::sample(EventName::Joined);
        payload.queue_name = Some("q".into());
        let planned = plan(&config, Moment { attempt: Default::default(), payload });
        assert_eq!(hooks(&planned), [(EventName::Joined, vec![])]);
        assert_eq!(config.hooks().next().expect("the hook").condition_failures(), 1);
    }
}
