//! The tab Hooks of a queue's page: `GET /queues/{queue}/hooks`; and pausing and deleting one.

use axum::extract::{Path, State};
use axum::response::Redirect;
use maud::{Markup, html};

use super::day::Tally;
use super::fields::Fields;
use super::layout::csrf;
use super::visitor::Visitor;
use super::{address, hook_form, notice, queue, revision, show};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::config::edit::HookChange;
use crate::hook::Hook;
use crate::id::{QueueName, RunId};
use crate::outbox::RunState;
use crate::outbox::chronicle::Begun;

/// What became of a hook.
pub(super) struct Fate {
    last: Option<(Begun, Option<RunState>)>,
    today: u64,
    failures: u64,
}

pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    fields: Fields,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let name = QueueName::new(name);
    let resolved = app.config().queue(&name);
    let day = app.pages.day.read(&app).await?;
    let fates = fates(&app, &day, &resolved.hooks).await?;
    let revision = visitor.may(Role::Admin).then(|| revision::now(&app)).flatten();
    let content = html! {
        (notice::show(&visitor, &fields))
        div.bar {
            p.lead { "A hook starts a flow when its event happens to a member of this queue." }
            @if revision.is_some() { a.button.primary href=(address::queue(name.as_str(), "hooks/new")) { "Add hook" } }
        }
        @if resolved.hooks.is_empty() { p.empty { "This queue has no hooks yet." } } @else {
            div.scroll data-region="hooks" { table.hooks {
                thead { tr { (headings()) th scope="col" { span.hidden { "What to do" } } } }
                tbody { @for (hook, fate) in resolved.hooks.iter().zip(&fates) { (row(&visitor, &name, hook, fate, revision.as_deref())) } }
            } }
        }
        @if visitor.may(Role::Admin) && revision.is_none() {
            p.note { "The configuration's files can't be read now, so hooks can't be changed from here." }
        }
    };
    Ok(queue::page(&visitor, &name, "hooks", true, content))
}

/// The headings of what [`facts`] tells.
pub(super) fn headings() -> Markup {
    html! {
        th scope="col" { "Hook" } th scope="col" { "Event" } th scope="col" { "Condition" } th scope="col" { "Flow" }
        th scope="col" { "Enabled" } th scope="col" { "Last run today" } th.n scope="col" { "Failures" }
    }
}

/// What became of the hooks, in their order.
pub(super) async fn fates(app: &App, day: &Tally, hooks: &[std::sync::Arc<Hook>]) -> Result<Vec<Fate>, Problem> {
    if hooks.is_empty() {
        return Ok(Vec::new());
    }
    let last: Vec<RunId> = hooks.iter().filter_map(|hook| day.runs.get(&hook.id)).map(|(last, _)| last.id).collect();
    let (states, failures) = app.deliveries(move |log| Ok((log.states_of(&last)?, log.failures_by_hook()?))).await?;
    let fate = |hook: &std::sync::Arc<Hook>| {
        let run = day.runs.get(&hook.id);
        Fate {
            last: run.map(|(last, _)| (last.clone(), states.get(&last.id).copied())),
            today: run.map_or(0, |(_, count)| *count),
            failures: failures.get(&hook.id).copied().unwrap_or(0),
        }
    };
    Ok(hooks.iter().map(fate).collect())
}

fn row(visitor: &Visitor, queue: &QueueName, hook: &Hook, fate: &Fate, revision: Option<&str>) -> Markup {
    html! {
        tr data-key=(hook.id) {
            (facts(hook, hook.pattern() == queue.as_str(), fate))
            td.do { (actions(visitor, queue, hook, revision)) }
        }
    }
}

/// What a hook is, and what became of it. Whose it is is told unless that is plain.
pub(super) fn facts(hook: &Hook, is_own: bool, fate: &Fate) -> Markup {
    html! {
        th scope="row" { (hook.name()) @if !is_own { " " span.note { "of " code { (hook.pattern()) } } } }
        td { span.event.(hook.event.as_str()) title=(hook.event.meaning()) { (hook.event) } }
        td { @match &hook.when { Some(when) => code { (when.source()) }, None => span.quiet { "always" } } }
        td { a href=(address::flow(hook.flow.name.as_str())) { (hook.flow.name) } }
        td { (enabled(hook)) }
        td {
            @match &fate.last {
                Some((last, state)) => {
                    a href=(format!("/deliveries/{}", last.id)) { (show::time(last.at)) }
                    @if let Some(state) = state { " " (show::state(*state)) }
                    " " span.note { (show::count(fate.today)) " today" }
                }
                None => (show::none()),
            }
        }
        td.n.late[fate.failures > 0] {
            (show::count(fate.failures))
            @if hook.condition_failures() > 0 { " " span.note title="how often the condition could not be evaluated" { (hook.condition_failures()) " of condition" } }
        }
    }
}

fn enabled(hook: &Hook) -> Markup {
    match (hook.enabled, hook.dry_run) {
        (false, _) => html! { span.state.open { "paused" } },
        (true, true) => html! { span.state.quiet { "dry run" } },
        (true, false) => html! { span.state.good { "yes" } },
    }
}

fn actions(visitor: &Visitor, queue: &QueueName, hook: &Hook, revision: Option<&str>) -> Markup {
    let path = |action: &str| address::queue(queue.as_str(), &format!("hooks/{action}"));
    let names = |action: &str| format!("{action} {}", hook.name());
    let hidden = |revision: &str| {
        html! {
            (csrf(visitor))
            input type="hidden" name="hook" value=(hook.id);
            input type="hidden" name="revision" value=(revision);
        }
    };
    html! {
        @if visitor.may(Role::Operate) {
            a.button.small href=(address::with(&path("test"), &[("hook", &hook.id)])) aria-label=(names("Test")) { "Test" }
        }
        @if let Some(revision) = revision {
            a.button.small href=(address::with(&path("edit"), &[("hook", &hook.id)])) aria-label=(names("Edit")) { "Edit" }
            form method="post" action=(path("enable")) {
                (hidden(revision))
                input type="hidden" name="enabled" value=(if hook.enabled { "" } else { "yes" });
                button.small aria-label=(names(if hook.enabled { "Pause" } else { "Resume" })) { (if hook.enabled { "Pause" } else { "Resume" }) }
            }
            form method="post" action=(path("delete")) data-confirm=(format!("Delete the hook {}? Its runs stay.", hook.name())) {
                (hidden(revision))
                button.small.danger aria-label=(names("Delete")) { "Delete" }
            }
        }
    }
}

pub(super) async fn enable(
    State(app): State<App>,
    Path(queue): Path<String>,
    visitor: Visitor,
    fields: Fields,
) -> Result<Redirect, Problem> {
    let (pattern, name) = hook_form::named(&fields)?;
    let enabled = fields.has("enabled");
    let change = HookChange::Enable(name.clone(), enabled);
    let action = if enabled { "resumed hook" } else { "paused hook" };
    revision::apply(&app, &visitor, &fields, &pattern, &change, action).await?;
    Ok(done(&visitor, &queue, &format!("The hook {name} is {}.", if enabled { "enabled again" } else { "paused" })))
}

pub(super) async fn delete(
    State(app): State<App>,
    Path(queue): Path<String>,
    visitor: Visitor,
    fields: Fields,
) -> Result<Redirect, Problem> {
    let (pattern, name) = hook_form::named(&fields)?;
    let change = HookChange::Delete(name.clone());
    revision::apply(&app, &visitor, &fields, &pattern, &change, "deleted hook").await?;
    Ok(done(&visitor, &queue, &format!("The hook {name} is deleted.")))
}

/// Back to the tab, with a word on what was done.
pub(super) fn done(visitor: &Visitor, queue: &str, said: &str) -> Redirect {
    Redirect::to(&notice::with(visitor, &address::queue(queue, "hooks"), &[], said))
}
