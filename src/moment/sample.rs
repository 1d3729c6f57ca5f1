//! Sample moments, to try flows with and to show what is sent: each is one that a recording gives.

use std::sync::LazyLock;

use super::event::EventName;
use super::payload::Payload;
use super::value::QueueType;

/// The samples, without the fields that are null: of each event one of an inbound queue, and of those that such queues
/// have, of queues of other types. A test compares them with what the recordings give.
static SAMPLES: LazyLock<Vec<Payload>> =
    LazyLock::new(|| serde_json::from_str(include_str!("samples.json")).expect("the samples are payloads"));

impl Payload {
    /// A moment of `event`, in an inbound queue where it is one of a queue.
    pub fn sample(event: EventName) -> Self {
        Self::sample_in(event, QueueType::Inbound)
    }

    /// A moment of `event` in a queue of that type, as far as there is a sample of one.
    pub fn sample_in(event: EventName, queue_type: QueueType) -> Self {
        let mut of_event = SAMPLES.iter().filter(|sample| sample.event == event);
        let first = of_event.clone().next().expect("there is a sample of every event");
        of_event.find(|sample| sample.queue_type == Some(queue_type)).unwrap_or(first).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_sample_of_every_event() {
        for event in EventName::ALL {
            let sample = Payload::sample(event);
            assert_eq!((sample.event, sample.test), (event, false));
            assert!(sample.queue_type.is_none_or(|queue_type| queue_type == QueueType::Inbound), "{event}");
        }
    }
}
