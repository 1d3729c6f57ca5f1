//! The page: what a supervisor and an operator look at all day, and where hooks are configured.
//!
//! ```text
//! request ──> guard ───────────────────────────> a page's handler ──> layout ──> HTML
//!             Host, origin, session, role, CSRF   one file for each     head, navigation
//! ```
//!
//! All of it is rendered here (maud, which escapes whatever is inserted) and works without a script; the one that there is
//! makes times local and takes over what has changed. A page is a table's row in [`page::all`]: method, path, role, handler;
//! its guard is made from that, so none can be without.
//!
//! - [`page`]: the declaration of a page; [`guard`]: who sees it; [`visitor`]: who looks; [`session`]: signing in lasts;
//!   [`tries`]: guessing does not.
//! - `revision`: changing the configuration; `notice`: what was done.
//! - [`layout`]: what all have around them; [`asset`]: stylesheet and script; [`address`]: where things are; [`show`]: how
//!   times, spans, numbers and states are written; [`chart`]: drawings.
//! - [`day`]: what today adds up to; [`staff`]: agents, as FreeSWITCH has them; [`changes`]: who changed what.
//! - `queues`, `queue`, `hooks`, `hook_form`, `trial`, `live`, `attempt`, `deliveries`, `delivery`, `flows`, `agents`, `nodes`,
//!   `history`, `sign_in`: the pages; [`stream`]: word that something has changed.

pub mod address;
mod agents;
pub mod asset;
mod attempt;
pub mod changes;
pub mod chart;
pub mod day;
mod deliveries;
mod delivery;
pub mod fields;
mod flows;
pub mod guard;
mod history;
mod hook_form;
mod hooks;
pub mod layout;
mod live;
mod nodes;
mod notice;
#[expect(clippy::module_inception, reason = "the declaration bears the module's name")]
pub mod page;
mod queue;
mod queues;
mod revision;
pub mod session;
pub mod show;
mod sign_in;
pub mod staff;
pub mod stream;
mod trial;
pub mod tries;
pub mod visitor;

use std::path::Path;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use changes::ChangeLog;
pub use day::Day;
pub use page::Page;
pub use session::Sessions;
pub use staff::Staff;
pub use tries::Tries;
pub use visitor::Visitor;

/// What the pages keep from one request to the next.
#[derive(Debug)]
pub struct Pages {
    /// Who is signed in.
    pub sessions: Sessions,
    /// Who tried to, in vain.
    pub tries: Tries,
    /// What today adds up to.
    pub day: Day,
    /// The agents.
    pub staff: Staff,
    /// Who changed what.
    pub changes: ChangeLog,
    /// One change of the configuration at a time.
    pub editing: Mutex<()>,
    /// Ends what lasts: the streams of changes.
    pub end: CancellationToken,
}

impl Pages {
    /// Nobody is signed in; changes are noted beside the outbox.
    pub fn new(outbox: &Path) -> Self {
        Self {
            sessions: Sessions::default(),
            tries: Tries::default(),
            day: Day::default(),
            staff: Staff::default(),
            changes: ChangeLog::beside(outbox),
            editing: Mutex::default(),
            end: CancellationToken::new(),
        }
    }
}
