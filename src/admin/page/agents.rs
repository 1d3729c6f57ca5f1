//! `GET /agents`: who takes the calls, what they do, and what they have done today.

use std::collections::BTreeSet;

use axum::extract::State;
use maud::{Markup, html};

use super::day::AgentDay;
use super::hooks;
use super::layout::{self, Section};
use super::queues::unread;
use super::show;
use super::visitor::Visitor;
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::freeswitch::queue_info::{is_busy, is_free};
use crate::freeswitch::snapshot::AgentRow;

pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Markup, Problem> {
    let (day, staff) = (app.pages.day.read(&app).await?, app.pages.staff.ask(&app).await);
    let seen = day.agents.keys().map(|agent| agent.as_str());
    let names: BTreeSet<&str> = staff.agents.keys().map(String::as_str).chain(seen).collect();
    let none = AgentDay::default();
    let hooks: Vec<_> = app.config().hooks_of_agents().cloned().collect();
    let fates = hooks::fates(&app, &day, &hooks).await?;
    let content = html! {
        h1 { "Agents" }
        div data-region="agents" {
            (unread(&day))
            @if names.is_empty() { p.empty { "No FreeSWITCH that is connected has agents." } } @else {
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "Agent" } th scope="col" { "Status" } th.n scope="col" { "Since" } th scope="col" { "State" }
                        th.n scope="col" { "Offered today" } th.n scope="col" { "Answered" } th.n scope="col" { "Missed" } th.n scope="col" { "Talked" }
                    } }
                    tbody { @for name in names {
                        @let day = day.agents.get(name).unwrap_or(&none);
                        tr data-key=(name) {
                            th scope="row" { (name) }
                            (presence(staff.agents.get(name).map(|(_, agent)| agent)))
                            td.n { (show::count(day.offered)) }
                            td.n { (show::count(day.answered)) }
                            td.n { (show::count(day.missed)) }
                            td.n { (show::span(day.talked_sec)) }
                        }
                    } }
                } }
            }
        }
        @if !hooks.is_empty() {
            h2 { "Hooks" }
            div.scroll data-region="hooks" { table.hooks {
                thead { tr { (hooks::headings()) } }
                tbody { @for (hook, fate) in hooks.iter().zip(&fates) { tr data-key=(hook.id) { (hooks::facts(hook, false, fate)) } } }
            } }
            p.note { "These hear of agents, whatever queue they are in. They are changed in the configuration's file, below " code { "[agents]" } "." }
        }
    };
    Ok(layout::page(&visitor, Section::Agents, "Agents", true, content))
}

fn presence(agent: Option<&AgentRow>) -> Markup {
    let Some(agent) = agent else {
        return html! { td { (show::none()) } td.n { (show::none()) } td { (show::none()) } };
    };
    let class = match (is_free(&agent.status, &agent.state), is_busy(&agent.state)) {
        (true, _) => "good",
        (false, true) => "open",
        (false, false) => "quiet",
    };
    html! {
        td { (agent.status) }
        td.n { (agent.status_since().map_or_else(show::none, show::since)) }
        td { span.state.(class) { (agent.state) } }
    }
}
