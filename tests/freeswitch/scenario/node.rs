//! What happens to calls when FreeSWITCH ends.

use super::{Scenario, seconds};
use crate::stage::Stage;

pub(super) const SHUTDOWN: Scenario = Scenario::new(
    "shutdown",
    &[
        "support: joined, success by system | 1000: offering answered bridged processing",
        "support: joined, cancel/killed by system",
    ],
    |stage| {
        one_talks_one_waits(stage);
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
            one_talks_one_waits(stage);
            stage.crash();
        },
    )
};

fn one_talks_one_waits(stage: &mut Stage<'_>) {
    stage.agent("1000");
    stage.patient_caller("4000");
    stage.until("bridged");
    stage.patient_caller("4000");
    std::thread::sleep(seconds(2));
}
