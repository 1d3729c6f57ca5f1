//! What a page says of itself: its route and its guard are made from this alone.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::{
    agents, asset, attempt, deliveries, delivery, flows, history, hook_form, hooks, live, nodes, queue, queues,
    sign_in, stream, trial,
};
use crate::admin::app::App;
use crate::admin::role::Role;

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody who can connect: what is needed to sign in.
    Public,
    /// Whoever is signed in with a role that permits this, where there is somebody to sign in.
    Needs(Role),
}

/// How a page is entered from another site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// By any link: it costs nothing.
    Anyhow,
    /// By a link without a query, which would have something looked for; any other is confirmed.
    Plain,
    /// By a link that is confirmed.
    Confirmed,
    /// By none.
    Refused,
}

/// A page, or something that is done from one.
#[derive(Debug)]
pub struct Page {
    /// GET for what is seen, POST for what is done.
    pub method: Method,
    /// Its path; names in braces stand for anything without a slash.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    /// How it is entered from another site: unless it says so itself, not without being asked.
    pub entry: Entry,
    handler: MethodRouter<App>,
}

impl Page {
    fn new<T: 'static, H: Handler<T, App>>(method: Method, path: &'static str, access: Access, handler: H) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("one of HTTP's own methods");
        Self { method, path, access, entry: Entry::Confirmed, handler: on(filter, handler) }
    }

    fn see<T: 'static, H: Handler<T, App>>(path: &'static str, handler: H) -> Self {
        Self { entry: Entry::Plain, ..Self::new(Method::GET, path, Access::Needs(Role::Read), handler) }
    }

    /// What the script asks for.
    fn script<T: 'static, H: Handler<T, App>>(path: &'static str, handler: H) -> Self {
        Self { entry: Entry::Refused, ..Self::see(path, handler) }
    }

    fn see_as<T: 'static, H: Handler<T, App>>(role: Role, path: &'static str, handler: H) -> Self {
        Self::new(Method::GET, path, Access::Needs(role), handler)
    }

    fn act<T: 'static, H: Handler<T, App>>(role: Role, path: &'static str, handler: H) -> Self {
        Self::new(Method::POST, path, Access::Needs(role), handler)
    }

    fn public<T: 'static, H: Handler<T, App>>(method: Method, path: &'static str, handler: H) -> Self {
        Self { entry: Entry::Anyhow, ..Self::new(method, path, Access::Public, handler) }
    }

    /// What answers.
    pub(in crate::admin) fn into_handler(self) -> MethodRouter<App> {
        self.handler
    }
}

/// Every page.
pub fn all() -> Vec<Page> {
    vec![
        Page::public(Method::GET, "/assets/{name}", asset::serve),
        Page::public(Method::GET, "/sign-in", sign_in::show),
        Page::public(Method::POST, "/sign-in", sign_in::sign_in),
        Page::act(Role::Read, "/sign-out", sign_in::sign_out),
        Page::see("/", queues::home),
        Page::see("/queues", queues::show),
        Page::see("/queues/{queue}", queue::overview),
        Page::see("/queues/{queue}/live", queue::live),
        Page::see("/queues/{queue}/deliveries", queue::deliveries),
        Page::see("/queues/{queue}/hooks", hooks::show),
        Page::see_as(Role::Admin, "/queues/{queue}/hooks/new", hook_form::add),
        Page::see_as(Role::Admin, "/queues/{queue}/hooks/edit", hook_form::edit),
        Page::act(Role::Admin, "/queues/{queue}/hooks/condition", hook_form::check_condition),
        Page::act(Role::Admin, "/queues/{queue}/hooks", hook_form::save),
        Page::act(Role::Admin, "/queues/{queue}/hooks/enable", hooks::enable),
        Page::act(Role::Admin, "/queues/{queue}/hooks/delete", hooks::delete),
        Page::see_as(Role::Operate, "/queues/{queue}/hooks/test", trial::show),
        Page::act(Role::Operate, "/queues/{queue}/hooks/test", trial::fire),
        Page::see("/live", live::show),
        Page::see("/attempts/{id}", attempt::show),
        Page::see("/deliveries", deliveries::show),
        Page::act(Role::Operate, "/deliveries/retry", deliveries::retry),
        Page::act(Role::Operate, "/deliveries/cancel", deliveries::cancel),
        Page::see("/deliveries/{id}", delivery::show),
        Page::see("/flows", flows::show),
        Page::see("/flows/{flow}", flows::show_one),
        Page::see("/agents", agents::show),
        Page::see("/nodes", nodes::show),
        Page::see_as(Role::Operate, "/changes", history::show),
        Page::script("/stream", stream::follow),
    ]
}
