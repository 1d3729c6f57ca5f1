//! Calls through the queues of a real FreeSWITCH, made by SIPp, and what hookswitch tells of them.
//!
//! ```sh
//! HOOKSWITCH_FREESWITCH=/usr/bin/freeswitch cargo test --test freeswitch -- --ignored --nocapture
//! ```
//!
//! A private FreeSWITCH runs on free ports of the loopback interface, with the files of `conf/freeswitch` and `dialplan`; beside
//! it `hookswitch run`, and a receiver that checks every signature. Each scenario has a caller's number of its own. What the
//! webhooks say is compared with what was expected, and with what SIPp's phones saw: who sent BYE, which status an INVITE
//! got, how long a phone rang. All processes end by their own identifiers, after a panic too.
//!
//! `HOOKSWITCH_SCENARIO=transfer` runs only the scenarios whose names contain that word. After a difference the directory of
//! the run stays, with the logs and `events.esl`, a copy of what the Event Socket gave, for `hookswitch replay`.

mod daemon;
mod phone;
mod place;
mod receiver;
mod scenario;
mod socket;
mod stage;
mod story;
mod switch;
mod table;

use std::path::PathBuf;

use place::Place;
use stage::Stage;
use table::Row;

#[test]
#[ignore = "needs a FreeSWITCH and SIPp: see the head of this file"]
fn what_webhooks_say_is_what_the_phones_saw() {
    let Some(program) = std::env::var_os("HOOKSWITCH_FREESWITCH").map(PathBuf::from) else {
        println!("left out: HOOKSWITCH_FREESWITCH does not name a FreeSWITCH");
        return;
    };
    let wanted = std::env::var("HOOKSWITCH_SCENARIO").unwrap_or_default();
    let place = Place::new(program);
    println!("the run's directory: {}", place.directory().display());

    let mut stage = Stage::open(&place);
    let mut plays = Vec::new();
    for scenario in scenario::ALL.iter().filter(|scenario| scenario.name.contains(&wanted)) {
        println!("{} …", scenario.name);
        plays.push((scenario, stage.play(scenario)));
    }
    let numbers: Vec<_> = plays.iter().map(|(_, play)| play.number.as_str()).collect();
    let unexpected = stage.receiver().unexpected(&numbers);
    // Judged at the end: what came too much, or too late, is seen too.
    let rows: Vec<Row> = plays.into_iter().map(|(scenario, play)| play.judge(scenario, stage.receiver())).collect();
    table::print(&rows);
    drop(stage);

    let wrong = rows.iter().filter(|row| !row.differences.is_empty()).count();
    if wrong > 0 || !unexpected.is_empty() {
        panic!("{wrong} scenarios differ, unexpected webhooks: {unexpected:?}; see {}", place.keep().display());
    }
}
