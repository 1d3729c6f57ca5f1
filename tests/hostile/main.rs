//! Callers who call themselves what would harm a careless program: what a receiver reads is the name, and nothing else.
//!
//! The names come in as FreeSWITCH's events and go the daemon's whole way: lifecycle, hooks, outbox, flows, requests. What
//! arrives is read by Python's own parsers (`receiver.py`), which know nothing of ours.

mod argument;
mod log;
mod name;
mod position;
mod receiver;
mod stage;
#[path = "../flow/switchboard.rs"]
mod switchboard;

use std::io::Write as _;

use argument::Argument;
use hookswitch::esl::Nodes;
use hookswitch::outbox::RunState;
use log::Log;
use position::Position;
use receiver::Receiver;
use stage::Stage;
use switchboard::{Switchboard, link};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_caller_is_called_every_position_says_it_and_nothing_else() {
    let Some(mut receiver) = Receiver::start() else {
        // Not to the test's own output, which nobody sees of a test that passes.
        writeln!(std::io::stderr(), "LEFT OUT: there is no python3, whose parsers read what arrives")
            .expect("is written");
        return;
    };
    let log = Log::begin();
    let flows = Position::ALL.map(|position| (position.flow(), position.steps(&receiver.address)));
    let stage = Stage::open(&flows, Nodes::default());
    for name in name::all() {
        for (flow, story) in stage.call(&name).await {
            let position = Position::of_flow(&flow);
            let delivered = story.run.state == RunState::Delivered;
            assert_eq!(delivered, position.takes(&name), "{position:?} of {name:?}: {:?}", story.run.error);
            if delivered && position != Position::Log {
                let found = receiver.take(position);
                let expected = position.reading(&name);
                assert!(found == expected, "{position:?} of {name:?}: {found:.500} instead of {expected:.500}");
            }
        }
    }
    assert_eq!(receiver.left_over(), 0, "no request came that was not meant");
    log.check(name::all().filter(|name| Position::Log.takes(name)).count());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_caller_is_called_freeswitch_is_given_the_command_that_was_meant_or_none() {
    let answer = |command: &str| match command.starts_with("json ") {
        true => r#"{"status":"success","response":[]}"#.to_owned(),
        false => "+OK\n".to_owned(),
    };
    let (switchboard, nodes) = (Switchboard::start(answer).await, Nodes::default());
    nodes.insert("fs1".into(), &link(&switchboard.address.to_string()));
    let flows = Argument::ALL.map(|argument| (argument.flow(), argument.steps()));
    let stage = Stage::open(&flows, nodes);
    let mut expected = Vec::new();
    for name in name::all().chain(name::of_commands()) {
        for (flow, story) in stage.call(&name).await {
            let argument = Argument::of_flow(&flow);
            let commands = argument.commands(&name.text());
            let delivered = story.run.state == RunState::Delivered;
            assert_eq!(delivered, !commands.is_empty(), "{argument:?} of {name:?}: {:?}", story.run.error);
            expected.extend(commands);
        }
    }
    let mut given = switchboard.lines();
    given.sort();
    expected.sort();
    let differs = given.iter().zip(&expected).find(|(given, expected)| given != expected);
    assert!(differs.is_none(), "{differs:.500?}");
    assert_eq!(given.len(), expected.len());
}
