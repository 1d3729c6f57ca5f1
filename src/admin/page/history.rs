//! `GET /changes`: who changed what.

use axum::extract::State;
use maud::{Markup, html};

use super::layout::{self, Section};
use super::show;
use super::visitor::Visitor;
use crate::admin::app::App;
use crate::admin::problem::Problem;

pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Markup, Problem> {
    let unreadable =
        |error| Problem::unavailable(format!("{} can't be read: {error}", app.pages.changes.path().display()));
    let changes = app.pages.changes.latest().map_err(unreadable)?;
    let content = html! {
        h1 { "Changes" }
        @if changes.is_empty() { p.empty { "Nobody has changed anything from here." } } @else {
            div.scroll { table {
                thead { tr { th scope="col" { "Time" } th scope="col" { "Who" } th scope="col" { "Did" } th scope="col" { "To" } th scope="col" { "More" } } }
                tbody { @for change in &changes {
                    tr { td { (show::date(change.at.0)) } td { (change.who) " " span.note { (change.role) } } td { (change.action) } td { (change.target) } td { (change.detail) } }
                } }
            } }
        }
    };
    Ok(layout::page(&visitor, Section::Changes, "Changes", false, content))
}
