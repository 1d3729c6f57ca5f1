//! `queue_info = { … }`: a step that asks FreeSWITCH how a queue is.

use std::time::Duration;

use crate::config::delivery::{retry, timeout};
use crate::config::flow::Reading;
use crate::config::section::Section;
use crate::delivery::RetrySchedule;
use crate::flow::action::QueueInfoStep;
use crate::flow::template::CommandTemplate;

/// How long FreeSWITCH may take to list a queue's members and agents.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The waits between tries: so long a connection takes to come back, or it does not soon.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

pub(super) fn read(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<QueueInfoStep> {
    let queue = match section.has("queue") {
        true => {
            let compile = |text: &str| CommandTemplate::compile(text, &reading.names);
            Some(section.optional("queue", |value| value.compiled(compile))?)
        }
        false => None,
    };
    let timeout = section.optional("timeout", timeout).unwrap_or(TIMEOUT);
    let retry = section.optional("retry", retry).unwrap_or_else(|| RetrySchedule { waits: WAITS.to_vec() });
    Some(QueueInfoStep { queue, timeout, retry })
}
