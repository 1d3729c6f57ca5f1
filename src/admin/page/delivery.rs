//! `GET /deliveries/{id}`: one run with its steps and tries.

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::attempt;
use super::fields::Fields;
use super::layout::{self, Section, csrf};
use super::visitor::Visitor;
use super::{address, notice, show};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::delivery::TryRecord;
use crate::outbox::RunState;
use crate::outbox::deliveries::{Delivery, StepRecord, Story};
use crate::outbox::filter::RunRef;

pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    fields: Fields,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let run: RunRef = id.parse().map_err(|reason: &str| Problem::not_found(format!("`{id}` is {reason}")))?;
    let story = app.deliveries(move |log| log.show(log.find(&run)?)).await?;
    let Story { run, payload, steps, tries } = story.ok_or_else(|| Problem::not_found("the run is kept no more"))?;
    let id = run.id.to_string();
    let content = html! {
        (layout::trail(&[("/deliveries", "Deliveries")]))
        h1 { "Run " span.code { (id[..12]) } }
        (notice::show(&visitor, &fields))
        div data-region="run" {
            (facts(&run))
            @if visitor.may(Role::Operate) { (actions(&visitor, &run)) }
            @if !steps.is_empty() { h2 { "Steps" } (step_list(&visitor, &steps)) }
            h2 { "Tries " span.count { (tries.len()) } }
            @if tries.is_empty() { p.empty { "It has not been tried yet." } }
            @for (i, attempted) in tries.iter().enumerate() { (try_of(&visitor, i + 1, attempted)) }
        }
        (attempt::fields(&visitor, Some(payload.get())))
    };
    Ok(layout::page(&visitor, Section::Deliveries, "Run", !run.state.is_over(), content))
}

fn facts(run: &Delivery) -> Markup {
    html! {
        dl.facts {
            dt { "State" } dd { (show::state(run.state)) @if let Some(error) = &run.error { " " span.error { (error) } } }
            dt { "Event" } dd { (run.event) " in " a href=(address::queue(&run.queue, "")) { (run.queue) } }
            dt { "Attempt" } dd { a.code href=(format!("/attempts/{}", run.attempt)) { (run.attempt) } }
            dt { "Hook" } dd { code { (run.hook) } }
            dt { "Flow" } dd { a href=(address::flow(&run.flow)) { (run.flow) } ", step " (run.step) }
            dt { "Committed" } dd { (show::date(run.created_at.0)) }
            @if let Some(due) = run.due_at { dt { "Due" } dd { (show::date(due.0)) } }
            @if let Some(expires) = run.expires_at.filter(|_| !run.state.is_over()) { dt { "Expires" } dd { (show::date(expires.0)) } }
            @if let Some(ended) = run.ended_at { dt { "Ended" } dd { (show::date(ended.0)) } }
        }
    }
}

fn actions(visitor: &Visitor, run: &Delivery) -> Markup {
    let form = |action: &str, name: &str, expired: bool| {
        html! {
            form method="post" action=(action) {
                (csrf(visitor))
                input type="hidden" name="run" value=(run.id);
                @if expired { input type="hidden" name="expired" value="yes"; }
                button { (name) }
            }
        }
    };
    html! {
        div.actions {
            @match run.state {
                RunState::Failed | RunState::Cancelled => (form("/deliveries/retry", "Retry", false)),
                RunState::Expired => (form("/deliveries/retry", "Retry, late as it is", true)),
                RunState::Pending => { (form("/deliveries/retry", "Try now", false)) (form("/deliveries/cancel", "Cancel", false)) }
                RunState::Waiting | RunState::Running => (form("/deliveries/cancel", "Cancel", false)),
                RunState::Delivered | RunState::Cancelling => {}
            }
        }
    }
}

fn step_list(visitor: &Visitor, steps: &[StepRecord]) -> Markup {
    html! {
        ol.steps {
            @for step in steps {
                li {
                    code { (step.path) } " " strong { (step.kind) } " " (show::time(step.ended_at.0))
                    @if let Some(error) = &step.error { " " span.error { (error) } }
                    @if let Some(saved) = step.saved.as_ref().filter(|_| visitor.sees_numbers()) {
                        details { summary { "Saved" } pre tabindex="0" { code { (show::json(saved.get())) } } }
                    }
                }
            }
        }
    }
}

/// A try: what was sent and what came back. Bodies and addresses may hold a number.
pub(super) fn try_of(visitor: &Visitor, number: usize, attempted: &TryRecord) -> Markup {
    let class = if attempted.error.is_some() { "bad" } else { "good" };
    html! {
        article.try.(class) aria-label=(format!("Try {number}")) {
            header {
                span { strong { "Try " (number) } " of step " code { (attempted.step) } }
                @if let Some(response) = &attempted.response { " " span.state.(class) { (response.status) } }
                span.note { (show::date(attempted.started_at.0)) " · " (attempted.duration_ms) " ms" }
            }
            @if let Some(error) = &attempted.error { p.error { (error) } }
            @if visitor.sees_numbers() { (exchange(attempted)) }
        }
    }
}

fn exchange(attempted: &TryRecord) -> Markup {
    html! {
        @if let Some(request) = &attempted.request {
            details {
                summary { code { (request.method) " " (request.url) } }
                table.headers { tbody { @for (name, value) in &request.headers { tr { th scope="row" { (name) } td { (value) } } } } }
            }
        }
        @if let Some(command) = &attempted.command {
            p { code { (command.node) ": " (command.line) } }
            @if let Some(answer) = &command.answer { pre tabindex="0" { code { (answer) } } }
        }
        @if let Some(parcel) = &attempted.parcel {
            p { code { (parcel.destination) ": " (parcel.line) } }
            @if let Some(answer) = &parcel.answer { pre tabindex="0" { code { (answer) } } }
        }
        @if let Some(response) = attempted.response.as_ref().filter(|response| !response.body.is_empty()) {
            details open[attempted.error.is_some()] {
                summary {
                    "Response" @if response.truncated { " (its beginning)" } } pre tabindex="0" { code { (show::json(&response.body)) } } }
        }
    }
}
