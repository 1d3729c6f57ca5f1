//! Which flow a run goes by: the one that it began with, also after that was changed or taken away.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::DashMap;

use super::definition::{Definition, Flow};
use crate::config::StoredFlows;
use crate::delivery::Priority;
use crate::id::{DefinitionHash, FlowName};
use crate::outbox::BeganWith;

/// How many former definitions are kept ready: as many as there are changes while runs rest. Beyond, one is read again
/// whenever it is needed.
const MAX_FORMER: usize = 256;

/// The flows of one configuration, and former ones for the runs that began with them.
#[derive(Debug, Default)]
pub struct Flows {
    configured: BTreeMap<FlowName, Arc<Flow>>,
    on_failure: Option<Arc<Flow>>,
    stored: Arc<StoredFlows>,
    former: DashMap<DefinitionHash, Arc<Flow>>,
}

/// The flow that a run goes by.
#[derive(Debug)]
pub struct Chosen {
    /// The flow.
    pub flow: Arc<Flow>,
    /// The step at hand.
    pub step: u32,
    /// The definition that the run goes over to.
    pub changed_to: Option<Definition>,
}

/// Why a run can't go on.
#[derive(Debug, thiserror::Error)]
pub enum NoFlow {
    /// The flow is gone.
    #[error("the flow `{0}` is no longer configured")]
    Gone(FlowName),
    /// The flow has no place at which the run could go on.
    #[error("the flow `{flow}` was changed: it has no {step} any more")]
    Changed {
        /// The flow.
        flow: FlowName,
        /// The step, in words.
        step: String,
    },
    /// The stored definition can't be used.
    #[error("the definition that the run began with can't be used any more ({0}); retry it with `--latest`")]
    Unreadable(String),
}

impl Flows {
    /// The flows of a configuration, which also says what stored definitions leave open.
    pub fn new(configured: impl IntoIterator<Item = Arc<Flow>>, stored: Arc<StoredFlows>) -> Self {
        let configured = configured.into_iter().map(|flow| (flow.name.clone(), flow)).collect();
        Self { configured, on_failure: None, stored, former: DashMap::new() }
    }

    /// The same, of which this one is told of failures.
    pub fn telling(self, on_failure: Option<Arc<Flow>>) -> Self {
        Self { on_failure, ..self }
    }

    /// The flow that is told of failures.
    pub fn on_failure(&self) -> Option<&Arc<Flow>> {
        self.on_failure.as_ref()
    }

    /// The priority of the flow's runs, also of those that began before it was changed.
    pub fn priority(&self, name: &FlowName) -> Priority {
        self.configured.get(name).map_or_else(Priority::default, |flow| flow.priority)
    }

    /// The flow by which the run goes on.
    pub fn choose(&self, name: &FlowName, began_with: &BeganWith, step: u32) -> Result<Chosen, NoFlow> {
        let kept = |flow| Chosen { flow, step, changed_to: None };
        match began_with {
            BeganWith::Flow(flow) => Ok(kept(flow.clone())),
            BeganWith::Stored { definition, latest: false } => self.stored(definition).map(kept),
            BeganWith::Stored { definition, latest: true } => {
                let latest = self.configured(name)?;
                let step = if step == 0 { 0 } else { place(&*self.stored(definition)?, step, &latest)? };
                Ok(Chosen { changed_to: latest.definition.clone(), flow: latest, step })
            }
            BeganWith::Unknown => {
                let flow = self.configured(name)?;
                if step > 0 && flow.step(step).is_none() {
                    return Err(NoFlow::Changed { flow: name.clone(), step: format!("step {step}") });
                }
                Ok(kept(flow))
            }
        }
    }

    fn configured(&self, name: &FlowName) -> Result<Arc<Flow>, NoFlow> {
        self.configured.get(name).cloned().ok_or_else(|| NoFlow::Gone(name.clone()))
    }

    /// The flow as the definition has it: mostly the one that is still configured.
    fn stored(&self, definition: &Definition) -> Result<Arc<Flow>, NoFlow> {
        let same = |flow: &&Arc<Flow>| flow.definition.as_ref().is_some_and(|own| own.hash == definition.hash);
        if let Some(flow) = self.configured.values().find(same) {
            return Ok(flow.clone());
        }
        if let Some(flow) = self.former.get(&definition.hash).map(|flow| flow.clone()) {
            return Ok(flow);
        }
        let flow = self.stored.read(definition).map_err(|problems| NoFlow::Unreadable(problems.to_string()))?;
        let flow = Arc::new(flow);
        if self.former.len() < MAX_FORMER {
            self.former.insert(definition.hash, flow.clone());
        }
        Ok(flow)
    }
}

/// Where a run that stands at `step` of `former` goes on in `latest`; at its end where it stands at the end.
fn place(former: &Flow, step: u32, latest: &Flow) -> Result<u32, NoFlow> {
    let Some(step) = former.step(step) else { return Ok(u32::try_from(latest.steps.len()).unwrap_or(u32::MAX)) };
    latest.place_of(step).ok_or_else(|| NoFlow::Changed {
        flow: latest.name.clone(),
        step: format!("{} step {}", step.kind.name(), step.path),
    })
}

impl FromIterator<Arc<Flow>> for Flows {
    fn from_iter<I: IntoIterator<Item = Arc<Flow>>>(flows: I) -> Self {
        Self::new(flows, Arc::default())
    }
}
