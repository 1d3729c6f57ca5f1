//! A plausible moment, to try a flow with.

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::config::Config;
use crate::id::{MomentId, QueueName};
use crate::lifecycle::variables;
use crate::moment::value::Variables;
use crate::moment::{EventName, Payload};

/// A plausible moment that happens now, of the node and, if one is named, the queue as they are configured.
pub fn sample(config: &Config, event: EventName, queue: Option<QueueName>) -> Payload {
    let mut payload = Payload::sample(event);
    payload.move_to(Timestamp::now());
    if let Some(node) = config.freeswitch.first() {
        payload.node = node.name.clone();
    }
    if let (Some(name), Some(queue)) = (&mut payload.queue_name, queue) {
        *name = queue;
    }
    if let Some(name) = &payload.queue_name {
        let settings = config.queue(name).settings.clone();
        payload.queue_type = Some(settings.queue_type);
        payload.channel = Some(settings.queue_type.medium());
        let mut variables = variables::configured(&settings);
        let own: Map<String, Json> = serde_json::from_str(payload.variables.as_json()).unwrap_or_default();
        variables.extend(own);
        payload.variables = Variables::from_object(&variables);
    }
    payload.clear_inapplicable();
    payload
}

/// Makes a moment a test: with an identifier that no other has.
pub fn make_test(payload: &mut Payload) {
    (payload.id, payload.test) = (MomentId::from_bytes(fastrand::u128(..).to_be_bytes()), true);
}
