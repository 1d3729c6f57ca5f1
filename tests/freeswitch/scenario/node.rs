//! What happens to calls when FreeSWITCH ends.

use super::{Scenario, one_talks_one_waits, seconds};
use crate::stage::Stage;

pub(super) const SHUTDOWN: Scenario = Scenario::new(
    "shutdown",
    &[
        "support: joined, success by system | 1000: offering answered bridged processing",
        "support: joined, cancel/killed by system",
    ],
    |stage| {
        one_talks_one_waits(stage, None);
        stage.shut_down();
    },
);

pub(super) const CRASH: Scenario = Scenario {
    crashes: true,
    ..Scenario::new(
        "crash",
        &[
            "support: joined, success/lost (synthetic) | 1000: offering answered bridged",
            "support: joined, cancel/lost (synthetic)",
        ],
        |stage| {
            one_talks_one_waits(stage, None);
            stage.crash();
        },
    )
};

/// FreeSWITCH refuses to reload what calls use.
pub(super) const RELOAD: Scenario = Scenario::new(
    "reload mod_callcenter",
    &[
        "support: joined, success by member | 1000: offering answered bridged processing",
        "support: joined, abandoned/hangup by member",
    ],
    |stage| reload(stage, "reload mod_callcenter"),
);

pub(super) const RELOAD_FORCED: Scenario = Scenario::new(
    "reload -f mod_callcenter",
    &[
        "support: joined, success by system | 1000: offering answered bridged processing",
        "support: joined, cancel/killed by system",
    ],
    |stage| reload(stage, "reload -f mod_callcenter"),
);

fn reload(stage: &mut Stage<'_>, command: &str) {
    stage.agent("1000");
    stage.caller("4000", seconds(12));
    stage.until("bridged");
    // Gone before the agent is free again.
    stage.caller("4000", seconds(5));
    std::thread::sleep(seconds(2));
    stage.api(command);
    stage.until_over("caller");
}
