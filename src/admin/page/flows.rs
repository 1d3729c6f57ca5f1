//! `GET /flows` and `GET /flows/{flow}`: what hooks start, where it is used, and what became of it.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::layout::{self, Section};
use super::visitor::Visitor;
use super::{address, show};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::delivery::Priority;
use crate::flow::Flow;
use crate::id::FlowName;
use crate::outbox::RunState;

type States = BTreeMap<FlowName, BTreeMap<RunState, u64>>;
type Failures = BTreeMap<(FlowName, u32), u64>;

async fn read(app: &App) -> Result<(States, Failures), Problem> {
    let start = app.pages.day.read(app).await?.start;
    app.deliveries(move |log| Ok((log.states_after(start.run)?, log.failures_by_step()?))).await
}

pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Markup, Problem> {
    let (states, failures) = read(&app).await?;
    let config = app.config();
    let content = html! {
        h1 { "Flows" }
        @if config.flows().len() == 0 { p.empty { "No flow is configured." } } @else {
            div.scroll data-region="flows" { table {
                thead { tr {
                    th scope="col" { "Flow" } th.n scope="col" { "Steps" } th.n scope="col" { "Hooks" } th.n scope="col" { "Runs today" }
                    th.n scope="col" { "Open" } th.n scope="col" { "Failed, of all kept" }
                } }
                tbody { @for flow in config.flows() {
                    @let of_flow = states.get(&flow.name);
                    @let sum = |is: fn(RunState) -> bool| of_flow.map_or(0, |states| states.iter().filter(|(state, _)| is(**state)).map(|(_, count)| count).sum());
                    tr {
                        th scope="row" { a href=(address::flow(flow.name.as_str())) { (flow.name) } (marks(flow)) }
                        td.n { (flow.steps.len()) }
                        td.n { (config.hooks().filter(|hook| hook.flow.name == flow.name).count()) }
                        td.n { (show::count(sum(|_| true))) }
                        td.n { (show::count(sum(|state| !state.is_over()))) }
                        td.n { (show::count(failed(&failures, &flow.name))) }
                    }
                } }
            } }
        }
    };
    Ok(layout::page(&visitor, Section::Flows, "Flows", true, content))
}

fn failed(failures: &Failures, flow: &FlowName) -> u64 {
    failures.iter().filter(|((name, _), _)| name == flow).map(|(_, count)| count).sum()
}

pub(super) async fn show_one(
    State(app): State<App>,
    Path(name): Path<String>,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let config = app.config();
    let flow = config.flow(&name).ok_or_else(|| Problem::not_found(format!("no flow `{name}` is configured")))?;
    let (states, failures) = read(&app).await?;
    let content = html! {
        (layout::trail(&[("/flows", "Flows")]))
        h1 { (flow.name) (marks(flow)) }
        div data-region="flow" {
            h2 { "Runs today" }
            p.lead {
                @match states.get(&flow.name) {
                    None => "None.",
                    Some(states) => { @for (state, count) in states {
                        a.tally href=(address::with("/deliveries", &[("flow", flow.name.as_str()), ("state", state.as_str()), ("span", "24h")])) { strong { (show::count(*count)) } " " (state.as_str()) }
                    } }
                }
            }
            h2 { "Steps" }
            (steps(flow, &failures))
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

fn steps(flow: &Flow, failures: &Failures) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th scope="col" { "Step" } th scope="col" { "Does" } th scope="col" { "Saves" } th.n scope="col" { "Failed runs, of all kept" } } }
            tbody { @for (i, step) in (0..).zip(&flow.steps) {
                tr {
                    th scope="row" { code { (step.path) } }
                    td { (step.kind.name()) }
                    td { @match &step.save { Some(name) => code { (name) }, None => (show::none()) } }
                    td.n { (show::count(failures.get(&(flow.name.clone(), i)).copied().unwrap_or(0))) }
                }
            } }
        } }
    }
}
