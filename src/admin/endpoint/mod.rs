//! The endpoints, each in a file with its errors, its description, its handler and its tests.

mod cancel_deliveries;
mod deliveries;
mod delivery;
#[expect(clippy::module_inception, reason = "the declaration bears the module's name")]
mod endpoint;
mod healthz;
mod live_attempt;
mod live_attempts;
mod metrics;
mod nodes;
mod open_attempt;
mod queues;
mod readyz;
mod report_signal;
mod retry_deliveries;

pub(super) use readyz::troubles;

pub use endpoint::{Answer, Endpoint, Shape};

/// Every endpoint but the description of all of them.
pub fn all() -> Vec<Endpoint> {
    vec![
        healthz::endpoint(),
        readyz::endpoint(),
        metrics::endpoint(),
        queues::endpoint(),
        live_attempts::endpoint(),
        live_attempt::endpoint(),
        nodes::endpoint(),
        deliveries::endpoint(),
        delivery::endpoint(),
        retry_deliveries::endpoint(),
        cancel_deliveries::endpoint(),
        open_attempt::endpoint(),
        report_signal::endpoint(),
    ]
}
