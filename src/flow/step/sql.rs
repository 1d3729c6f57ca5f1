//! The step `sql`: executes a statement in a PostgreSQL database.
//!
//! The statement is literal, and all that is a call's is bound to its parameters, so a call's data never becomes code. A
//! database tells no repeats by itself: a statement whose answer was lost is executed again.

use serde_json::{Value as Json, json};

use super::parcel::{Errand, Parcel, give};
use super::{Outcome, StepEnd, Surroundings};
use crate::flow::action::SqlStep;
use crate::flow::context::{Context, MAX_RESULT_BYTES};
use crate::flow::template::RenderError;

pub(super) async fn perform(step: &SqlStep, path: &str, save: Option<&str>, around: Surroundings<'_>) -> StepEnd {
    let values = match step.values(around.context) {
        Ok(values) => values,
        Err(error) => return StepEnd::failed(error),
    };
    let (database, limit) = (&step.database, step.timeout);
    let errand = Errand { door: &database.door, line: step.statement.clone(), path, limit };
    let work = async {
        let done = database.execute(&step.statement, &values, limit).await?;
        let rows = Json::Array(done.rows);
        // What is too long to be saved is left out, rather than executed once more.
        let rows = if rows.to_string().len() <= MAX_RESULT_BYTES / 2 { rows } else { Json::Null };
        let outcome = Outcome::done(save, || json!({ "count": done.count, "rows": rows }));
        Ok((format!("{} rows", done.count), outcome))
    };
    give(errand, around, work).await
}

impl SqlStep {
    /// What is bound to the parameters.
    fn values(&self, context: &Context) -> Result<Vec<Json>, RenderError> {
        self.values.iter().map(|value| value.render(context.fields())).collect()
    }

    /// What is about to be executed.
    pub(super) fn parcel(&self, context: &Context) -> Result<Parcel, RenderError> {
        let values = Json::Array(self.values(context)?);
        let destination = self.database.door.name().to_owned();
        Ok(Parcel { destination, line: self.statement.clone(), body: values.to_string() })
    }
}
