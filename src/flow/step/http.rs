//! The step `http`: sends a request.

use super::StepEnd;
use crate::delivery::Client;
use crate::delivery::client::Attempted;
use crate::flow::context::Context;
use crate::flow::definition::HttpStep;
use crate::id::RunId;

pub(super) async fn perform(step: &HttpStep, path: &str, run: RunId, context: &Context, client: &Client) -> StepEnd {
    let request = match step.render(context) {
        Ok(request) => request,
        Err(error) => return StepEnd::failed(error),
    };
    let webhook_id = webhook_id(run, path);
    let attempted = Attempted { step: path, webhook_id: &webhook_id, request, keys: &step.keys, timeout: step.timeout };
    let (record, verdict) = client.send(attempted).await;
    StepEnd { attempted: Some(record), verdict }
}

/// The identifier of a webhook: of the run and the step, so that a repeat has the same and nothing else has.
pub fn webhook_id(run: RunId, path: &str) -> String {
    format!("whr_{run}_{}", path.replace('/', "-"))
}
