//! `GET` and `POST /queues/{queue}/hooks/test`: a hook's flow, tried with a sample or a past moment, step by step.

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::fields::Fields;
use super::layout::csrf;
use super::visitor::Visitor;
use super::{address, delivery, hook_form, queue, show};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::delivery::mask::{self, SecretValues};
use crate::delivery::record::RequestRecord;
use crate::flow::Flows;
use crate::flow::step::{Intent, Outcome, StepEnd};
use crate::flow::trial::{Ending, Told, Trial};
use crate::flow::walk::{Start, Walk};
use crate::hook::sample::make_test;
use crate::hook::{Hook, sample};
use crate::id::{QueueName, RunId};
use crate::moment::Payload;
use crate::outbox::filter::RunRef;
use crate::outbox::{Filter, Run};

/// How many past runs are offered.
const PAST: u32 = 20;

/// What became of a trial.
struct Shown {
    steps: Vec<Markup>,
    ending: Ending,
    dry_run: bool,
}

pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    fields: Fields,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let name = QueueName::new(name);
    let hook = hook_form::find(&app, &name, &fields)?;
    page(&app, &visitor, &name, &hook, &fields, None).await
}

pub(super) async fn fire(
    State(app): State<App>,
    Path(name): Path<String>,
    visitor: Visitor,
    fields: Fields,
) -> Result<Markup, Problem> {
    let name = QueueName::new(name);
    let hook = hook_form::find(&app, &name, &fields)?;
    let mut payload = match fields.get("run") {
        None => sample(&app.config(), hook.event, Some(name.clone())),
        Some(run) => past(&app, run).await?,
    };
    make_test(&mut payload);
    let dry_run = fields.has("dry_run");
    let pen = app.pages.changes.open()?;
    let shown = walk(&app, &visitor, &hook, &payload, dry_run).await?;
    if !dry_run {
        pen.note(&visitor, "tested hook", &hook.id, &format!("moment {}", payload.id));
    }
    page(&app, &visitor, &name, &hook, &fields, Some(&shown)).await
}

/// The moment of a past run.
async fn past(app: &App, run: &str) -> Result<Payload, Problem> {
    let unreadable = |_| Problem::not_found("there is no such run");
    let run: RunRef = run.parse().map_err(|_| Problem::not_found("there is no such run"))?;
    let story = app.deliveries(move |log| log.show(log.find(&run)?)).await?;
    let story = story.ok_or_else(|| Problem::not_found("the run is kept no more"))?;
    serde_json::from_str(story.payload.get()).map_err(unreadable)
}

async fn walk(app: &App, visitor: &Visitor, hook: &Hook, payload: &Payload, dry_run: bool) -> Result<Shown, Problem> {
    let unready = |error: String| Problem::unavailable(format!("the flow can't be tried: {error}"));
    let json = serde_json::to_string(payload).map_err(|error| unready(error.to_string()))?;
    let run = Run::apart(payload.id.run("hooks fire", &hook.flow.name), &hook.flow, json);
    let start = Start::find(&run, &Flows::default()).map_err(|error| unready(error.to_string()))?;
    let trial = Trial { client: &app.client, nodes: &app.nodes, dry_run, waits: false };
    let mut steps = Vec::new();
    let walked = trial.walk(Walk::begin(run, start), |told| {
        match told {
            Told::Ended { step, intent, end, retries } => {
                steps.push(step_of(visitor, &app.client.secrets(), &step.path, step.kind.name(), intent, end, retries));
            }
            Told::WaitSkipped => steps.push(html! { li.note { "The wait is passed over." } }),
            Told::Begins { .. } | Told::GoesOn { .. } => {}
        }
        Ok::<_, std::convert::Infallible>(())
    });
    let ending = match walked.await {
        Ok(ending) => ending,
        Err(never) => match never {},
    };
    Ok(Shown { steps, ending, dry_run })
}

fn step_of(
    visitor: &Visitor,
    secrets: &SecretValues,
    path: &str,
    kind: &str,
    intent: Option<&Intent>,
    end: &StepEnd,
    retries: usize,
) -> Markup {
    let (class, word, reason) = match &end.outcome {
        Outcome::Done(_) => ("good", "done", None),
        Outcome::Wait { .. } => ("open", "waits", None),
        Outcome::Stop => ("quiet", "ends the run", None),
        Outcome::Cancelled => ("quiet", "cancelled", None),
        Outcome::Late => ("bad", "expired", None),
        Outcome::Expired { reason } => ("bad", "expired", Some(reason)),
        Outcome::Failed { reason }
        | Outcome::Retry { reason, .. }
        | Outcome::PutOff { reason, .. }
        | Outcome::Refused { reason } => ("bad", "failed", Some(reason)),
    };
    html! {
        li {
            header { code { (path) } " " strong { (kind) } " " span.state.(class) { (word) } }
            @if let Some(reason) = reason {
                p.error { (reason) }
                @if retries > 0 { p.note { "The daemon would try again, up to " (retries) " times." } }
            }
            (intended(intent, secrets))
            @if let Some(attempted) = &end.attempted { (delivery::try_of(visitor, 1, attempted)) }
            @if let Outcome::Done(done) = &end.outcome && !done.saved.is_empty() {
                details { summary { "Saved" } pre tabindex="0" { code { (format!("{:#}", serde_json::Value::from(done.saved.clone()))) } } }
            }
        }
    }
}

fn intended(intent: Option<&Intent>, secrets: &SecretValues) -> Markup {
    let masked = |text: &str| secrets.mask(text).into_owned();
    html! {
        @match intent {
            Some(Intent::Request(request)) => {
                @let record = RequestRecord::of(request);
                p { code { (record.method) " " (masked(&record.url)) } }
                @if !request.body.is_empty() { details { summary { "Body" } pre tabindex="0" { code { (show::json(&masked(&mask::without_secret_members(&request.body)))) } } } }
            }
            Some(Intent::Commands { node, commands }) => { @for command in commands { p { code { (node) ": " (command.line()) } } } }
            Some(Intent::Parcel(parcel)) => {
                p { code { (parcel.destination) ": " (masked(&parcel.line)) } }
                @if !parcel.body.is_empty() { details { summary { "Body" } pre tabindex="0" { code { (show::json(&masked(&parcel.body))) } } } }
            }
            Some(Intent::Line(line)) => p { code { (masked(line)) } },
            Some(Intent::Nothing) | None => {}
        }
    }
}

async fn page(
    app: &App,
    visitor: &Visitor,
    name: &QueueName,
    hook: &Hook,
    fields: &Fields,
    shown: Option<&Shown>,
) -> Result<Markup, Problem> {
    let filter = Filter { queue: Some(name.to_string()), flow: Some(hook.flow.name.to_string()), ..Filter::default() };
    let past = app.deliveries(move |log| log.list(&filter, PAST)).await?;
    let chosen = fields.get("run").and_then(|run| run.parse::<RunId>().ok());
    let content = html! {
        h2 { "Test " (hook.name()) }
        p.lead { "Runs the flow " a href=(address::flow(hook.flow.name.as_str())) { (hook.flow.name) } " now, for a moment marked as a test. The condition is not asked; nothing is recorded." }
        form.editor method="post" action=(address::queue(name.as_str(), "hooks/test")) {
            (csrf(visitor))
            input type="hidden" name="hook" value=(hook.id);
            label { "Moment" select name="run" {
                option value="" { "a sample of " (hook.event) }
                @for run in &past { option value=(run.id) selected[chosen == Some(run.id)] { (run.event) " of " (run.created_at.0.strftime("%F %H:%M:%S UTC").to_string()) } }
            } }
            label.tick { input type="checkbox" name="dry_run" value="yes" checked[fields.has("dry_run")]; "Dry run: show what would be sent, and send nothing" }
            div.actions { button.primary { "Test" } a.button href=(address::queue(name.as_str(), "hooks")) { "Back" } }
        }
        @if let Some(shown) = shown { (result(shown)) }
    };
    Ok(queue::page(visitor, name, "hooks", false, content))
}

fn result(shown: &Shown) -> Markup {
    html! {
        section aria-labelledby="result" role="status" {
            h2 id="result" {
                @match (&shown.ending, shown.dry_run) {
                    (Ending::Delivered, false) => span.state.good { "delivered" },
                    (Ending::Delivered, true) => span.state.good { "would be delivered" },
                    (Ending::Failed { .. }, _) => span.state.bad { "failed" },
                }
            }
            @if let Ending::Failed { reason } = &shown.ending { p.error { (reason) } }
            ol.steps { @for step in &shown.steps { (step) } }
        }
    }
}
