//! A sample moment, to try a flow with.

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::config::Config;
use crate::id::{MomentId, QueueName};
use crate::lifecycle::variables;
use crate::moment::value::{Medium, Variables};
use crate::moment::{EventName, Payload};

/// A moment of a recording as if it happened now, on the node and, if one is named, in the queue as they are configured.
pub fn sample(config: &Config, event: EventName, queue: Option<QueueName>) -> Payload {
    let queue = queue.or_else(|| Payload::sample(event).queue_name);
    let settings = queue.as_ref().map(|name| config.queue(name).settings.clone());
    let queue_type = settings.as_ref().map(|settings| settings.queue_type).unwrap_or_default();
    let mut payload = Payload::sample_in(event, queue_type);
    payload.move_to(Timestamp::now());
    if let Some(node) = config.freeswitch.first().filter(|_| queue_type.medium() == Medium::Call) {
        payload.node = node.name.clone();
    }
    if let Some(settings) = settings.filter(|_| payload.queue_name.is_some()) {
        payload.queue_name = queue;
        payload.queue_type = Some(queue_type);
        payload.channel = Some(queue_type.medium());
        payload.use_processing = payload.use_processing.map(|used| settings.processing.unwrap_or(used));
        let mut variables = variables::configured(&settings);
        let own: Map<String, Json> = serde_json::from_str(payload.variables.as_json()).unwrap_or_default();
        variables.extend(own);
        payload.variables = Variables::from_object(&variables);
    }
    payload
}

/// Makes a moment a test: with an identifier that no other has.
pub fn make_test(payload: &mut Payload) {
    (payload.id, payload.test) = (MomentId::from_bytes(fastrand::u128(..).to_be_bytes()), true);
}
