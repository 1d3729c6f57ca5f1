//! A queue's page and its tabs: `GET /queues/{queue}`, `…/live`, `…/deliveries`; the tab Hooks has files of its own.

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::day::QueueDay;
use super::deliveries::{self, Wanted};
use super::fields::Fields;
use super::layout::{self, Section, figure};
use super::queues::{self, Now};
use super::visitor::Visitor;
use super::{address, chart, live as live_page, show};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::config::ResolvedQueue;
use crate::id::QueueName;

const TABS: [(&str, &str); 4] = [("", "Overview"), ("live", "Live"), ("hooks", "Hooks"), ("deliveries", "Deliveries")];

/// A queue's page, with one of its tabs open.
pub(super) fn page(visitor: &Visitor, queue: &QueueName, tab: &str, live: bool, content: Markup) -> Markup {
    let name = TABS.iter().find(|(path, _)| *path == tab).map_or(tab, |(_, name)| name);
    let content = html! {
        (layout::trail(&[("/queues", "Queues")]))
        h1 { (queue) }
        nav.tabs aria-label="Of this queue" {
            ul {
                @for (path, name) in TABS {
                    li { a href=(address::queue(queue.as_str(), path)) aria-current=[(path == tab).then_some("page")] { (name) } }
                }
            }
        }
        (content)
    };
    layout::page(visitor, Section::Queues, &format!("{name} of {queue}"), live, content)
}

pub(super) async fn overview(
    State(app): State<App>,
    Path(queue): Path<String>,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let queue = QueueName::new(queue);
    let tally = app.pages.day.read(&app).await?;
    let none = QueueDay::default();
    let day = tally.queues.get(&queue).unwrap_or(&none);
    let attempts: Vec<_> = app.live.list().into_iter().filter(|attempt| attempt.queue == queue).collect();
    let (now, crew) = (Now::of(&attempts), app.pages.staff.ask(&app).await.crew(queue.as_str()));
    let name = queue.to_string();
    let latest = app.deliveries(move |log| log.latest_moments(Some(&name), 12)).await?;
    let content = html! {
        div data-region="overview" {
            dl.figures {
                (figure("Waiting", html! { (now.waiting) }, html! {}))
                (figure("Longest wait", now.first.map_or_else(show::none, show::since), html! {}))
                (figure("Talking", html! { (now.attempts - now.waiting) }, html! {}))
                (figure("Agents", queues::crew_of(crew), html! {}))
            }
            h2 { "Today" }
            (queues::unread(&tally))
            dl.figures {
                (figure("Joined", html! { (show::count(day.joined)) }, html! {}))
                (figure("Answered", html! { (show::count(day.answered)) }, html! { span.note { (show::share(day.answered, day.joined)) } }))
                (figure("Abandoned", html! { (show::count(day.abandoned)) }, html! { span.note { (show::share(day.abandoned, day.joined)) } }))
                (figure("Average wait", html! { (day.average_wait_sec().map_or_else(|| "–".into(), show::span)) }, html! {}))
                (figure("Longest wait", html! { (show::span(day.longest_sec)) }, html! {}))
            }
            (chart::results(&day.parts))
            (chart::waiting(&day.parts))
            h2 { "Latest" }
            (live_page::moments(&visitor, &latest, false))
        }
        (settings(&app, &queue, &app.config().queue(&queue)))
    };
    Ok(page(&visitor, &queue, "", true, content))
}

/// What the configuration says of the queue.
fn settings(app: &App, queue: &QueueName, resolved: &ResolvedQueue) -> Markup {
    let (config, settings) = (app.config(), &resolved.settings);
    html! {
        h2 { "Configuration" }
        dl.facts {
            dt { "Type" } dd { (show::word(&settings.queue_type)) }
            dt { "Source" } dd { (settings.source.as_str()) }
            dt { "Promised wait" } dd { @match settings.sla { Some(sla) => (format!("{sla:?}")), None => (show::none()) } }
            dt { "Dry run" } dd { @if resolved.dry_run { "yes: hooks only log what they would start" } @else { "no" } }
            dt { "Configured by" } dd {
                @let patterns = config.queue_patterns(queue);
                @if patterns.is_empty() { (show::none()) }
                @for pattern in patterns { code { (pattern) } " " }
            }
        }
    }
}

pub(super) async fn live(
    State(app): State<App>,
    Path(queue): Path<String>,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let queue = QueueName::new(queue);
    let content = live_page::content(&app, &visitor, Some(&queue)).await?;
    Ok(page(&visitor, &queue, "live", true, content))
}

pub(super) async fn deliveries(
    State(app): State<App>,
    Path(queue): Path<String>,
    fields: Fields,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let queue = QueueName::new(queue);
    let mut wanted = Wanted::read(&fields);
    wanted.queue = queue.to_string();
    let content = deliveries::content(&app, &visitor, &wanted, true).await?;
    Ok(page(&visitor, &queue, "deliveries", true, content))
}
