//! Callers who call themselves what would harm a careless program: what a receiver reads is the name, and nothing else.
//!
//! The names come in as FreeSWITCH's events and go the daemon's whole way: lifecycle, hooks, outbox, flows, requests. What
//! arrives is read by Python's own parsers (`receiver.py`), which know nothing of ours.

mod log;
mod name;
mod position;
mod receiver;
mod stage;

use std::io::Write as _;

use hookswitch::outbox::RunState;
use log::Log;
use position::Position;
use receiver::Receiver;
use stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_caller_is_called_every_position_says_it_and_nothing_else() {
    let Some(mut receiver) = Receiver::start() else {
        // Not to the test's own output, which nobody sees of a test that passes.
        writeln!(std::io::stderr(), "LEFT OUT: there is no python3, whose parsers read what arrives")
            .expect("is written");
        return;
    };
    let log = Log::begin();
    let stage = Stage::open(&receiver.address);
    for name in name::all() {
        for (position, story) in stage.call(&name).await {
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
