//! Calls that a dialer makes.

use serde_json::json;

use super::{Scenario, carries, seconds};
use crate::stage::Stage;

pub(super) const HUMAN: Scenario = Scenario {
    also: |stories| {
        let mut found = carries(stories, &["amd_result"], json!("HUMAN"));
        found.extend(carries(stories, &["attempt_id"], json!(990046)));
        found.extend(carries(stories, &["member_id"], json!(4646)));
        found.extend(carries(stories, &["cc_attempt_seq"], json!(3)));
        found.extend(carries(stories, &["variables", "campaign"], json!("spring")));
        found
    },
    ..Scenario::new(
        "dialer, a person",
        &["dialer: joined, success by member | 1000: offering answered bridged processing"],
        |stage| {
            stage.agent("1000");
            stage.phone("agent", "1010", Some(seconds(4)), &[]);
            originate(
                stage,
                "amd_result=HUMAN,cc_attempt_id=990046,cc_member_id=4646,cc_attempt_seq=3,campaign=spring",
            );
            stage.until_over("1010");
        },
    )
};

/// 4501 asks mod_amd, which is not loaded here, and goes on by the variable: only the person is connected.
pub(super) const JUDGED: Scenario = Scenario {
    also: |stories| carries(stories, &["amd_result"], json!("HUMAN")),
    ..Scenario::new(
        "dialer, to be judged",
        &["dialer: joined, success by member | 1000: offering answered bridged processing"],
        |stage| {
            stage.agent("1000");
            stage.phone("agent", "1010", Some(seconds(4)), &["-m", "2"]);
            for judgement in ["MACHINE", "HUMAN"] {
                originate_to(stage, "4501", &format!("amd_result={judgement}"));
            }
            stage.until_over("1010");
        },
    )
};

pub(super) const MACHINE: Scenario = Scenario::new("dialer, a machine", &[], |stage| {
    stage.agent("1000");
    stage.phone("agent", "1010", None, &[]);
    originate(stage, "amd_result=MACHINE");
    stage.until_over("1010");
});

/// What phones answer, and the cause that FreeSWITCH makes of it.
const REFUSALS: [(&str, &str); 6] = [
    ("404 Not Found", "UNALLOCATED_NUMBER"),
    ("486 Busy Here", "USER_BUSY"),
    ("480 Temporarily Unavailable", "NO_USER_RESPONSE"),
    ("408 Request Timeout", "RECOVERY_ON_TIMER_EXPIRE"),
    ("503 Service Unavailable", "NORMAL_TEMPORARY_FAILURE"),
    ("603 Decline", "CALL_REJECTED"),
];

/// Nobody is reached, so nobody joins a queue.
pub(super) const NOT_REACHED: Scenario = Scenario::new("originate 404 486 480 408 503 603", &[], |stage| {
    for (status, cause) in REFUSALS {
        stage.refusing_phone("1010", status);
        let answer = originate(stage, "amd_result=HUMAN");
        if answer != format!("-ERR {cause}") {
            stage.remark(format!("{status}: originate answered {answer}, not {cause}"));
        }
        stage.until_over("1010");
    }
});

fn originate(stage: &mut Stage<'_>, variables: &str) -> String {
    originate_to(stage, "4500", variables)
}

fn originate_to(stage: &mut Stage<'_>, extension: &str, variables: &str) -> String {
    let (number, phone) = (stage.number(), stage.phone_address("1010"));
    stage.api(&format!(
        "originate {{ignore_early_media=true,originate_timeout=30,origination_caller_id_number=40219990000,\
         {variables}}}sofia/internal/{number}@{phone} {extension} XML default"
    ))
}
