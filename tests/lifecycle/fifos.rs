//! Queues of mod_fifo.

use hookswitch::moment::EventName;
use hookswitch::moment::value::CcResult;

use crate::story::{Ended, Leg, Story};

fn caller(story: &mut Story) -> Leg {
    let caller = story.call("40712345001", "6101");
    story.pick_up(caller);
    story.fifo("push", caller, &[]);
    story.pass(3_000);
    caller
}

fn consumer_takes(story: &mut Story, consumer: Leg, caller: Leg) {
    let uuid = story.uuid(caller);
    story.fifo("consumer_pop", consumer, &[("FIFO-Caller-UUID", &uuid)]);
    story.pass(20);
    story.connect(consumer, caller);
    story.pass(4_000);
}

#[test]
fn a_consumer_who_calls_in_is_offered_answers_and_is_bridged() {
    let mut story = Story::sources();
    let caller = caller(&mut story);
    let consumer = story.call("2901", "6103");
    story.pick_up(consumer);
    consumer_takes(&mut story, consumer, caller);
    story.hang_up(caller, "NORMAL_CLEARING", Ended::ByPhone);
    story.fifo("bridge-consumer-stop", consumer, &[]);
    story.fifo("bridge-caller-stop", caller, &[]);
    let told = story.told();
    assert_eq!(
        told.hooks(),
        ["joined", "offering 2901", "answered 2901", "bridged 2901", "processing 2901", "leaving success"]
    );
    assert_eq!(told.leaving().call_voice_sec.map(|voice| voice.0), Some(4.0));
}

#[test]
fn a_consumer_whom_mod_fifo_calls_is_offered_when_his_phone_is_called() {
    let mut story = Story::sources();
    let caller = caller(&mut story);
    let uuid = story.uuid(caller);
    let marks = [("fifo_name", "desk"), ("fifo_bridge_uuid", &*uuid), ("cc_agent", "agent1")];
    let refused = story.dial_with("1000", &marks);
    story.pass(500);
    story.hang_up(refused, "USER_BUSY", Ended::ByPhone);
    story.pass(1_000);
    let consumer = story.dial_with("1000", &marks);
    story.pass(1_000);
    story.pick_up(consumer);
    consumer_takes(&mut story, consumer, caller);
    story.hang_up(consumer, "NORMAL_CLEARING", Ended::ByPhone);
    story.fifo("bridge-consumer-stop", consumer, &[]);
    story.hang_up(caller, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.fifo("bridge-caller-stop", caller, &[]);
    let told = story.told();
    assert_eq!(told.hooks()[..3], ["joined", "offering agent1", "missed agent1 busy"]);
    assert_eq!(told.offers(), ["agent1 busy", "agent1 bridged"]);
    assert_eq!(told.leaving().cc_result, Some(CcResult::Success));
    assert!(told.payloads.iter().all(|payload| !payload.synthetic));
}

#[test]
fn how_a_caller_leaves_alone_is_told_apart() {
    for (action, hung_up, key, hooks) in [
        ("abort", true, None, "leaving abandoned hangup"),
        ("timeout", false, None, "leaving cancel timeout"),
        ("abort", false, Some("9"), "leaving cancel exit_with_key"),
        ("abort", false, None, "leaving cancel break_out"),
    ] {
        let mut story = Story::sources();
        let caller = caller(&mut story);
        key.into_iter().for_each(|key| story.set(caller, "fifo_caller_exit_key", key));
        if hung_up {
            story.ending(caller, "NORMAL_CLEARING", Ended::ByPhone);
        }
        story.fifo(action, caller, &[]);
        if hung_up {
            story.gone(caller);
        }
        assert_eq!(story.told().hooks(), ["joined", hooks], "{action} {key:?}");
    }
}

#[test]
fn a_caller_can_enter_a_fifo_again() {
    let mut story = Story::sources();
    let caller = caller(&mut story);
    story.fifo("timeout", caller, &[]);
    story.pass(1_000);
    story.fifo("push", caller, &[]);
    story.pass(1_000);
    story.ending(caller, "NORMAL_CLEARING", Ended::ByPhone);
    story.fifo("abort", caller, &[]);
    story.gone(caller);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "leaving cancel timeout", "joined", "leaving abandoned hangup"]);
    let [first, second] = told.all(EventName::Leaving)[..] else { panic!("two") };
    assert_eq!(second.previous_attempt_id, first.attempt_id);
}

#[test]
fn a_caller_whose_abort_is_lost_leaves_with_his_call() {
    let mut story = Story::sources();
    let caller = caller(&mut story);
    story.hang_up(caller, "NORMAL_CLEARING", Ended::ByPhone);
    assert_eq!(story.told().hooks(), ["joined", "leaving abandoned hangup"]);
}

#[test]
fn a_fifo_that_is_not_configured_is_not_followed() {
    let mut story = Story::new();
    let caller = caller(&mut story);
    story.fifo("abort", caller, &[]);
    assert_eq!(story.told().hooks(), Vec::<String>::new());
}
