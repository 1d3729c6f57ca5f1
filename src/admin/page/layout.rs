//! What every page has around it.

use maud::{DOCTYPE, Markup, html};

use super::asset::{ICON, SCRIPT, STYLE};
use super::guard::CSRF;
use super::visitor::Visitor;
use crate::admin::problem::Problem;
use crate::admin::role::Role;

/// A place in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Queues and their hooks.
    Queues,
    /// Attempts as they move.
    Live,
    /// What became of hooks.
    Deliveries,
    /// What hooks start.
    Flows,
    /// Who takes the calls.
    Agents,
    /// The FreeSWITCH nodes.
    Nodes,
    /// Who changed what.
    Changes,
    /// None of them.
    Outside,
}

const SECTIONS: [(Section, &str, &str, Role); 7] = [
    (Section::Queues, "/queues", "Queues", Role::Read),
    (Section::Live, "/live", "Live", Role::Read),
    (Section::Deliveries, "/deliveries", "Deliveries", Role::Read),
    (Section::Flows, "/flows", "Flows", Role::Read),
    (Section::Agents, "/agents", "Agents", Role::Read),
    (Section::Nodes, "/nodes", "Nodes", Role::Read),
    (Section::Changes, "/changes", "Changes", Role::Operate),
];

/// A whole page. What is marked `data-region` in its content is kept up to date by the script, where `live` says so.
pub fn page(visitor: &Visitor, section: Section, title: &str, live: bool, content: Markup) -> Markup {
    document(title, Some(visitor), section, live, content)
}

/// A problem, as a page.
pub fn problem(visitor: Option<&Visitor>, problem: &Problem) -> Markup {
    let content = html! {
        h1 { (problem.title) }
        p.lead.problem { (problem.detail.as_deref().unwrap_or_default()) }
        p { a href="/" { "To the queues" } }
    };
    document(&problem.title, visitor, Section::Outside, false, content)
}

/// A link from another site, as a page that asks whether it is to be followed.
pub fn from_elsewhere(path: &str) -> Markup {
    let content = html! {
        h1 { "A link from another site" }
        p.lead.problem { "another site has led you to " code { (path) } ", which looks something up or prepares a change: nothing was done yet" }
        p { a.button.primary href=(path) { "Go on" } }
    };
    document("A link from another site", None, Section::Outside, false, content)
}

fn document(title: &str, visitor: Option<&Visitor>, section: Section, live: bool, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · hookswitch" }
                link rel="icon" href=(ICON.path()) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.path());
                script src=(SCRIPT.path()) {}
            }
            body data-live[live] data-now=[visitor.map(|visitor| visitor.now.to_string())] {
                a.skip href="#content" { "Skip to content" }
                header.top {
                    a.brand href="/" { "hookswitch" }
                    @if let Some(visitor) = visitor.filter(|visitor| visitor.may(Role::Read)) { (navigation(visitor, section)) }
                    div.tools {
                        span.link role="status" data-link hidden[!live] { "live" }
                        button.plain type="button" data-theme-switch aria-label="Switch between light and dark" { "◐" }
                        @if let Some(visitor) = visitor { (account(visitor)) }
                    }
                }
                main id="content" tabindex="-1" { (content) }
            }
        }
    }
}

fn navigation(visitor: &Visitor, section: Section) -> Markup {
    html! {
        nav aria-label="Main" {
            ul {
                @for (place, path, name, role) in SECTIONS {
                    @if visitor.may(role) {
                        li { a href=(path) aria-current=[(place == section).then_some("page")] { (name) } }
                    }
                }
            }
        }
    }
}

fn account(visitor: &Visitor) -> Markup {
    html! {
        @if let Some(name) = &visitor.name {
            span.who title=(format!("role: {}", visitor.role.as_str())) { (name) }
            form method="post" action="/sign-out" { (csrf(visitor)) button.plain { "Sign out" } }
        }
    }
}

/// The field that every form has which changes something.
pub fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(visitor.csrf); }
}

/// Where the page is, above its heading.
pub fn trail(steps: &[(&str, &str)]) -> Markup {
    html! {
        nav.trail aria-label="Where this is" {
            @for (i, (path, name)) in steps.iter().enumerate() {
                @if i > 0 { span aria-hidden="true" { "/" } }
                a href=(path) { (name) }
            }
        }
    }
}

/// A figure with what it counts.
pub fn figure(name: &str, value: Markup, note: Markup) -> Markup {
    html! { div.figure { dt { (name) } dd { (value) " " (note) } } }
}
