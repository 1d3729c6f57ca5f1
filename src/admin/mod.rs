//! The HTTP interface: figures, health, what the daemon knows, signals for queues outside FreeSWITCH, and the page.
//!
//! ```text
//! TCP ──> server ──────────> router ─────> site ─────────> gate ────────────> endpoint ───────> App
//!         connections,       routes from   what another    Host, token,       one file for      what the daemon shares
//!         limits of time     endpoints     site has made   role, rate         each
//! ```
//!
//! - [`endpoint`]: the endpoints. What one says of itself (path, role, schemas) makes its route, its guard and its part of
//!   the description, so these can't disagree.
//! - [`page`]: the page, whose pages have a guard of their own; [`password`]: what people sign in with.
//! - [`app`]: what the endpoints see of the daemon.
//! - [`interface`]: all of it at work; [`server`]: connections, [`connections`]: which of them give way, `watched`: whether
//!   their clients send and read, [`tls`]: how they are encrypted; `site`, [`gate`], [`rate`]: who is let in; [`role`]: what for.
//! - [`body`]: reading a request; [`problem`]: saying what is wrong with it; [`answer`]: how much of answers is held.
//! - [`selection`]: which deliveries are to be done again or cancelled, and what was done.
//! - [`openapi`]: the description, `docs/openapi.json`.

pub mod answer;
pub mod app;
pub mod body;
pub mod connections;
pub mod endpoint;
pub mod gate;
pub mod interface;
pub mod openapi;
pub mod page;
pub mod password;
pub mod problem;
pub mod rate;
pub mod role;
mod router;
pub mod selection;
pub mod server;
mod site;
pub mod tls;
mod watched;

pub use app::App;
pub use interface::Interface;
pub use problem::Problem;
pub use role::Role;
pub use server::Server;
pub use tls::Tls;
