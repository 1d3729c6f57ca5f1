//! Queues without mod_callcenter: what `dialplan/outbound.xml` does with calls that a dialer makes, and mod_fifo.

use serde_json::json;

use super::{Scenario, carries, seconds};
use crate::stage::Stage;

/// What phones answer that do not take a call.
const REFUSALS: [&str; 6] = [
    "404 Not Found",
    "486 Busy Here",
    "480 Temporarily Unavailable",
    "408 Request Timeout",
    "503 Service Unavailable",
    "603 Decline",
];

pub(super) const PROGRESSIVE: Scenario = Scenario {
    also: |stories| {
        let mut found = carries(stories, &["queue_type"], json!("progressive"));
        found.extend(carries(stories, &["amd_result"], json!("HUMAN")));
        found.extend(carries(stories, &["attempt_id"], json!(990047)));
        found.extend(carries(stories, &["variables", "campaign"], json!("spring")));
        found
    },
    ..Scenario::new(
        "progressive, a person",
        &["outbound: joined, success by member | 1000: offering answered bridged processing"],
        |stage| {
            stage.phone("agent", "1000", None, &[]);
            stage.member("agent", Some(seconds(5)));
            dial(stage, "outbound", "amd_result=HUMAN;cc_attempt_id=990047;campaign=spring");
            stage.until_over("caller");
        },
    )
};

pub(super) const PROGRESSIVE_MACHINE: Scenario = Scenario {
    also: |stories| carries(stories, &["amd_result"], json!("MACHINE")),
    ..Scenario::new("progressive, a machine", &["outbound: joined, cancel/killed by system"], |stage| {
        stage.member("agent", None);
        dial(stage, "outbound", "amd_result=MACHINE");
        stage.until_over("caller");
    })
};

/// The phones' statuses are compared with `call_sip_code` of each.
pub(super) const PROGRESSIVE_NOT_REACHED: Scenario = Scenario::new(
    "progressive 404 486 480 408 503 603",
    &["outbound: joined, cancel/hangup by member"; REFUSALS.len()],
    |stage| {
        for (ordinal, status) in REFUSALS.iter().enumerate() {
            stage.refusing_member(status);
            dial(stage, "outbound", "amd_result=HUMAN");
            stage.until_over("caller");
            stage.until_count("leaving", ordinal + 1);
        }
    },
);

pub(super) const PREDICTIVE: Scenario = Scenario {
    also: |stories| carries(stories, &["queue_type"], json!("predictive")),
    ..Scenario::new(
        "predictive, an agent is free",
        &["predicted: joined, success by agent | 1000: offering answered bridged processing"],
        |stage| {
            stage.phone("agent", "1000", Some(seconds(3)), &[]);
            stage.member("agent", None);
            dial(stage, "predicted", "amd_result=HUMAN");
            stage.until_over("caller");
        },
    )
};

/// 4600 rings whom `dialer_agents` names, and here it names nobody.
pub(super) const PREDICTIVE_NO_AGENT: Scenario =
    Scenario::new("predictive, no agent is free", &["predicted: joined, abandoned/killed by system"], |stage| {
        stage.member("agent", None);
        let attempt = stage.attempt();
        call_member(stage, &attempt, "predicted", "amd_result=HUMAN;dialer_agents=error/user_busy", "4600");
        stage.until_over("caller");
    });

pub(super) const OUTBOUND_IVR: Scenario = Scenario {
    also: |stories| carries(stories, &["queue_type"], json!("outbound_ivr")),
    ..Scenario::new("outbound IVR", &["survey: joined, success by member | : offering bridged"], |stage| {
        stage.member("agent", Some(seconds(1)));
        let attempt = stage.attempt();
        call_member(stage, &attempt, "survey", "campaign=spring", "4610");
        stage.until_over("caller");
    })
};

pub(super) const PREVIEW: Scenario = Scenario {
    also: |stories| carries(stories, &["queue_type"], json!("preview")),
    ..Scenario::new(
        "preview",
        &["previewed: joined, success by agent | 1000: offering answered bridged processing"],
        |stage| {
            stage.phone("agent", "1000", Some(seconds(5)), &[]);
            stage.member("agent", None);
            agent_first(stage, "previewed");
            stage.until_over("caller");
        },
    )
};

pub(super) const PREVIEW_NOT_REACHED: Scenario = Scenario {
    also: |stories| carries(stories, &["call_sip_code"], json!(486)),
    ..Scenario::new(
        "preview, the member is busy",
        &["previewed: joined, cancel/hangup by member | 1000: offering answered (failed)"],
        |stage| {
            stage.phone("agent", "1000", None, &[]);
            stage.refusing_member("486 Busy Here");
            agent_first(stage, "previewed");
            stage.until_over("caller");
        },
    )
};

pub(super) const OFFLINE: Scenario = Scenario {
    also: |stories| carries(stories, &["queue_type"], json!("offline")),
    ..Scenario::new(
        "offline",
        &["listed: joined, success by member | 1000: offering answered bridged processing"],
        |stage| {
            stage.phone("agent", "1000", None, &[]);
            stage.member("agent", Some(seconds(3)));
            agent_first(stage, "listed");
            stage.until_over("caller");
        },
    )
};

/// An agent calls in to take who waits.
pub(super) const FIFO: Scenario =
    Scenario::new("fifo", &["desk: joined, success by member | 1004: offering answered bridged processing"], |stage| {
        stage.caller("4620", seconds(5));
        stage.until("joined");
        stage.calling("1004", "4621", "caller", None, &[]);
        stage.until_over("caller");
    });

pub(super) const FIFO_ABANDONED: Scenario =
    Scenario::new("fifo, given up", &["desk: joined, abandoned/hangup by member"], |stage| {
        stage.caller("4620", seconds(2));
        stage.until_over("caller");
    });

/// Calls the member, and agent 1000 when he has answered.
fn dial(stage: &mut Stage<'_>, queue: &str, variables: &str) {
    let (attempt, agent) = (stage.attempt(), stage.phone_address("1000"));
    let agents = format!(
        "[hookswitch_queue={queue},hookswitch_side=agent,hookswitch_attempt={attempt},cc_agent=1000@default]\
         sofia/internal/1000@{agent}"
    );
    call_member(stage, &attempt, queue, &format!("{variables};dialer_agents={agents}"), "4600");
}

/// Calls the member for an extension.
fn call_member(stage: &mut Stage<'_>, attempt: &str, queue: &str, variables: &str, extension: &str) {
    let (number, phone) = (stage.number(), stage.phone_address("1010"));
    stage.api(&format!(
        "originate {{^^;hookswitch_queue={queue};hookswitch_side=member;hookswitch_attempt={attempt};\
         ignore_early_media=true;originate_timeout=30;{variables}}}sofia/internal/{number}@{phone} \
         {extension} XML default"
    ));
}

/// Calls agent 1000, and the member when the agent has answered.
fn agent_first(stage: &mut Stage<'_>, queue: &str) {
    let (attempt, agent) = (stage.attempt(), stage.phone_address("1000"));
    let (number, phone) = (stage.number(), stage.phone_address("1010"));
    stage.api(&format!(
        "bgapi originate {{hookswitch_queue={queue},hookswitch_side=agent,hookswitch_attempt={attempt},\
         cc_agent=1000@default,hangup_after_bridge=true,ignore_early_media=true}}sofia/internal/1000@{agent} \
         &bridge([hookswitch_queue={queue},hookswitch_side=member,hookswitch_attempt={attempt},leg_timeout=10]\
         sofia/internal/{number}@{phone})"
    ));
}
