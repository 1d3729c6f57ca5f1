//! How callers wait, give up, or go elsewhere.

use serde_json::json;

use super::{Scenario, carries, seconds};
use crate::rtp;

pub(super) const ABANDONED: Scenario =
    Scenario::new("abandoned while waiting", &["support: joined, abandoned/hangup by member"], |stage| {
        stage.caller("4000", seconds(2));
        stage.until_over("caller");
    });

pub(super) const ABANDONED_WHILE_RINGING: Scenario = Scenario::new(
    "abandoned while ringing",
    &["support: joined, abandoned/hangup by member | 1000: offering missed(abandoned 487)"],
    |stage| {
        stage.agent_who("agent_rings", "1000", None, &[]);
        stage.caller("4000", seconds(2));
        stage.until_over("caller");
    },
);

pub(super) const QUEUE_TIMEOUT: Scenario =
    Scenario::new("queue timeout", &["frontdesk: joined, cancel/timeout"], |stage| {
        stage.patient_caller("4004");
        stage.until_over("caller");
    });

pub(super) const NO_AGENT_TIMEOUT: Scenario =
    Scenario::new("no-agent timeout", &["night: joined, cancel/no_agent_timeout"], |stage| {
        stage.patient_caller("4005");
        stage.until_over("caller");
    });

pub(super) const EXIT_KEY: Scenario =
    Scenario::new("exit key", &["support: joined, cancel/exit_with_key by key 9"], |stage| {
        stage.caller_who_presses("4002", "9", seconds(2), None);
        stage.until_over("caller");
    });

pub(super) const EXIT_KEY_IN_MEDIA: Scenario =
    Scenario::new("exit key, RFC 4733", &["support: joined, cancel/exit_with_key by key #"], |stage| {
        stage.patient_caller("4002");
        let joined = stage.until("joined");
        let channel = joined["member_channel_id"].as_str().unwrap_or_default();
        match stage.api(&format!("uuid_getvar {channel} local_media_port")).parse() {
            Ok(port) => rtp::press(port, '#').expect("a socket"),
            Err(_) => stage.remark("the channel has no media".into()),
        }
        stage.until_over("caller");
    });

pub(super) const RESUMED: Scenario = Scenario::new(
    "resumed",
    &[
        "patient: joined, abandoned/hangup by member",
        "patient: joined, success by member, resumed | 1000: offering answered bridged processing",
    ],
    |stage| {
        stage.caller("4006", seconds(2));
        stage.until_over("caller");
        stage.until("leaving");
        stage.agent("1000");
        stage.caller("4006", seconds(4));
        stage.until_over("caller");
    },
);

pub(super) const TWO_QUEUES: Scenario = Scenario::new(
    "two queues",
    &[
        "frontdesk: joined, cancel/timeout",
        "support: joined, success by member | 1000: offering answered bridged processing",
    ],
    |stage| {
        stage.agent("1000");
        stage.caller("4003", seconds(7));
        stage.until_over("caller");
    },
);

pub(super) const MENU: Scenario = Scenario {
    also: |stories| carries(stories, &["variables", "ivr_choice"], json!("2")),
    ..Scenario::new(
        "menu before a queue",
        &["sales: joined, success by member | 1000: offering answered bridged processing"],
        |stage| {
            stage.agent("1000");
            stage.caller_who_presses("4010", "2", seconds(1), Some(seconds(4)));
            stage.until_over("caller");
        },
    )
};
