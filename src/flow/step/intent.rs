//! What a step is about to do, for those who want to see it before, or instead.

use crate::esl::command::Command;
use crate::flow::RenderedRequest;
use crate::flow::action::Action;
use crate::flow::definition::{Step, StepKind};
use crate::flow::template::RenderError;
use crate::id::NodeName;

use super::{Parcel, Surroundings, queue_info};

/// What reaches others, filled in with a moment's fields.
#[derive(Debug)]
pub enum Intent {
    /// Sends a request, which is signed and named when it is sent.
    Request(RenderedRequest),
    /// Gives commands to a FreeSWITCH, one after the other.
    Commands {
        /// The node.
        node: NodeName,
        /// The commands.
        commands: Vec<Command>,
    },
    /// Gives something to a broker, a database or a mail server.
    Parcel(Parcel),
    /// Writes a log line.
    Line(String),
    /// Nothing that anybody else would notice.
    Nothing,
}

impl Step {
    /// What the step would do, or why it can't be filled in.
    pub fn intent(&self, around: Surroundings<'_>) -> Result<Intent, String> {
        let StepKind::Do(action) = &self.kind else { return Ok(Intent::Nothing) };
        let commands = |commands| Intent::Commands { node: around.context.node(), commands };
        let parcel =
            |parcel: Result<Parcel, RenderError>| parcel.map(Intent::Parcel).map_err(|error| error.to_string());
        match &**action {
            Action::Http(step) => step.render(around.context).map(Intent::Request).map_err(|error| error.to_string()),
            Action::Log(step) => step.render(around.context).map(Intent::Line).map_err(|error| error.to_string()),
            Action::Freeswitch(step) => {
                let command = step.command.fill_in(around).map_err(|error| error.to_string())?;
                Ok(commands(vec![command]))
            }
            Action::QueueInfo(step) => {
                let queue = queue_info::queue(step, around).map_err(|error| error.to_string())?;
                Ok(commands(vec![Command::queue_members(&queue), Command::queue_agents(&queue)]))
            }
            Action::Sql(step) => parcel(step.parcel(around.context)),
            Action::Publish(step) => parcel(step.parcel(around.context)),
            Action::Email(step) => parcel(step.parcel(around.context)),
            Action::Set(_) | Action::Wait(_) | Action::Stop(_) => Ok(Intent::Nothing),
        }
    }
}
