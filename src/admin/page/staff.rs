//! The agents, as FreeSWITCH has them: asked when somebody looks, and not again for a few seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::admin::app::App;
use crate::esl::Commands;
use crate::esl::command::Command;
use crate::freeswitch::queue_info::{is_busy, is_free};
use crate::freeswitch::snapshot::{AgentRow, TierRow, callcenter_rows};
use crate::id::NodeName;

/// How long an answer is good: a page that is open on ten desks asks no more than one.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// How long a FreeSWITCH may take: a page does not wait for one that is away.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was answered last.
#[derive(Debug, Default)]
pub struct Staff(Mutex<Option<(Instant, Arc<Roster>)>>);

/// All agents of all nodes that answered.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// Agents by their names, with a node that has them.
    pub agents: BTreeMap<String, (NodeName, AgentRow)>,
    /// The agents of each queue.
    pub queues: BTreeMap<String, BTreeSet<String>>,
}

/// A queue's agents, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crew {
    /// Those who could take a call.
    pub free: usize,
    /// Those who are called, or talk.
    pub busy: usize,
    /// Those who are signed out, on a break, or in post-processing.
    pub away: usize,
}

impl Staff {
    /// The agents as they are now, or were a moment ago.
    pub async fn ask(&self, app: &App) -> Arc<Roster> {
        let mut last = self.0.lock().await;
        if let Some((asked_at, roster)) = &*last
            && asked_at.elapsed() < GOOD_FOR
        {
            return Arc::clone(roster);
        }
        let mut roster = Roster::default();
        for (node, link) in app.nodes.list() {
            if link.state.borrow().commands.is_ready()
                && let Some((agents, tiers)) = ask_one(&link.commands).await
            {
                roster.add(&node, agents, tiers);
            }
        }
        let roster = Arc::new(roster);
        *last = Some((Instant::now(), Arc::clone(&roster)));
        roster
    }
}

async fn ask_one(commands: &Commands) -> Option<(Vec<AgentRow>, Vec<TierRow>)> {
    let ask = |command| commands.api_within(command, PATIENCE);
    let agents = ask(Command::agent_list()).await.ok()?;
    let tiers = ask(Command::tier_list()).await.ok()?;
    let agents = callcenter_rows("callcenter_config agent list", &String::from_utf8_lossy(&agents)).ok()?;
    let tiers = callcenter_rows("callcenter_config tier list", &String::from_utf8_lossy(&tiers)).ok()?;
    Some((agents, tiers))
}

impl Roster {
    fn add(&mut self, node: &NodeName, agents: Vec<AgentRow>, tiers: Vec<TierRow>) {
        for agent in agents {
            // Nodes that share a database tell of the same ones.
            self.agents.entry(agent.name.clone()).or_insert_with(|| (node.clone(), agent));
        }
        for tier in tiers {
            self.queues.entry(tier.queue).or_default().insert(tier.agent);
        }
    }

    /// A queue's agents; none where no node knows the queue.
    pub fn crew(&self, queue: &str) -> Option<Crew> {
        let mut crew = Crew::default();
        for agent in self.queues.get(queue)?.iter().filter_map(|agent| self.agents.get(agent)) {
            let AgentRow { status, state, .. } = &agent.1;
            match (is_free(status, state), is_busy(state)) {
                (true, _) => crew.free += 1,
                (false, true) => crew.busy += 1,
                (false, false) => crew.away += 1,
            }
        }
        Some(crew)
    }
}
