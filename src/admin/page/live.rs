//! `GET /live`: attempts as they move, and the latest moments.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::layout::{self, Section};
use super::visitor::Visitor;
use super::{address, show};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::id::QueueName;
use crate::moment::Payload;
use crate::node::live::LiveAttempt;
use crate::outbox::chronicle::Told;

/// The most attempts that are listed: nobody looks through more, and a page stays small.
const ATTEMPTS: usize = 100;

/// How many moments are listed.
const MOMENTS: u32 = 40;

pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Markup, Problem> {
    let content = content(&app, &visitor, None).await?;
    Ok(layout::page(&visitor, Section::Live, "Live", true, html! { h1 { "Live" } (content) }))
}

/// The attempts and moments of a queue, or of all.
pub(super) async fn content(app: &App, visitor: &Visitor, queue: Option<&QueueName>) -> Result<Markup, Problem> {
    let mut attempts = app.live.list();
    attempts.retain(|attempt| queue.is_none_or(|queue| attempt.queue == *queue));
    let name = queue.map(QueueName::to_string);
    let latest = app.deliveries(move |log| log.latest_moments(name.as_deref(), MOMENTS)).await?;
    Ok(html! {
        div.columns data-region="live" {
            section aria-labelledby="attempts" {
                h2 id="attempts" { "Attempts " span.count { (attempts.len()) } }
                (table(visitor, &attempts, queue.is_none()))
            }
            section aria-labelledby="moments" {
                h2 id="moments" { "Moments" }
                (moments(visitor, &latest, queue.is_none()))
            }
        }
    })
}

fn table(visitor: &Visitor, attempts: &[Arc<LiveAttempt>], with_queue: bool) -> Markup {
    if attempts.is_empty() {
        return html! { p.empty { "Nobody is in the queue." } };
    }
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "Member" }
                @if with_queue { th scope="col" { "Queue" } }
                th scope="col" { "State" }
                th scope="col" { "Agent" }
                th.n scope="col" { "Since" }
            } }
            tbody { @for attempt in attempts.iter().take(ATTEMPTS) { (row(visitor, attempt, with_queue)) } }
        } }
        @if attempts.len() > ATTEMPTS { p.note { "These are the first " (ATTEMPTS) " of " (attempts.len()) "." } }
    }
}

fn row(visitor: &Visitor, attempt: &LiveAttempt, with_queue: bool) -> Markup {
    let (class, state) = match (attempt.bridged_at, attempt.agents.is_empty()) {
        (Some(_), _) => ("good", "talking"),
        (None, false) => ("open", "offered"),
        (None, true) => ("quiet", "waiting"),
    };
    html! {
        tr data-key=(attempt.id) {
            th scope="row" { a href=(format!("/attempts/{}", attempt.id)) { (member(visitor, attempt.member_name.as_deref(), attempt.member_number.as_deref())) } }
            @if with_queue { td { a href=(address::queue(attempt.queue.as_str(), "")) { (attempt.queue) } } }
            td { span.state.(class) { (state) } }
            td { @for (i, agent) in attempt.agents.iter().enumerate() { @if i > 0 { ", " } (agent) } }
            td.n { (show::since(attempt.bridged_at.unwrap_or(attempt.joined_at))) }
        }
    }
}

/// A member by name and number.
pub(super) fn member(visitor: &Visitor, name: Option<&str>, number: Option<&str>) -> Markup {
    let number = number.map(|number| visitor.number(number));
    let name = name.map(|name| visitor.number(name)).filter(|name| !name.is_empty() && Some(name) != number.as_ref());
    html! {
        @match (name, number) {
            (Some(name), Some(number)) => { (name) " " span.number { (number) } }
            (Some(one), None) | (None, Some(one)) => (one),
            (None, None) => "unknown",
        }
    }
}

/// Moments, a row each.
pub(super) fn moments(visitor: &Visitor, latest: &[Told], with_queue: bool) -> Markup {
    if latest.is_empty() {
        return html! { p.empty { "Nothing has happened yet." } };
    }
    html! {
        div.scroll { table.moments {
            thead { tr {
                th scope="col" { "Time" } th scope="col" { "Event" }
                @if with_queue { th scope="col" { "Queue" } }
                th scope="col" { "Member" } th scope="col" { "What" }
            } }
            tbody {
                @for told in latest {
                    @let payload = &told.payload;
                    tr data-key=(payload.id) {
                        td { (show::time(payload.timestamp.0)) }
                        td { span.event.(payload.event.as_str()) { (payload.event) } }
                        @if with_queue { td { (payload.queue_name.as_ref().map_or("", QueueName::as_str)) } }
                        td { a href=(format!("/attempts/{}", told.attempt)) { (member(visitor, payload.member_name.as_deref(), payload.member_number.as_deref())) } }
                        td { (what(payload)) }
                    }
                }
            }
        } }
    }
}

/// What a moment tells beside its event, in a few words.
pub(super) fn what(payload: &Payload) -> Markup {
    let agent = payload.agent_name.as_ref().map(ToString::to_string);
    let result = payload.cc_result.as_ref().map(show::word);
    let reason = payload.cc_cancel_reason.as_ref().map(show::word);
    let missed = payload.missed_reason.as_ref().map(show::word);
    let outcome = payload.offer_outcome.as_ref().map(show::word);
    let status = payload.agent_status.clone().or_else(|| payload.agent_state.clone());
    let words: Vec<String> = [agent, result, reason, missed, outcome, status].into_iter().flatten().collect();
    html! { (words.join(" · ")) @if payload.synthetic { span.note title="inferred rather than seen" { " inferred" } } }
}
