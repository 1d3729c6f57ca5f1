//! The configuration as the program uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dashmap::DashMap;

use super::agents::{AgentOrigins, Agents};
use super::daemon::DaemonSettings;
use super::definition::{Literals, StoredFlows};
use super::delivery::DeliverySettings;
use super::destinations::Destinations;
use super::document;
use super::fault::Fault;
use super::file::{self, SourceFile};
use super::flow;
use super::freeswitch::{self, FreeswitchNode};
use super::hook;
use super::http::HttpSettings;
use super::outbox::OutboxSettings;
use super::problem::{Problem, Problems};
use super::queue::{QueueSource, ResolvedQueue};
use super::queues::Queues;
use super::report::Report;
use super::secret::Lookup;
use super::section::Section;
use super::sources::Sources;
use super::value::Value;
use crate::delivery::Destination;
use crate::delivery::mask::SecretValues;
use crate::esl::command::Subscription;
use crate::flow::{Flow, Flows};
use crate::hook::Hook;
use crate::id::{AgentName, FlowName, NodeName, QueueName};
use crate::moment::EventName;
use crate::moment::event::EventSet;
use crate::outbox::Turns;

/// How many queues are remembered once their patterns are merged. More than any installation has; a queue beyond is merged
/// anew each time.
const MAX_RESOLVED: usize = 10_000;

/// Everything that is configured, checked.
#[derive(Debug, Default)]
pub struct Config {
    /// How the program itself behaves.
    pub daemon: DaemonSettings,
    /// The nodes to follow.
    pub freeswitch: Vec<FreeswitchNode>,
    /// Where moments and runs are kept.
    pub outbox: OutboxSettings,
    /// How requests are sent.
    pub delivery: DeliverySettings,
    /// The HTTP interface, if there is to be one.
    pub http: Option<HttpSettings>,
    path: Option<PathBuf>,
    agents: Agents,
    flows: BTreeMap<FlowName, Arc<Flow>>,
    on_failure: Option<Arc<Flow>>,
    stored_flows: Arc<StoredFlows>,
    queues: Queues,
    heard: EventSet,
    resolved: DashMap<QueueName, Arc<ResolvedQueue>>,
    files_with_secrets: BTreeSet<String>,
    secret_files: BTreeSet<PathBuf>,
    sources: Sources,
    revision: String,
    secrets: SecretValues,
}

impl Config {
    /// Reads the file and `conf.d/*.toml` beside it, and looks up every secret.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::load_with(path, &Lookup::from(directory))
    }

    /// Reads the same, but looks up no secrets: for a replay, which connects to nothing and may run where they are not.
    pub fn load_without_secrets(path: &Path) -> Result<Self, Problems> {
        Self::load_with(path, &Lookup::skip())
    }

    /// Reads it whole, as [`Config::load`] does; also gives the files that were read, or should have been.
    pub(super) fn load_noting(path: &Path) -> (Result<Self, Problems>, Sources) {
        let report = Report::default();
        let files = file::read(path, &report);
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut sources = Sources::default();
        let config = Self::read(files, report, &Lookup::from(directory), &mut sources);
        (config.map(|config| Self { path: Some(path.to_owned()), ..config }), sources)
    }

    /// Reads a text alone, and looks up nothing; `name` is what problems call it.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, Problems> {
        let file = SourceFile { name: name.to_owned(), text: text.to_owned() };
        Self::read(vec![file], Report::default(), &Lookup::skip(), &mut Sources::default())
    }

    /// Reads these texts as those of the files at `path`, and looks up every secret.
    pub(super) fn load_from(files: Vec<SourceFile>, path: &Path) -> Result<Self, Problems> {
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::read(files, Report::default(), &Lookup::from(directory), &mut Sources::default())
    }

    fn load_with(path: &Path, lookup: &Lookup) -> Result<Self, Problems> {
        let report = Report::default();
        let files = file::read(path, &report);
        let config = Self::read(files, report, lookup, &mut Sources::default())?;
        Ok(Self { path: Some(path.to_owned()), ..config })
    }

    fn read(files: Vec<SourceFile>, report: Report, lookup: &Lookup, sources: &mut Sources) -> Result<Self, Problems> {
        let revision = file::revision(&files);
        let document = document::parse(files, &report);
        // What could not be parsed would look like missing keys.
        let whole = document.filter(|_| report.is_empty());
        let config = whole.and_then(|whole| Value::new(&whole, &report).section(|root| read_root(root, lookup)));
        let (files_with_secrets, secret_files) = (report.files_with_secrets(), report.secret_files());
        *sources = report.sources();
        let (secrets, sources) = (lookup.values().clone(), sources.clone());
        report.finish(config.map(|config| Self {
            files_with_secrets,
            secret_files,
            sources,
            revision,
            secrets,
            ..config
        }))
    }

    /// The file that it was read from, where it was read from one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The names and patterns of queues that match a queue's name, the most specific first, which is the name itself where
    /// it is configured.
    pub fn queue_patterns(&self, name: &QueueName) -> Vec<&str> {
        self.queues.patterns(name.as_str())
    }

    /// What is configured for a queue, by all patterns that match its name.
    pub fn queue(&self, name: &QueueName) -> Arc<ResolvedQueue> {
        if let Some(queue) = self.resolved.get(name).map(|queue| Arc::clone(&queue)) {
            return queue;
        }
        let queue = Arc::new(self.queues.resolve(name.as_str()));
        if self.resolved.len() < MAX_RESOLVED {
            self.resolved.insert(name.clone(), Arc::clone(&queue));
        }
        queue
    }

    /// Where the facts about a queue's attempts come from.
    pub fn source(&self, queue: &str) -> QueueSource {
        self.queues.source(queue)
    }

    /// Whether any queue has another source than mod_callcenter.
    pub fn has_sources(&self) -> bool {
        self.queues.sources().next().is_some()
    }

    /// Whether a queue has that source, which is not mod_callcenter.
    pub fn has_source(&self, wanted: QueueSource) -> bool {
        self.queues.sources().any(|source| source == wanted)
    }

    /// Where what is said of an agent comes from, as far as that is configured.
    pub fn agent(&self, name: &AgentName) -> AgentOrigins<'_> {
        self.agents.origins(name)
    }

    /// The variables of agents' legs that say who the agents are.
    pub fn agent_variables(&self) -> &BTreeSet<String> {
        self.agents.variables()
    }

    /// Whether FreeSWITCH's directory is asked who the agents are.
    pub fn asks_directory(&self) -> bool {
        self.agents.ask_directory()
    }

    /// The hooks that hear of an agent: of the most general pattern first, in the order of the file.
    pub fn agent_hooks(&self, agent: &AgentName) -> impl Iterator<Item = &Arc<Hook>> {
        self.agents.hooks_of(agent.as_str())
    }

    /// Whether any hook hears the event.
    pub fn hears(&self, event: EventName) -> bool {
        self.heard.contains(event)
    }

    /// The flow of that name.
    pub fn flow(&self, name: &str) -> Option<&Arc<Flow>> {
        self.flows.get(name)
    }

    /// Every flow, by its name.
    pub fn flows(&self) -> impl ExactSizeIterator<Item = &Arc<Flow>> {
        self.flows.values()
    }

    /// The flows as the runner uses them: these, and what others said that runs began with.
    pub fn flows_of_runs(&self) -> Flows {
        Flows::new(self.flows().cloned(), Arc::clone(&self.stored_flows)).telling(self.on_failure.clone())
    }

    /// The brokers, databases and mail servers, by their names.
    pub fn destinations(&self) -> impl Iterator<Item = (&str, &Destination)> {
        self.stored_flows.destinations().all()
    }

    /// Whose turn it is in the outbox.
    pub fn turns(&self) -> Turns {
        let names = |is_meant: fn(&Flow) -> bool| {
            self.flows().filter(|flow| is_meant(flow)).map(|flow| flow.name.clone()).collect()
        };
        Turns {
            paused: names(|flow| flow.paused),
            newest_first: names(|flow| flow.newest_first),
            priorities: self.flows().map(|flow| (flow.name.clone(), flow.priority)).collect(),
        }
    }

    /// Every hook, by its queue pattern, then by its agent pattern.
    pub fn hooks(&self) -> impl Iterator<Item = &Arc<Hook>> {
        self.queues.hooks().chain(self.agents.hooks())
    }

    /// The hooks that hear of agents.
    pub fn hooks_of_agents(&self) -> impl Iterator<Item = &Arc<Hook>> {
        self.agents.hooks()
    }

    /// How many queue names and patterns are configured.
    pub fn queue_pattern_count(&self) -> usize {
        self.queues.count()
    }

    /// The queues that are configured by their names, rather than by patterns.
    pub fn queue_names(&self) -> impl Iterator<Item = &str> {
        self.queues.names()
    }

    /// The files that hold a secret and may be read by everybody: the configuration's own, and those that it names for one.
    pub fn exposed_files(&self) -> impl Iterator<Item = &Path> {
        let own = self.files_with_secrets.iter().map(Path::new);
        let named = self.secret_files.iter().map(PathBuf::as_path);
        own.chain(named).filter(|path| file::is_readable_by_everybody(path))
    }

    /// The files that it was read from: its own, and every one that they name.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What tells the texts that it was read from from all others.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Every secret in it, to be masked.
    pub fn secrets(&self) -> &SecretValues {
        &self.secrets
    }

    /// The keys that a daemon started with this configuration takes from `later` only when it is started again.
    pub fn keys_for_restart(&self, later: &Self) -> Vec<&'static str> {
        let listen = |config: &Self| config.http.as_ref().map(|http| http.listen);
        let differs = [
            ("daemon.drain", self.daemon.drain != later.daemon.drain),
            ("outbox.path", self.outbox.path != later.outbox.path),
            ("outbox.keep", self.outbox.keep != later.outbox.keep),
            ("outbox.max_size", self.outbox.max_size != later.outbox.max_size),
            ("delivery.concurrency", self.delivery.concurrency != later.delivery.concurrency),
            ("http.listen", listen(self) != listen(later)),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }

    /// The nodes to follow, of which the daemon needs at least one.
    pub fn require_freeswitch(&self) -> Result<&[FreeswitchNode], Problem> {
        match self.freeswitch.as_slice() {
            [] => Err(Problem::new(Fault::NoFreeswitch, None)),
            nodes => Ok(nodes),
        }
    }
}

/// Reads every section, in the order in which they need each other.
fn read_root(root: &mut Section<'_>, lookup: &Lookup) -> Option<Config> {
    let lookup = &root.optional("secrets", |value| lookup.clone().naming(value)).unwrap_or_else(|| lookup.clone());
    let daemon = root.optional("daemon", |value| value.section(DaemonSettings::read));
    let freeswitch = root.optional("freeswitch", |value| nodes(value, lookup));
    let outbox = root.optional("outbox", |value| value.section(OutboxSettings::read));
    let delivery = root.optional("delivery", |value| {
        value.section(|section| {
            let on_failure = section.optional("on_failure", Some);
            Some((DeliverySettings::read(section, lookup)?, on_failure))
        })
    });
    let (delivery, on_failure) = delivery.unwrap_or_default();
    let http = root.optional("http", |value| value.section(|section| HttpSettings::read(section, lookup)));
    let destinations = root.optional("destinations", |value| Destinations::read(value, lookup)).unwrap_or_default();
    let mut literals = Literals::new();
    let flows = root.optional("flows", |value| {
        let on_failure = on_failure.and_then(Value::text);
        flow::read_all(value, false, on_failure, &delivery, &destinations, lookup, &mut literals)
    });
    let flows = flows.unwrap_or_default();
    let on_failure = on_failure.and_then(|value| hook::flow(value, &flows));
    let queues = root.optional("queues", |value| Queues::read(value, &flows)).unwrap_or_default();
    let subscription = subscription(&queues);
    let freeswitch = freeswitch.unwrap_or_default().into_iter().map(|node| FreeswitchNode { subscription, ..node });
    let agents = root.optional("agents", |value| Agents::read(value, &flows)).unwrap_or_default();
    Some(Config {
        daemon: daemon.unwrap_or_default(),
        freeswitch: freeswitch.collect(),
        outbox: outbox.unwrap_or_default(),
        stored_flows: Arc::new(StoredFlows::new(delivery.clone(), destinations, lookup.clone(), literals)),
        delivery,
        http,
        heard: hook::heard(queues.hooks().chain(agents.hooks())),
        path: None,
        agents,
        on_failure,
        flows: flows.into_iter().filter_map(|(name, flow)| Some((name, flow?))).collect(),
        queues,
        resolved: DashMap::new(),
        files_with_secrets: BTreeSet::new(),
        secret_files: BTreeSet::new(),
        sources: Sources::default(),
        revision: String::new(),
        secrets: SecretValues::default(),
    })
}

/// What the sources of the queues need to hear of.
fn subscription(queues: &Queues) -> Subscription {
    let has = |wanted| queues.sources().any(|source| source == wanted);
    Subscription { dialer: has(QueueSource::Channel), fifo: has(QueueSource::Fifo), signals: has(QueueSource::Api) }
}

fn nodes(value: Value<'_>, lookup: &Lookup) -> Option<Vec<FreeswitchNode>> {
    let mut names: BTreeMap<NodeName, String> = BTreeMap::new();
    value.list(|_, element| {
        element.section(|section| {
            let name = section.required("name", freeswitch::name);
            if let Some(name) = &name
                && let Some(other) = names.insert(name.clone(), section.place().to_string())
            {
                section.refuse(Fault::SameName { what: "FreeSWITCH node", name: name.to_string(), other });
            }
            FreeswitchNode::read(section, name, lookup)
        })
    })
}
