//! `GET /metrics`: figures for Prometheus. `docs/operation.md` says what they are for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::openapi::PlainText;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::esl::nodes::LinkView;
use crate::moment::EventName;
use crate::outbox::{Health, RunState};
use crate::telemetry::Exposition;
use crate::telemetry::exposition;

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/metrics", "metrics", metrics)
        .needs(Role::Read)
        .summary("Figures, as Prometheus reads them.")
        .answers_as::<PlainText>(StatusCode::OK, "The figures.", "text/plain")
}

async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let open_runs = app.deliveries(|log| log.open_runs()).await?;
    let mut page = Exposition::default();
    page.gauge("hookswitch_build_info", "The version that runs.").sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    write_nodes(&mut page, &app);
    write_attempts(&mut page, &app);
    write_outbox(&mut page, &app, &open_runs);
    write_delivery(&mut page, &app);
    write_told(&mut page, &app);
    Ok(([(CONTENT_TYPE, exposition::CONTENT_TYPE)], page.into_text()))
}

fn write_nodes(page: &mut Exposition, app: &App) {
    let links = app.nodes.list();
    let mut connected =
        page.gauge("hookswitch_node_connected", "Whether a node is connected, for events and commands.");
    for (node, link) in &links {
        connected.sample(&[("node", node.as_str())], u8::from(link.state.borrow().trouble().is_none()));
    }
    let mut lag =
        page.gauge("hookswitch_node_lag_seconds", "How long after it happened the latest event was taken in.");
    for (node, link) in &links {
        if let Some(span) = link.tally.lag() {
            lag.sample(&[("node", node.as_str())], span.as_secs_f64());
        }
    }
    type Count = fn(&LinkView) -> &AtomicU64;
    let counted: [(&str, &str, Count); 7] = [
        ("hookswitch_node_events_total", "Events that came from a node.", |link| &link.tally.events),
        (
            "hookswitch_node_events_dropped_total",
            "Events that were dropped, because what is behind them was slow.",
            |link| &link.tally.dropped,
        ),
        ("hookswitch_node_frames_skipped_total", "Frames that were too long, or of an unknown kind.", |link| {
            &link.tally.skipped
        }),
        ("hookswitch_node_frames_unasked_total", "Frames of a kind that was not asked for.", |link| {
            &link.tally.unasked
        }),
        ("hookswitch_node_events_malformed_total", "Events that could not be read.", |link| &link.tally.malformed),
        (
            "hookswitch_node_desyncs_total",
            "Connections that were made anew, because what came made no sense or brought no events.",
            |link| &link.tally.desyncs,
        ),
        ("hookswitch_node_connections_total", "Connections that were made to a node.", |link| &link.tally.connections),
    ];
    for (name, help, count) in counted {
        let mut family = page.counter(name, help);
        for (node, link) in &links {
            family.sample(&[("node", node.as_str())], count(link).load(Ordering::Relaxed));
        }
    }
    let mut reconciled =
        page.counter("hookswitch_reconciled_total", "Attempts that surveys found otherwise than they were known.");
    for (node, link) in &links {
        let found = [("gone", &link.tally.found_gone), ("new", &link.tally.found_new)];
        for (difference, count) in found {
            let labels = [("node", node.as_str()), ("difference", difference)];
            reconciled.sample(&labels, count.load(Ordering::Relaxed));
        }
    }
}

fn write_attempts(page: &mut Exposition, app: &App) {
    let mut by_queue: BTreeMap<_, usize> = BTreeMap::new();
    for attempt in app.live.list() {
        *by_queue.entry(attempt.queue.clone()).or_default() += 1;
    }
    let mut live = page.gauge("hookswitch_attempts_live", "Attempts that live, by their queue.");
    for (queue, count) in by_queue {
        live.sample(&[("queue", queue.as_str())], count);
    }
    let figures = app.outbox.figures();
    page.counter("hookswitch_attempts_lost_total", "Attempts that left because they were found gone.")
        .sample(&[], figures.lost.load(Ordering::Relaxed));
    let mut moments = page.counter("hookswitch_moments_total", "Moments that were committed, by their event.");
    for event in EventName::ALL {
        moments.sample(&[("event", event.as_str())], figures.moments(event));
    }
}

fn write_outbox(page: &mut Exposition, app: &App, open_runs: &BTreeMap<RunState, u32>) {
    let figures = app.outbox.figures();
    let is_writing = *app.outbox.health().borrow() == Health::Writing;
    page.gauge("hookswitch_outbox_writable", "Whether the outbox can be written.").sample(&[], u8::from(is_writing));
    page.gauge("hookswitch_outbox_log_bytes", "How long the outbox's write-ahead log is.")
        .sample(&[], figures.log_bytes.load(Ordering::Relaxed));
    page.histogram("hookswitch_outbox_commit_seconds", "How long transactions took, their flush included.")
        .measured(&[], &figures.commits.read());
    let mut runs = page.gauge("hookswitch_runs", "Runs that are not over, and those that have failed, by their state.");
    for state in [RunState::Waiting, RunState::Pending, RunState::Running, RunState::Cancelling, RunState::Failed] {
        runs.sample(&[("state", state.as_str())], open_runs.get(&state).copied().unwrap_or(0));
    }
    page.counter("hookswitch_runs_ended_total", "Runs that came to their end since the start, by their state.")
        .sample(&[("state", RunState::Delivered.as_str())], figures.delivered.load(Ordering::Relaxed))
        .sample(&[("state", RunState::Failed.as_str())], figures.failed.load(Ordering::Relaxed))
        .sample(&[("state", RunState::Expired.as_str())], figures.expired.load(Ordering::Relaxed))
        .sample(&[("state", RunState::Cancelled.as_str())], figures.cancelled.load(Ordering::Relaxed));
}

fn write_delivery(page: &mut Exposition, app: &App) {
    let figures = app.client.figures();
    page.histogram("hookswitch_delivery_seconds", "How long tries took, by what they came to.")
        .measured(&[("outcome", "delivered")], &figures.delivered.read())
        .measured(&[("outcome", "retried")], &figures.retried.read())
        .measured(&[("outcome", "failed")], &figures.failed.read());
    let mut receivers =
        page.gauge("hookswitch_receiver_left_alone", "Whether nothing but probes is sent to a receiver.");
    for (receiver, left_alone) in app.client.receivers() {
        receivers.sample(&[("receiver", &receiver)], u8::from(left_alone));
    }
}

fn write_told(page: &mut Exposition, app: &App) {
    let figures = app.desk.figures();
    page.counter(
        "hookswitch_signals_total",
        "What was told over HTTP of queues outside FreeSWITCH, by what was answered.",
    )
    .sample(&[("answer", "accepted")], figures.accepted.load(Ordering::Relaxed))
    .sample(&[("answer", "repeated")], figures.repeated.load(Ordering::Relaxed))
    .sample(&[("answer", "refused")], figures.refused.load(Ordering::Relaxed));
}
