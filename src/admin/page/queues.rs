//! `GET /queues`: every queue at a glance.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use jiff::Timestamp;
use maud::{Markup, html};

use super::day::{QueueDay, Tally};
use super::layout::{self, Section};
use super::staff::Crew;
use super::visitor::Visitor;
use super::{address, show};
use crate::admin::app::App;
use crate::admin::endpoint::troubles;
use crate::admin::problem::Problem;
use crate::id::QueueName;
use crate::node::live::LiveAttempt;

/// A queue as it is now.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    pub(super) attempts: usize,
    pub(super) waiting: usize,
    pub(super) first: Option<Timestamp>,
}

pub(super) async fn home() -> Redirect {
    Redirect::to("/queues")
}

pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Markup, Problem> {
    let day = app.pages.day.read(&app).await?;
    let staff = app.pages.staff.ask(&app).await;
    let queues = now(&app, &day);
    let content = html! {
        h1 { "Queues" }
        div data-region="queues" {
            (alarms(&app))
            (unread(&day))
            @if queues.is_empty() {
                p.empty { "No queue is configured by its name, and none has calls yet." }
            } @else {
                div.scroll { table {
                    thead { tr {
                        th scope="col" { "Queue" }
                        th.n scope="col" { "Waiting" }
                        th.n scope="col" { "Longest wait" }
                        th scope="col" { "Agents" }
                        th.n scope="col" { "Answered today" }
                        th.n scope="col" { "Abandoned today" }
                        th.n scope="col" { "Hooks" }
                    } }
                    tbody { @for (name, now) in &queues { (row(&app, &visitor, &day, name, now, staff.crew(name.as_str()))) } }
                } }
            }
        }
    };
    Ok(layout::page(&visitor, Section::Queues, "Queues", true, content))
}

/// The queues that are configured by name, have attempts, or had some today.
pub(super) fn now(app: &App, day: &Tally) -> BTreeMap<QueueName, Now> {
    let config = app.config();
    let named = config.queue_names().map(QueueName::from).chain(day.queues.keys().cloned());
    let mut queues: BTreeMap<QueueName, Now> = named.map(|name| (name, Now::default())).collect();
    for attempt in app.live.list() {
        queues.entry(attempt.queue.clone()).or_default().add(&attempt);
    }
    queues
}

impl Now {
    pub(super) fn of(attempts: &[Arc<LiveAttempt>]) -> Self {
        let mut now = Self::default();
        attempts.iter().for_each(|attempt| now.add(attempt));
        now
    }

    fn add(&mut self, attempt: &LiveAttempt) {
        self.attempts += 1;
        if attempt.bridged_at.is_none() {
            self.waiting += 1;
            self.first = self.first.into_iter().chain([attempt.joined_at]).min();
        }
    }
}

fn row(app: &App, visitor: &Visitor, day: &Tally, name: &QueueName, now: &Now, crew: Option<Crew>) -> Markup {
    let queue = app.config().queue(name);
    let none = QueueDay::default();
    let day = day.queues.get(name).unwrap_or(&none);
    let is_late = queue
        .settings
        .sla
        .zip(now.first)
        .is_some_and(|(sla, first)| visitor.now.duration_since(first) > sla.try_into().unwrap_or_default());
    html! {
        tr data-key=(name) {
            th scope="row" { a href=(address::queue(name.as_str(), "")) { (name) } }
            td.n.strong[now.waiting > 0] { (now.waiting) }
            td.n.late[is_late] { @match now.first { Some(first) => (show::since(first)), None => (show::none()) } }
            td { (crew_of(crew)) }
            td.n { (show::count(day.answered)) }
            td.n { (show::count(day.abandoned)) }
            td.n { a href=(address::queue(name.as_str(), "hooks")) aria-label=(format!("{} hooks of {name}", queue.hooks.len())) { (queue.hooks.len()) } }
        }
    }
}

/// A queue's agents in a few words.
pub(super) fn crew_of(crew: Option<Crew>) -> Markup {
    match crew {
        None => show::none(),
        Some(Crew { free, busy, away }) => html! {
            span.crew { span.good { (free) " free" } " · " (busy) " busy" @if away > 0 { " · " span.quiet { (away) " away" } } }
        },
    }
}

/// Word that the day's figures are not whole yet.
pub(super) fn unread(day: &Tally) -> Markup {
    html! { @if !day.is_whole {
        p.note role="status" {
            "Today's log is still being read, so today's figures are too small. "
            @if day.latest > day.began { "They are those up to " (show::time(day.latest)) "." }
        }
    } }
}

/// What is not well with the daemon, for whoever looks.
pub(super) fn alarms(app: &App) -> Markup {
    let left_alone = app.client.receivers().into_iter().filter(|(_, left_alone)| *left_alone);
    html! {
        @for (part, reason) in troubles(app) { p.alarm role="alert" { strong { (part) } ": " (reason) } }
        @for (receiver, _) in left_alone {
            p.alarm role="alert" { strong { "receiver " (receiver) } ": it has not answered for a while and is left alone; its runs wait" }
        }
    }
}
