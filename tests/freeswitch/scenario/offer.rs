//! How agents take calls, or don't.

use serde_json::json;

use super::{Scenario, carries, seconds};
use crate::stage::Stage;

pub(super) const ANSWERED: Scenario = Scenario {
    also: |stories| {
        let mut found = carries(stories, &["variables", "customer_tier"], json!("gold"));
        found.extend(carries(stories, &["member_id"], json!(42)));
        found.extend(carries(stories, &["destination"], json!("4000")));
        found.extend(carries(stories, &["member_name"], json!("Zoë Müller")));
        found
    },
    ..Scenario::new(
        "answered",
        &["support: joined, success by member | 1000: offering answered bridged processing"],
        |stage| {
            stage.agent("1000");
            stage.caller("4000", seconds(3));
            stage.until_over("caller");
        },
    )
};

pub(super) const AGENT_HANGS_UP: Scenario = Scenario::new(
    "agent hangs up",
    &["support: joined, success by agent | 1000: offering answered bridged processing"],
    |stage| {
        stage.phone("agent", "1000", Some(seconds(2)), &[]);
        stage.calling("1000 logging in", "4091", "caller", None, &[]);
        stage.until_over("1000 logging in");
        stage.patient_caller("4000");
        stage.until_over("caller");
    },
);

pub(super) const NO_ANSWER: Scenario = Scenario::new(
    "no answer",
    &["support: joined, success by member | 1000: offering missed(no_answer 487) | \
       1001: offering answered bridged processing"],
    |stage| {
        stage.agent_who("agent_rings", "1000", None, &[]);
        next_agent_answers(stage);
    },
);

pub(super) const BUSY: Scenario = Scenario::new(
    "486",
    &["support: joined, success by member | 1000: offering missed(busy 486) | \
       1001: offering answered bridged processing"],
    |stage| refused_with(stage, "486 Busy Here"),
);

pub(super) const UNAVAILABLE: Scenario = Scenario::new(
    "480",
    &["support: joined, success by member | 1000: offering missed(unavailable 480) | \
       1001: offering answered bridged processing"],
    |stage| refused_with(stage, "480 Temporarily Unavailable"),
);

pub(super) const DECLINED: Scenario = Scenario::new(
    "603",
    &["support: joined, success by member | 1000: offering missed(rejected 603) | \
       1001: offering answered bridged processing"],
    |stage| refused_with(stage, "603 Decline"),
);

pub(super) const RING_ALL: Scenario = Scenario::new(
    "ring-all",
    &["sales: joined, success by member | 1000: offering answered bridged processing | 1001: offering (lost_race)"],
    |stage| {
        stage.agent("1000");
        stage.agent_who("agent_rings", "1001", None, &[]);
        stage.caller("4001", seconds(4));
        stage.until_over("caller");
    },
);

/// Without wrap-up time there is no post-processing.
pub(super) const UUID_STANDBY: Scenario =
    Scenario::new("uuid-standby", &["support: joined, success by member | 1004: offering answered bridged"], |stage| {
        stage.calling("1004 standing by", "4092", "caller", None, &[]);
        std::thread::sleep(seconds(1));
        stage.caller("4000", seconds(3));
        stage.until_over("caller");
    });

fn refused_with(stage: &mut Stage<'_>, status: &str) {
    stage.refusing_phone("1000", status);
    stage.log_in("1000");
    next_agent_answers(stage);
}

/// The first agent's offer is missed; he leaves, and the second one takes the call.
fn next_agent_answers(stage: &mut Stage<'_>) {
    stage.phone("agent", "1001", None, &[]);
    stage.caller("4000", seconds(7));
    stage.until("missed");
    stage.log_out("1000");
    stage.log_in("1001");
    stage.until_over("caller");
}
