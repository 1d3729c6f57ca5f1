//! `GET /attempts/{id}`: one attempt from its beginning: moments, fields, variables, runs.

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::layout::{self, Section};
use super::visitor::Visitor;
use super::{address, deliveries, live, show};
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::id::AttemptHash;
use crate::moment::value::{OfferSummary, Seconds};
use crate::outbox::Filter;
use crate::outbox::chronicle::Told;
use crate::outbox::filter::AttemptRef;

/// The most runs that are listed: an attempt has a dozen moments, and each a few hooks.
const RUNS: u32 = 200;

pub(super) async fn show(State(app): State<App>, Path(id): Path<String>, visitor: Visitor) -> Result<Markup, Problem> {
    let unknown = || Problem::not_found("nothing is known of this attempt: it never was, or it is kept no more");
    let id: AttemptHash = id.parse().map_err(|_| unknown())?;
    let filter = Filter { attempt: Some(AttemptRef::Hash(id)), ..Filter::default() };
    let read = app.deliveries(move |log| {
        let moments = log.moments_of(id)?;
        let last = moments.last().map(|last| log.payload_at(last.row)).transpose()?.flatten();
        Ok((moments, last, log.list(&filter, RUNS)?))
    });
    let (moments, last, runs) = read.await?;
    let first = &moments.first().ok_or_else(unknown)?.payload;
    let latest = &moments.last().ok_or_else(unknown)?.payload;
    let is_live = app.live.get(id).is_some();
    let queue = first.queue_name.as_ref().map_or("", |queue| queue.as_str());
    let content = html! {
        (layout::trail(&[("/queues", "Queues"), (&address::queue(queue, ""), queue), (&address::queue(queue, "live"), "Live")]))
        h1 { (live::member(&visitor, latest.member_name.as_deref(), latest.member_number.as_deref())) }
        div data-region="attempt" {
            p.lead {
                @if is_live { span.state.open { "in the queue" } " since " (show::date(first.timestamp.0)) }
                @else { span.state.quiet { "over" } " · joined " (show::date(first.timestamp.0)) }
                @if let Some(result) = &latest.cc_result { " · " strong { (show::word(result)) } }
            }
            h2 { "Timeline" }
            (timeline(&moments))
            @if let Some(offers) = latest.offers.as_ref().filter(|offers| !offers.is_empty()) { h2 { "Offers" } (offer_table(offers)) }
            h2 { "Runs " span.count { (runs.len()) } }
            (deliveries::table(&runs, false))
        }
        (fields(&visitor, last.as_deref().map(|payload| payload.get())))
    };
    Ok(layout::page(&visitor, Section::Live, "Attempt", is_live, content))
}

fn timeline(moments: &[Told]) -> Markup {
    let began = moments.first().map(|first| first.payload.timestamp.0);
    html! {
        ol.timeline {
            @for Told { payload, .. } in moments {
                li.(payload.event.as_str()) data-key=(payload.id) {
                    span.offset { "+" (show::span(began.map_or(0.0, |began| Seconds::between(began, payload.timestamp.0).0))) }
                    span.event.(payload.event.as_str()) { (payload.event) }
                    span.what { (live::what(payload)) }
                    (show::time(payload.timestamp.0))
                }
            }
        }
    }
}

fn offer_table(offers: &[OfferSummary]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th scope="col" { "Agent" } th scope="col" { "Outcome" } th.n scope="col" { "Rang" } } }
            tbody { @for offer in offers { tr { th scope="row" { (offer.agent) } td { (show::word(&offer.outcome)) } td.n { (show::span(offer.ring_sec.0)) } } } }
        } }
    }
}

/// All fields of the latest payload.
pub(super) fn fields(visitor: &Visitor, payload: Option<&str>) -> Markup {
    let Some(payload) = payload else { return html! {} };
    html! {
        h2 { "Fields" }
        @if visitor.sees_numbers() {
            details { summary { "All that the latest moment tells, variables too" } pre tabindex="0" { code { (show::json(payload)) } } }
        } @else {
            p.empty { "Your role does not show what may hold numbers." }
        }
    }
}
