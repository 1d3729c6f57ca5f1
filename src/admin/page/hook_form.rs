//! Adding and changing a hook: `GET …/hooks/new`, `GET …/hooks/edit`, `POST …/hooks/condition`, `POST …/hooks`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::fields::Fields;
use super::layout::csrf;
use super::revision::{self, Refusal, apply_change};
use super::visitor::Visitor;
use super::{address, hooks, queue};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::config::edit::{HookChange, HookDraft};
use crate::flow::{Context, Expression, SavedNames};
use crate::hook::{Hook, sample};
use crate::id::QueueName;
use crate::moment::{EventName, Payload};

/// What the form shows.
struct Form<'a> {
    queue: &'a QueueName,
    /// The hook that is changed; none: one is added.
    hook: Option<&'a str>,
    pattern: &'a str,
    draft: HookDraft,
    revision: String,
    refusal: Option<Refusal>,
}

pub(super) async fn add(State(app): State<App>, Path(name): Path<String>, visitor: Visitor) -> Result<Markup, Problem> {
    let name = QueueName::new(name);
    let flow = app.config().flows().next().map(|flow| flow.name.to_string()).unwrap_or_default();
    let draft = HookDraft { event: EventName::Joined.as_str().into(), flow, enabled: true, ..HookDraft::default() };
    let revision = revision::needed(&app)?;
    let form = Form { queue: &name, hook: None, pattern: name.as_str(), draft, revision, refusal: None };
    Ok(page(&app, &visitor, &form))
}

pub(super) async fn edit(
    State(app): State<App>,
    Path(name): Path<String>,
    fields: Fields,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let name = QueueName::new(name);
    let hook = find(&app, &name, &fields)?;
    let (draft, revision) = (HookDraft::from(&*hook), revision::needed(&app)?);
    let form = Form { queue: &name, hook: Some(&hook.id), pattern: hook.pattern(), draft, revision, refusal: None };
    Ok(page(&app, &visitor, &form))
}

/// The queue's hook that a form or an address names.
pub(super) fn find(app: &App, queue: &QueueName, fields: &Fields) -> Result<std::sync::Arc<Hook>, Problem> {
    let id = fields.get("hook").unwrap_or_default();
    let resolved = app.config().queue(queue);
    let found = resolved.hooks.iter().find(|hook| hook.id == id).cloned();
    found.ok_or_else(|| Problem::not_found(format!("{queue} has no hook `{id}`: it may have been changed or deleted")))
}

/// Pattern and name of the hook that a form names.
pub(super) fn named(fields: &Fields) -> Result<(String, String), Problem> {
    let id = fields.get("hook").and_then(|id| id.rsplit_once('/'));
    let (pattern, name) = id.ok_or_else(|| Problem::plain(StatusCode::BAD_REQUEST, "the form names no hook"))?;
    Ok((pattern.to_owned(), name.to_owned()))
}

pub(super) async fn save(
    State(app): State<App>,
    Path(queue): Path<String>,
    visitor: Visitor,
    fields: Fields,
) -> Result<Response, Problem> {
    let name = QueueName::new(&*queue);
    let draft = HookDraft {
        name: fields.get("name").map(str::to_owned),
        event: fields.text("event"),
        flow: fields.text("flow"),
        when: fields.get("when").map(str::to_owned),
        enabled: fields.has("enabled"),
        dry_run: fields.has("dry_run"),
    };
    let hook = fields.get("hook");
    let (pattern, change, action) = match hook {
        Some(_) => {
            let (pattern, old) = named(&fields)?;
            (pattern, HookChange::Replace(old, draft.clone()), "changed hook")
        }
        None => {
            let pattern = fields.get("pattern").unwrap_or(&queue).to_owned();
            (pattern.clone(), HookChange::Add(with_name(&app, &pattern, draft.clone())), "added hook")
        }
    };
    let refusal = match apply_change(&app, &visitor, &fields, &pattern, &change, action).await? {
        Ok(()) => {
            let said = if hook.is_some() { "The hook is changed." } else { "The hook is added." };
            return Ok(hooks::done(&visitor, &queue, said).into_response());
        }
        Err(refusal) => refusal,
    };
    let status = match refusal {
        Refusal::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::ChangedMeanwhile => StatusCode::CONFLICT,
    };
    let revision = revision::needed(&app)?;
    let form = Form { queue: &name, hook, pattern: &pattern, draft, revision, refusal: Some(refusal) };
    Ok((status, page(&app, &visitor, &form)).into_response())
}

/// A hook has a name, so that it stays the same when others come and go: without one of its own, by its event and flow.
fn with_name(app: &App, pattern: &str, draft: HookDraft) -> HookDraft {
    if draft.name.is_some() {
        return draft;
    }
    let config = app.config();
    let taken = |name: &str| config.hooks().any(|hook| hook.pattern() == pattern && hook.name() == name);
    let base = format!("{}-{}", draft.event, draft.flow);
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let name = std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name));
    HookDraft { name, ..draft }
}

/// Whether a condition can be used, and whether it holds for a sample.
pub(super) async fn check_condition(State(app): State<App>, Path(queue): Path<String>, fields: Fields) -> Json<Value> {
    let Some(when) = fields.get("when") else { return Json(json!({ "good": true, "said": "" })) };
    let expression = match Expression::compile(when, &SavedNames::none()) {
        Ok(expression) => expression,
        Err(errors) => {
            let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
            return Json(json!({ "good": false, "said": told.join("; ") }));
        }
    };
    let event = fields.get("event").and_then(EventName::parse).unwrap_or_default();
    let payload = sample(&app.config(), event, Some(QueueName::new(queue)));
    let holds = Context::from_payload(&payload).ok().and_then(|context| expression.holds(context.fields()).ok());
    let said = match holds {
        Some(true) => format!("Good. It holds for a sample of {event}."),
        Some(false) => format!("Good. It does not hold for a sample of {event}."),
        None => format!("It can be read, but not be evaluated for a sample of {event}."),
    };
    Json(json!({ "good": holds.is_some(), "said": said }))
}

fn page(app: &App, visitor: &Visitor, form: &Form<'_>) -> Markup {
    let title = if form.hook.is_some() { "Change hook" } else { "Add hook" };
    let path = address::queue(form.queue.as_str(), "hooks");
    let content = html! {
        h2 { (title) }
        @if let Some(refusal) = &form.refusal { (refused(form, refusal)) }
        form.editor method="post" action=(path) {
            (csrf(visitor))
            input type="hidden" name="revision" value=(form.revision);
            @if let Some(hook) = form.hook { input type="hidden" name="hook" value=(hook); }
            (scope(app, form))
            (events(form))
            (flows(app, form))
            label { "Condition" span.hint { "empty: always" }
                textarea name="when" rows="2" spellcheck="false" autocomplete="off" aria-describedby="condition-said"
                    data-check=(address::queue(form.queue.as_str(), "hooks/condition")) placeholder="cc_result != 'success' and wait_sec > 60" { (form.draft.when.as_deref().unwrap_or_default()) }
            }
            p.said id="condition-said" role="status" {}
            label { "Name" span.hint { @if form.hook.is_some() { "as it is, if it is left empty" } @else { "by event and flow, if it is left empty" } } input name="name" value=(form.draft.name.as_deref().unwrap_or_default()) autocomplete="off"; }
            fieldset.row {
                legend.hidden { "How it behaves" }
                label.tick { input type="checkbox" name="enabled" value="yes" checked[form.draft.enabled]; "Enabled" }
                label.tick { input type="checkbox" name="dry_run" value="yes" checked[form.draft.dry_run]; "Dry run: only log what it would start" }
            }
            div.actions { button.primary { @if form.hook.is_some() { "Save" } @else { "Add hook" } } a.button href=(path) { "Cancel" } }
        }
        (fields_of_events())
    };
    queue::page(visitor, form.queue, "hooks", false, content)
}

fn refused(form: &Form<'_>, refusal: &Refusal) -> Markup {
    html! {
        div.alarm role="alert" {
            @match refusal {
                Refusal::Wrong(problems) => { strong { "Nothing was changed. " } ul { @for problem in problems { li { (problem) } } } }
                Refusal::ChangedMeanwhile => {
                    strong { "The configuration has been changed meanwhile, so nothing was written. " }
                    "What you entered is below. Send it again to apply it to the configuration as it is now, or "
                    a href=(address::queue(form.queue.as_str(), "hooks")) { "look at the hooks as they are now" } "."
                }
            }
        }
    }
}

/// Whose hook it is to be.
fn scope(app: &App, form: &Form<'_>) -> Markup {
    let config = app.config();
    let patterns = config.queue_patterns(form.queue);
    html! {
        @if form.hook.is_some() {
            p.hint { "Of " code { (form.pattern) } @if form.pattern != form.queue.as_str() { ": this changes all queues of that pattern." } }
        } @else {
            label { "For" select name="pattern" {
                option value=(form.queue) selected[form.pattern == form.queue.as_str()] { "this queue alone" }
                @for pattern in patterns { @if pattern != form.queue.as_str() { option value=(pattern) selected[form.pattern == pattern] { "all queues of " (pattern) } } }
            } }
        }
    }
}

fn events(form: &Form<'_>) -> Markup {
    let option = |event: EventName| html! { option value=(event) selected[form.draft.event == event.as_str()] { (event) " – " (event.meaning()) } };
    html! {
        label { "Event" select name="event" data-event {
            @for event in EventName::EIGHT { (option(event)) }
            optgroup label="Beyond the eight" { @for event in EventName::beyond().filter(|event| !event.is_of_agent()) { (option(event)) } }
        } }
    }
}

fn flows(app: &App, form: &Form<'_>) -> Markup {
    html! {
        label { "Flow" select name="flow" required {
            @for flow in app.config().flows() { option value=(flow.name) selected[form.draft.flow == flow.name.as_str()] { (flow.name) } }
        } }
    }
}

/// What a condition can name, by event; the script shows those of the event that is chosen.
fn fields_of_events() -> Markup {
    html! {
        details.fields { summary { "Fields that the condition and the flow's templates can name" }
            div.scroll tabindex="0" role="region" aria-label="Fields" { table {
                thead { tr { th scope="col" { "Field" } th scope="col" { "Meaning" } } }
                tbody { @for field in Payload::FIELDS {
                    @let events: Vec<&str> = EventName::ALL.into_iter().filter(|event| field.events.contains(*event)).map(EventName::as_str).collect();
                    tr data-events=(events.join(" ")) { th scope="row" { code { (field.name) } } td { (field.meaning.trim()) } }
                } }
            } }
        }
    }
}
