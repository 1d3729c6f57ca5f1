//! Entries and flows to test with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hookswitch::delivery::signature::SigningKeys;
use hookswitch::delivery::statuses::StatusRules;
use hookswitch::delivery::way::Ways;
use hookswitch::delivery::{Priority, RetrySchedule};
use hookswitch::flow::action::{HttpBody, HttpStep, LogStep};
use hookswitch::flow::layout::lay_out;
use hookswitch::flow::template::{TextTemplate, UrlTemplate};
use hookswitch::flow::{Action, Flow, SavedNames};
use hookswitch::id::{AttemptKey, MomentId};
use hookswitch::moment::value::{Seconds, Variables};
use hookswitch::moment::{EventName, Format, Moment, Payload};
use hookswitch::outbox::{AttemptChange, Entry, PlannedRun};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The attempt of the given number.
pub(crate) fn key(attempt: u32) -> AttemptKey {
    AttemptKey {
        core: "core".into(),
        queue: "support@default".into(),
        member: "member".into(),
        session: "session".into(),
        ordinal: attempt,
    }
}

/// The identifier of an attempt's moment of the given number.
pub(crate) fn moment_id(attempt: u32, number: u32) -> MomentId {
    key(attempt).hash().moment("missed", Some((&"1000@default".into(), number)))
}

/// One moment of an attempt, which starts the flows.
pub(crate) fn moment(attempt: u32, number: u32, flows: &[Arc<Flow>]) -> (Moment, Vec<PlannedRun>) {
    let mut payload = Payload::sample(EventName::Missed);
    payload.agent_name = Some("1000@default".into());
    payload.member_number = Some("40712345001".into());
    payload.wait_sec = Some(Seconds(1.64));
    payload.id = moment_id(attempt, number);
    payload.attempt_id = Some(key(attempt).hash().attempt_id());
    payload.sequence = Some(number + 1);
    let plan = |flow: &Arc<Flow>| PlannedRun {
        id: payload.id.run("support@default/hook", &flow.name),
        hook: "support@default/hook".into(),
        flow: flow.clone(),
        expires_after: flow.expires_after,
    };
    let runs = flows.iter().map(plan).collect();
    (Moment { attempt: key(attempt).hash(), payload }, runs)
}

/// One moment of an attempt, which starts the flows, and keeps the attempt open with a state that names the moment.
pub(crate) fn entry(attempt: u32, number: u32, flows: &[Arc<Flow>]) -> Entry {
    let state = format!(r#"{{"moments":{number}}}"#);
    Entry {
        moments: vec![moment(attempt, number, flows)],
        attempts: vec![AttemptChange::Keep { key: key(attempt), state }],
    }
}

/// An entry whose moment carries variables of the given size.
pub(crate) fn large_entry(attempt: u32, bytes: usize, flows: &[Arc<Flow>]) -> Entry {
    let mut entry = entry(attempt, 0, flows);
    let value = format!("{attempt} {}", "x".repeat(bytes));
    let object = serde_json::Map::from_iter([("large".to_owned(), value.into())]);
    entry.moments[0].0.payload.variables = Variables::from_object(&object);
    entry
}

/// A step that sends to `url` and is tried again after each of `waits`.
pub(crate) fn http(url: &str, waits: &[Duration]) -> Action {
    Action::Http(HttpStep {
        method: reqwest::Method::POST,
        url: UrlTemplate::compile(url, &SavedNames::none()).expect("a URL"),
        headers: Vec::new(),
        body: HttpBody::Format(Format::Standard),
        timeout: Duration::from_secs(20),
        retry: RetrySchedule { waits: waits.to_vec() },
        rules: StatusRules::default(),
        receivers: Ways::default(),
        keys: SigningKeys::from_secrets([SECRET]).expect("a secret"),
    })
}

pub(crate) fn log(message: &str) -> Action {
    let message = TextTemplate::compile(message, &SavedNames::none()).expect("a text");
    Action::Log(LogStep { level: tracing::Level::INFO, message })
}

/// A flow of these steps whose runs keep their order.
pub(crate) fn flow(name: &str, steps: Vec<Action>) -> Arc<Flow> {
    let block = steps.into_iter().map(Into::into).collect();
    let steps = lay_out(&block, &BTreeMap::new()).expect("a short list");
    Arc::new(Flow {
        name: name.into(),
        steps,
        ordered: true,
        priority: Priority::default(),
        paused: false,
        newest_first: false,
        expires_after: None,
        definition: None,
    })
}

/// A flow of one request.
pub(crate) fn webhook(name: &str, url: &str, waits: &[Duration]) -> Arc<Flow> {
    flow(name, vec![http(url, waits)])
}
