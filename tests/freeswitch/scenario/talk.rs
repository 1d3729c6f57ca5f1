//! What happens while agent and caller are connected, or about to be.

use std::thread::sleep;
use std::time::Duration;

use super::{Scenario, seconds};
use crate::stage::Stage;

pub(super) const BLIND_TRANSFER: Scenario = Scenario::new(
    "blind transfer",
    &["support: joined, success to 1010 | 1000: offering answered bridged processing"],
    |stage| {
        stage.phone("agent", "1010", None, &[]);
        refers("agent_refers", stage, "1010");
        stage.caller("4000", seconds(6));
        stage.until_over("caller");
    },
);

pub(super) const BLIND_TRANSFER_TO_QUEUE: Scenario = Scenario::new(
    "blind transfer into a queue",
    &[
        "support: joined, success to 4001 | 1000: offering answered bridged processing",
        "sales: joined, success by member | 1001: offering answered bridged processing",
    ],
    |stage| {
        stage.phone("agent", "1001", None, &[]);
        refers("agent_refers", stage, "4001");
        stage.caller("4000", seconds(7));
        stage.until("bridged");
        stage.log_out("1000");
        stage.log_in("1001");
        stage.until_over("caller");
    },
);

pub(super) const ATTENDED_TRANSFER: Scenario = Scenario::new(
    "attended transfer",
    &["support: joined, success to 1010 | 1000: offering answered bridged processing"],
    |stage| {
        stage.phone("agent", "1010", None, &[]);
        stage.agent_who("agent", "1000", Some(seconds(4)), &[]);
        stage.caller("4000", seconds(9));
        let bridged = stage.until("bridged");
        let agent = bridged["agent_channel_id"].as_str().unwrap_or_default();
        // The agent asks a colleague, and by hanging up connects him with the caller.
        stage.api(&format!("uuid_broadcast {agent} att_xfer::user/1010@127.0.0.1 aleg"));
        stage.until_over("caller");
    },
);

pub(super) const ATTENDED_TRANSFER_BY_PHONE: Scenario = Scenario::new(
    "attended transfer, REFER with Replaces",
    &["support: joined, success to 1010 | 1000: offering answered bridged processing"],
    |stage| {
        stage.phone("agent", "1010", None, &[]);
        refers("agent_consults", stage, "1010");
        stage.caller("4000", seconds(9));
        stage.until_over("caller");
    },
);

pub(super) const HOLD: Scenario = Scenario::new(
    "hold",
    &["support: joined, success by member, held 1 times | 1000: offering answered bridged processing"],
    |stage| {
        stage.agent_who("agent_holds", "1000", None, &["-d", "1000"]);
        stage.caller("4000", seconds(5));
        stage.until_over("caller");
    },
);

/// Another agent than the scenario before had: nobody is in post-processing, and the times are as planned.
pub(super) const WHISPER_CALLER_LEAVES: Scenario = Scenario::new(
    "whisper, the caller leaves",
    &["support: joined, abandoned/hangup by member | 1001: offering answered (failed)"],
    |stage| {
        stage.agent("1001");
        stage.caller("4007", Duration::from_millis(2_500));
        stage.until_over("caller");
        stage.until_over("1001");
    },
);

/// The agent hangs up within the announcement, and is offered the same caller again: his phone rings when the caller gives up.
pub(super) const WHISPER_AGENT_LEAVES: Scenario = Scenario::new(
    "whisper, the agent leaves",
    &["support: joined, abandoned/hangup by member | 1000: offering answered offering missed(abandoned 487) (failed)"],
    |stage| {
        stage.agent_who("agent", "1000", Some(seconds(1)), &["-m", "2"]);
        stage.caller("4007", Duration::from_millis(2_700));
        stage.until_over("caller");
        sleep(seconds(1));
    },
);

/// An agent whose phone refers the caller to an extension.
fn refers(scenario: &str, stage: &mut Stage<'_>, extension: &str) {
    let switch = stage.sip_address();
    let more = ["-d", "1000", "-key", "number", "1000", "-key", "target", extension, "-key", "switch", &switch];
    stage.agent_who(scenario, "1000", None, &more);
}
