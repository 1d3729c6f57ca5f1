//! The moment that a flow is tried with: a sample, or one of the outbox.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use super::{Args, FireError, configured, fresh_id, starts};
use crate::config::Config;
use crate::flow::Flow;
use crate::id::QueueName;
use crate::moment::value::Variables;
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
            let payload = sample(config, &flow, args.event);
            Occasion { flow, payload, told: "a sample".into() }
        }
        (None, _, None) => unreachable!("the arguments require one"),
    };
    for assignment in &args.assignments {
        assignment.apply(&mut occasion.payload)?;
    }
    (occasion.payload.id, occasion.payload.test) = (fresh_id(), true);
    Ok(occasion)
}

fn stored(outbox: &Path, id: crate::id::MomentId) -> Result<Payload, FireError> {
    let payload = Deliveries::open(outbox)?.payload(id)?.ok_or(FireError::NoMoment(id))?;
    Ok(serde_json::from_str(payload.get())?)
}

/// A plausible moment that happens now, of the first hook's event, queue and node as they are configured.
fn sample(config: &Config, flow: &Flow, event: Option<EventName>) -> Payload {
    let is_meant = |event_of_hook: EventName| event.is_none_or(|event| event == event_of_hook);
    let hook = config.hooks().find(|hook| starts(hook, &flow.name) && is_meant(hook.event));
    let event = event.or(hook.map(|hook| hook.event)).unwrap_or(EventName::Offering);
    let mut payload = Payload::sample(event);
    payload.move_to(Timestamp::now());
    if let Some(node) = config.freeswitch.first() {
        payload.node = node.name.clone();
    }
    let has_hook = |queue: &QueueName| {
        let is_same = |id: &str| config.queue(queue).hooks.iter().any(|hook| hook.id == id);
        hook.is_some_and(|hook| is_same(&hook.id))
    };
    let queue = config.queue_names().map(QueueName::from).find(has_hook);
    if let (Some(name), Some(queue)) = (&mut payload.queue_name, queue) {
        *name = queue;
    }
    if let Some(name) = &payload.queue_name {
        let settings = config.queue(name).settings.clone();
        payload.queue_type = Some(settings.queue_type);
        payload.channel = Some(settings.queue_type.medium());
        let mut variables = settings.variables.clone();
        let own: Map<String, Json> = serde_json::from_str(payload.variables.as_json()).unwrap_or_default();
        variables.extend(own);
        payload.variables = Variables::from_object(&variables);
    }
    payload.clear_inapplicable();
    payload
}
