//! `GET /nodes`: the FreeSWITCH nodes, and how well they are heard.

use std::sync::atomic::Ordering;

use axum::extract::State;
use maud::{Markup, html};

use super::layout::{self, Section};
use super::visitor::Visitor;
use super::{queues, show};
use crate::admin::app::App;

pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Markup {
    let attempts = app.live.list();
    let content = html! {
        h1 { "Nodes" }
        div data-region="nodes" {
            (queues::alarms(&app))
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Node" } th scope="col" { "Link" } th.n scope="col" { "Lag" } th.n scope="col" { "Attempts" }
                    th.n scope="col" { "Events" } th.n scope="col" { "Dropped" } th.n scope="col" { "Connections" }
                    th.n scope="col" { "Last survey" } th.n scope="col" { "Found gone" } th.n scope="col" { "Found new" }
                } }
                tbody { @for (name, link) in app.nodes.list() {
                    @let trouble = link.state.borrow().trouble();
                    @let tally = &link.tally;
                    @let dropped = tally.dropped.load(Ordering::Relaxed);
                    tr data-key=(name) {
                        th scope="row" { (name) }
                        td { @match trouble { None => span.state.good { "connected" }, Some(reason) => { span.state.bad { "down" } " " span.error { (reason) } } } }
                        td.n { @match tally.lag() { Some(lag) => { (lag.as_millis()) " ms" } None => (show::none()) } }
                        td.n { (attempts.iter().filter(|attempt| attempt.node == name).count()) }
                        td.n { (show::count(tally.events.load(Ordering::Relaxed))) }
                        td.n.late[dropped > 0] { (show::count(dropped)) }
                        td.n { (show::count(tally.connections.load(Ordering::Relaxed))) }
                        td.n { (tally.surveyed_at().map_or_else(show::none, show::time)) }
                        td.n { (show::count(tally.found_gone.load(Ordering::Relaxed))) }
                        td.n { (show::count(tally.found_new.load(Ordering::Relaxed))) }
                    }
                } }
            } }
        }
        p.note {
            "A survey asks FreeSWITCH what it has, after each connection and every few minutes. Attempts that had ended unheard it finds gone; those that had begun unheard it finds new."
        }
        h2 { "Receivers" }
        div data-region="receivers" { (receivers(&app)) }
    };
    layout::page(&visitor, Section::Nodes, "Nodes", true, content)
}

/// To whom something was sent since the start, and who does not answer.
fn receivers(app: &App) -> Markup {
    let receivers = app.client.receivers();
    html! {
        @if receivers.is_empty() { p.empty { "Nothing was sent yet." } } @else {
            div.scroll { table {
                thead { tr { th scope="col" { "Receiver" } th scope="col" { "State" } } }
                tbody { @for (receiver, left_alone) in &receivers {
                    tr data-key=(receiver) {
                        th scope="row" { (receiver) }
                        td { @if *left_alone {
                            span.state.bad { "left alone" } " " span.note { "It has not answered for a while. Its runs wait and lose no tries; one request tries now and then whether it is back." }
                        } @else { span.state.good { "answers" } } }
                    }
                } }
            } }
        }
    }
}
