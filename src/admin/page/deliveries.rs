//! `GET /deliveries`: runs by what they have in common; and doing those again, or not at all.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Redirect;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::chart;
use super::fields::Fields;
use super::layout::{self, Section, csrf};
use super::visitor::Visitor;
use super::{notice, show};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::outbox::deliveries::Delivery;
use crate::outbox::filter::{AttemptRef, RunRef};
use crate::outbox::intervention::{Definitions, Effect, Intervention};
use crate::outbox::{Deliveries, Filter, RunState};

/// How many are listed.
const LISTED: u32 = 100;

/// The spans that can be chosen, in hours.
const SPANS: [(&str, &str, i64); 5] = [
    ("", "any time", 0),
    ("15m", "the last 15 minutes", 15),
    ("1h", "the last hour", 60),
    ("24h", "the last 24 hours", 1_440),
    ("7d", "the last 7 days", 10_080),
];

/// Which runs are wanted, as the form has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) queue: String,
    pub(super) flow: String,
    state: String,
    span: String,
    attempt: String,
    number: String,
    run: String,
}

impl Wanted {
    pub(super) fn read(fields: &Fields) -> Self {
        let text = |name| fields.text(name);
        // The log has no index of numbers.
        let latest = if fields.has("number") { "24h" } else { "" };
        Self {
            queue: text("queue"),
            flow: text("flow"),
            state: text("state"),
            span: fields.get("span").unwrap_or(latest).to_owned(),
            attempt: text("attempt"),
            number: text("number"),
            run: text("run"),
        }
    }

    fn pairs(&self) -> [(&'static str, &str); 7] {
        [
            ("queue", &self.queue),
            ("flow", &self.flow),
            ("state", &self.state),
            ("span", &self.span),
            ("attempt", &self.attempt),
            ("number", &self.number),
            ("run", &self.run),
        ]
    }

    fn filter(&self) -> Result<Filter, Problem> {
        let refused = |what: &str| Problem::plain(StatusCode::BAD_REQUEST, format!("this is not {what}"));
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let states = match some(&self.state) {
            None => Vec::new(),
            Some(word) => {
                vec![RunState::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| refused("a state"))?]
            }
        };
        let minutes = SPANS
            .iter()
            .find(|(span, ..)| *span == self.span)
            .map(|(.., minutes)| *minutes)
            .ok_or_else(|| refused("a span"))?;
        let since = (minutes > 0).then(|| Timestamp::now() - SignedDuration::from_mins(minutes));
        let attempt = some(&self.attempt).map(|text| text.parse::<AttemptRef>()).transpose().map_err(refused)?;
        Ok(Filter {
            queue: some(&self.queue),
            flow: some(&self.flow),
            number: some(&self.number),
            attempt,
            states,
            since,
            ..Filter::default()
        })
    }

    /// Whether anything is said: nothing is ever done to all runs because somebody has left out what was meant.
    fn says_something(&self) -> bool {
        self.pairs().iter().any(|(_, value)| !value.is_empty())
    }

    fn run(&self) -> Result<Option<RunRef>, Problem> {
        let refused = |what| Problem::plain(StatusCode::BAD_REQUEST, what);
        Some(&self.run).filter(|run| !run.is_empty()).map(|run| run.parse()).transpose().map_err(refused)
    }
}

pub(super) async fn show(State(app): State<App>, fields: Fields, visitor: Visitor) -> Result<Markup, Problem> {
    let content = content(&app, &visitor, &Wanted::read(&fields), false).await?;
    let client = app.client.figures();
    let content = html! {
        h1 { "Deliveries" }
        (notice::show(&visitor, &fields))
        (content)
        h2 { "How long tries take" }
        div.columns data-region="latencies" {
            (chart::latencies("Delivered", &client.delivered.read()))
            (chart::latencies("To be made again", &client.retried.read()))
            (chart::latencies("Failed", &client.failed.read()))
        }
    };
    Ok(layout::page(&visitor, Section::Deliveries, "Deliveries", true, content))
}

/// The form and the runs that it means; of one queue, the queue is not asked for.
pub(super) async fn content(app: &App, visitor: &Visitor, wanted: &Wanted, of_queue: bool) -> Result<Markup, Problem> {
    let mut filter = wanted.filter()?;
    // Who does not see numbers can't find them out by asking either.
    filter.number = filter.number.filter(|_| visitor.sees_numbers());
    let read = move |log: Deliveries| {
        if let Some(since) = filter.since {
            filter.after = log.place_at(since)?.run;
        }
        Ok((log.list(&filter, LISTED)?, log.open_runs()?))
    };
    let (runs, open) = if wanted.says_something() { app.search(read).await? } else { app.deliveries(read).await? };
    Ok(html! {
        @if !of_queue {
            p.lead data-region="open" {
                @for state in [RunState::Pending, RunState::Running, RunState::Waiting, RunState::Failed] {
                    (show::tally(&[("state", state.as_str())], open.get(&state).copied().unwrap_or(0).into(), state.as_str()))
                }
            }
        }
        (form(app, visitor, wanted, of_queue))
        @if visitor.may(Role::Operate) && wanted.says_something() { (interventions(visitor, wanted)) }
        div data-region="runs" {
            (table(&runs, !of_queue))
            @if runs.len() == LISTED as usize { p.note { "These are the latest " (LISTED) "." } }
        }
    })
}

fn form(app: &App, visitor: &Visitor, wanted: &Wanted, of_queue: bool) -> Markup {
    let config = app.config();
    let option =
        |value: &str, text: &str, chosen: &str| html! { option value=(value) selected[value == chosen] { (text) } };
    html! {
        form.filter method="get" role="search" aria-label="Runs" {
            @if !of_queue { label { "Queue" input name="queue" value=(wanted.queue) placeholder="any" autocomplete="off"; } }
            label { "Flow" select name="flow" {
                (option("", "any", &wanted.flow))
                @for flow in config.flows() { (option(flow.name.as_str(), flow.name.as_str(), &wanted.flow)) }
            } }
            label { "State" select name="state" {
                (option("", "any", &wanted.state))
                @for state in RunState::ALL { (option(state.as_str(), state.as_str(), &wanted.state)) }
            } }
            label { "Time" select name="span" { @for (span, text, _) in SPANS { (option(span, text, &wanted.span)) } } }
            label { "Attempt" input name="attempt" value=(wanted.attempt) placeholder="any" autocomplete="off"; }
            @if visitor.sees_numbers() { label { "Member's number" input name="number" value=(wanted.number) placeholder="any" autocomplete="off"; } }
            button { "Show" }
        }
    }
}

fn interventions(visitor: &Visitor, wanted: &Wanted) -> Markup {
    let hidden = html! { (csrf(visitor)) @for (name, value) in wanted.pairs() { input type="hidden" name=(name) value=(value); } };
    html! {
        div.actions {
            form method="post" action="/deliveries/retry" data-confirm="Have all runs that match, and are over without being delivered, done again?" {
                (hidden) button { "Retry all that match" }
            }
            form method="post" action="/deliveries/cancel" data-confirm="Cancel all open runs that match?" {
                (hidden) button.quiet { "Cancel all that match" }
            }
        }
    }
}

/// Runs, a row each.
pub(super) fn table(runs: &[Delivery], with_queue: bool) -> Markup {
    if runs.is_empty() {
        return html! { p.empty { "No runs." } };
    }
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "Run" } th scope="col" { "State" } th scope="col" { "Event" }
                @if with_queue { th scope="col" { "Queue" } }
                th scope="col" { "Flow" } th scope="col" { "Committed" } th.n scope="col" { "Tries" } th scope="col" { "Error" }
            } }
            tbody {
                @for run in runs {
                    @let id = run.id.to_string();
                    tr data-key=(id) {
                        th scope="row" { a.code href=(format!("/deliveries/{id}")) { (id[..8]) } }
                        td { (show::state(run.state)) }
                        td { (run.event) }
                        @if with_queue { td { (run.queue) } }
                        td { (run.flow) }
                        td { (show::date(run.created_at.0)) }
                        td.n { (run.tries) }
                        td.error { (run.error.as_deref().unwrap_or_default()) }
                    }
                }
            }
        } }
    }
}

pub(super) async fn retry(State(app): State<App>, visitor: Visitor, fields: Fields) -> Result<Redirect, Problem> {
    let retry = Intervention::Retry { with: Definitions::Own, expired: fields.has("expired") };
    intervene(&app, &visitor, &fields, "retried", retry).await
}

pub(super) async fn cancel(State(app): State<App>, visitor: Visitor, fields: Fields) -> Result<Redirect, Problem> {
    intervene(&app, &visitor, &fields, "cancelled", Intervention::Cancel).await
}

async fn intervene(
    app: &App,
    visitor: &Visitor,
    fields: &Fields,
    action: &str,
    intervention: Intervention,
) -> Result<Redirect, Problem> {
    let wanted = Wanted::read(fields);
    if !wanted.says_something() {
        return Err(Problem::plain(StatusCode::UNPROCESSABLE_ENTITY, "choose first which runs are meant"));
    }
    let (mut filter, run, pen) = (wanted.filter()?, wanted.run()?, app.pages.changes.open()?);
    let one = run.clone();
    let changes = app.deliveries(move |mut log| {
        if let Some(run) = run {
            filter.runs = vec![log.find(&run)?];
        }
        log.intervene(intervention, &intervention.aim(filter), Timestamp::now())
    });
    let changes = changes.await?;
    let changed = changes.iter().filter(|change| matches!(change.effect, Effect::Became(_))).count();
    let late = changes.iter().filter(|change| change.effect == Effect::TooLate).count();
    let meant: Vec<String> = wanted
        .pairs()
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    pen.note(visitor, action, &meant.join(", "), &format!("{changed} runs"));
    let done = match (changed, late) {
        (0, 0) => "Nothing is changed: in their states there is nothing to be done.".to_owned(),
        (0, _) => format!("Nothing is changed: the time of {late} is over."),
        (1, _) => format!("1 run is {action}."),
        (_, _) => format!("{changed} runs are {action}."),
    };
    let address = match one {
        Some(run) => notice::with(visitor, &format!("/deliveries/{run}"), &[], &done),
        None => notice::with(visitor, "/deliveries", &wanted.pairs(), &done),
    };
    Ok(Redirect::to(&address))
}
