//! Calls through the queues of a real FreeSWITCH, made by SIPp, and what hookswitch tells of them.
//!
//! ```sh
//! HOOKSWITCH_FREESWITCH=/usr/bin/freeswitch cargo test --test freeswitch -- --ignored --nocapture
//! ```
//!
//! A private FreeSWITCH runs on free ports of the loopback interface, with the files of `conf/freeswitch` and `dialplan`; beside
//! it `hookswitch run`, and a receiver that checks every signature. All processes end by their own identifiers, after a panic
//! too. After a difference the directory of the run stays, with the logs and `events.esl`, a copy of what the Event Socket gave,
//! for `hookswitch replay`.
//!
//! - `what_webhooks_say_is_what_the_phones_saw`: the scenarios, one after the other. Each has a caller's number of its own. What
//!   the webhooks say is compared with what was expected, and with what SIPp's phones saw: who sent BYE, which status an INVITE
//!   got, how long a phone rang. `HOOKSWITCH_SCENARIO=transfer` runs only those whose names contain that word.
//! - `check_says_what_is_wrong_with_a_freeswitch`: `check --connect` with a wrong password, a wrong port, without mod_callcenter,
//!   and refused by the access list.
//! - `five_calls_a_second_are_each_told_whole`: twenty agents and too many callers for them, for a minute or for
//!   `HOOKSWITCH_LOAD_SECONDS`. Every call must be told whole, and as its phones saw it. Prints the processor time of hookswitch
//!   and of FreeSWITCH; `HOOKSWITCH_BIN=target/release/hookswitch` measures a release build.

mod check;
mod daemon;
mod floor;
mod line;
mod load;
mod losses;
mod phone;
mod place;
mod receiver;
mod rtp;
mod scenario;
mod socket;
mod stage;
mod story;
mod switch;
mod table;
mod witness;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use load::Load;
use place::Place;
use stage::Stage;
use table::Row;

/// One FreeSWITCH at a time: a second one would take the first one's processor, and with it the times of its calls.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
#[ignore = "needs a FreeSWITCH and SIPp: see the head of this file"]
fn what_webhooks_say_is_what_the_phones_saw() {
    let Some((place, _alone)) = begin() else { return };
    let wanted = std::env::var("HOOKSWITCH_SCENARIO").unwrap_or_default();

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

#[test]
#[ignore = "needs a FreeSWITCH and SIPp: see the head of this file"]
fn five_calls_a_second_are_each_told_whole() {
    let Some((place, _alone)) = begin() else { return };
    let seconds =
        std::env::var("HOOKSWITCH_LOAD_SECONDS").map_or(60, |text| text.parse().expect("a number of seconds"));
    let outcome = Load::begin(&place).play(&place, seconds);
    outcome.print();
    let wrong = outcome.differences.len();
    assert!(wrong == 0, "{wrong} differences; see {}", place.keep().display());
}

#[test]
#[ignore = "needs a FreeSWITCH and SIPp: see the head of this file"]
fn a_link_that_was_cut_for_ten_seconds_leaves_every_story_whole() {
    let Some((place, _alone)) = begin() else { return };
    conclude(&place, &losses::link_cut(&place));
}

#[test]
#[ignore = "needs a FreeSWITCH and SIPp: see the head of this file"]
fn a_daemon_that_starts_later_tells_the_same_of_every_call() {
    let Some((place, _alone)) = begin() else { return };
    conclude(&place, &losses::two_daemons(&place));
}

#[test]
#[ignore = "needs a FreeSWITCH and SIPp: see the head of this file"]
fn check_says_what_is_wrong_with_a_freeswitch() {
    let Some((place, _alone)) = begin() else { return };
    let differences = check::differences(&place);
    assert!(differences.is_empty(), "{differences:#?}; see {}", place.keep().display());
}

/// Prints the table, and fails where something differs.
fn conclude(place: &Place, rows: &[Row]) {
    table::print(rows);
    let wrong = rows.iter().filter(|row| !row.differences.is_empty()).count();
    assert!(wrong == 0, "{wrong} differ; see {}", place.keep().display());
}

/// A place for a run of its own, unless no FreeSWITCH is named.
fn begin() -> Option<(Place, MutexGuard<'static, ()>)> {
    let Some(program) = std::env::var_os("HOOKSWITCH_FREESWITCH").map(PathBuf::from) else {
        println!("left out: HOOKSWITCH_FREESWITCH does not name a FreeSWITCH");
        return None;
    };
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new(program);
    println!("the run's directory: {}", place.directory().display());
    Some((place, alone))
}
