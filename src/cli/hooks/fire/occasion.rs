//! The moment that a flow is tried with: a sample, or one of the outbox.

use std::path::Path;
use std::sync::Arc;

use super::{Args, FireError, configured, starts};
use crate::config::Config;
use crate::flow::Flow;
use crate::hook::sample;
use crate::hook::sample::make_test;
use crate::id::QueueName;
use crate::moment::{EventName, Payload};
use crate::outbox::deliveries::{Deliveries, DeliveriesError};

/// A flow and a moment for it.
pub(super) struct Occasion {
    pub(super) flow: Arc<Flow>,
    pub(super) payload: Payload,
    /// What moment it is, in words.
    pub(super) told: String,
}

/// Finds what the arguments name, and makes it a test.
pub(super) fn find(args: &Args, config: &Config) -> Result<Occasion, FireError> {
    let named = args.flow.as_deref().map(|name| configured(config, name).cloned()).transpose()?;
    let outbox = || args.outbox.as_deref().unwrap_or(&config.outbox.path);
    let mut occasion = match (named, &args.moment, &args.run) {
        (flow, _, Some(run)) => {
            let deliveries = Deliveries::open(outbox())?;
            let id = deliveries.find(run)?;
            let story = deliveries.show(id)?.ok_or_else(|| DeliveriesError::NoRun(run.clone()))?;
            let flow = flow.map_or_else(|| configured(config, &story.run.flow).cloned(), Ok)?;
            Occasion {
                flow,
                payload: serde_json::from_str(story.payload.get())?,
                told: format!("the moment of run {id}"),
            }
        }
        (Some(flow), Some(id), None) => {
            Occasion { flow, payload: stored(outbox(), *id)?, told: format!("the moment {id}") }
        }
        (Some(flow), None, None) => {
            let payload = sample_for(config, &flow, args.event);
            Occasion { flow, payload, told: "a sample".into() }
        }
        (None, _, None) => unreachable!("the arguments require one"),
    };
    for assignment in &args.assignments {
        assignment.apply(&mut occasion.payload)?;
    }
    make_test(&mut occasion.payload);
    Ok(occasion)
}

fn stored(outbox: &Path, id: crate::id::MomentId) -> Result<Payload, FireError> {
    let payload = Deliveries::open(outbox)?.payload(id)?.ok_or(FireError::NoMoment(id))?;
    Ok(serde_json::from_str(payload.get())?)
}

/// A plausible moment of the first hook that starts the flow, in a queue that has it.
fn sample_for(config: &Config, flow: &Flow, event: Option<EventName>) -> Payload {
    let is_meant = |event_of_hook: EventName| event.is_none_or(|event| event == event_of_hook);
    let hook = config.hooks().find(|hook| starts(hook, &flow.name) && is_meant(hook.event));
    let event = event.or(hook.map(|hook| hook.event)).unwrap_or(EventName::Offering);
    let has_hook = |queue: &QueueName| {
        let is_same = |id: &str| config.queue(queue).hooks.iter().any(|hook| hook.id == id);
        hook.is_some_and(|hook| is_same(&hook.id))
    };
    sample(config, event, config.queue_names().map(QueueName::from).find(has_hook))
}
