//! `GET /flows` and `GET /flows/{flow}`: what hooks start, where it is used, and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::day::Tally;
use super::layout::{self, Section};
use super::visitor::Visitor;
use super::{address, queues, show};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::delivery::Priority;
use crate::flow::Flow;
use crate::id::FlowName;
use crate::outbox::RunState;

/// What became of all flows' runs.
struct Fates {
    today: Arc<Tally>,
    open: BTreeMap<FlowName, BTreeMap<RunState, u64>>,
    failures: BTreeMap<(FlowName, u32), u64>,
}

impl Fates {
    async fn read(app: &App) -> Result<Self, Problem> {
        let today = app.pages.day.read(app).await?;
        let (open, failures) = app.deliveries(|log| Ok((log.open_by_flow()?, log.failures_by_step()?))).await?;
        Ok(Self { today, open, failures })
    }

    fn today(&self, flow: &FlowName) -> u64 {
        self.today.flows.get(flow).copied().unwrap_or(0)
    }

    fn open(&self, flow: &FlowName) -> u64 {
        self.open.get(flow).map_or(0, |states| states.values().sum())
    }

    fn failed(&self, flow: &FlowName) -> u64 {
        self.failures.iter().filter(|((name, _), _)| name == flow).map(|(_, count)| count).sum()
    }
}

pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Markup, Problem> {
    let fates = Fates::read(&app).await?;
    let config = app.config();
    let content = html! {
        h1 { "Flows" }
        @if config.flows().len() == 0 { p.empty { "No flow is configured." } } @else {
            div.scroll data-region="flows" { (queues::unread(&fates.today)) table {
                thead { tr {
                    th scope="col" { "Flow" } th.n scope="col" { "Steps" } th.n scope="col" { "Hooks" } th.n scope="col" { "Runs today" }
                    th.n scope="col" { "Open" } th.n scope="col" { "Failed, of all kept" }
                } }
                tbody { @for flow in config.flows() {
                    tr {
                        th scope="row" { a href=(address::flow(flow.name.as_str())) { (flow.name) } (marks(flow)) }
                        td.n { (flow.steps.len()) }
                        td.n { (config.hooks().filter(|hook| hook.flow.name == flow.name).count()) }
                        td.n { (show::count(fates.today(&flow.name))) }
                        td.n { (show::count(fates.open(&flow.name))) }
                        td.n { (show::count(fates.failed(&flow.name))) }
                    }
                } }
            } }
        }
    };
    Ok(layout::page(&visitor, Section::Flows, "Flows", true, content))
}

pub(super) async fn show_one(
    State(app): State<App>,
    Path(name): Path<String>,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let config = app.config();
    let flow = config.flow(&name).ok_or_else(|| Problem::not_found(format!("no flow `{name}` is configured")))?;
    let fates = Fates::read(&app).await?;
    let content = html! {
        (layout::trail(&[("/flows", "Flows")]))
        h1 { (flow.name) (marks(flow)) }
        div data-region="flow" {
            h2 { "Runs" }
            (queues::unread(&fates.today))
            p.lead {
                @let of = |state| [("flow", flow.name.as_str()), ("state", state)];
                (show::tally(&of(""), fates.today(&flow.name), "begun today"))
                @for (state, count) in fates.open.get(&flow.name).into_iter().flatten() { (show::tally(&of(state.as_str()), *count, state.as_str())) }
                (show::tally(&of(RunState::Failed.as_str()), fates.failed(&flow.name), "failed, of all kept"))
            }
            h2 { "Steps" }
            (steps(flow, &fates))
        }
        h2 { "Started by" }
        ul.list {
            @for hook in config.hooks().filter(|hook| hook.flow.name == flow.name) {
                li { code { (hook.id) } " on " strong { (hook.event) } @if let Some(when) = &hook.when { " when " code { (when.source()) } } @if !hook.enabled { " " span.state.open { "paused" } } }
            }
        }
        @if visitor.sees_numbers() && let Some(definition) = &flow.definition {
            h2 { "Definition" }
            pre tabindex="0" { code { (show::json(&definition.json)) } }
        }
    };
    Ok(layout::page(&visitor, Section::Flows, &name, true, content))
}

/// What is unusual about it.
fn marks(flow: &Flow) -> Markup {
    html! {
        @if flow.paused { " " span.state.open { "paused" } }
        @if flow.priority != Priority::Normal { " " span.state.quiet { (flow.priority.name()) " priority" } }
        @if flow.newest_first { " " span.state.quiet { "newest first" } }
    }
}

fn steps(flow: &Flow, fates: &Fates) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th scope="col" { "Step" } th scope="col" { "Does" } th scope="col" { "Saves" } th.n scope="col" { "Failed runs, of all kept" } } }
            tbody { @for (i, step) in (0..).zip(&flow.steps) {
                tr {
                    th scope="row" { code { (step.path) } }
                    td { (step.kind.name()) }
                    td { @match &step.save { Some(name) => code { (name) }, None => (show::none()) } }
                    td.n { (show::count(fates.failures.get(&(flow.name.clone(), i)).copied().unwrap_or(0))) }
                }
            } }
        } }
    }
}
