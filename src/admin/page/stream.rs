//! `GET /stream`: word that something has changed, as server-sent events. What has, a page finds by being loaded again; so
//! there is one way in which it is rendered, and nothing to keep for whoever listens.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, interval, timeout};
use tokio_util::io::ReaderStream;

use crate::admin::app::App;
use crate::moment::EventName;

/// How often is looked, and told at most: nobody reads faster.
const EVERY: Duration = Duration::from_secs(1);

/// How many looks without a change are passed over before something is sent all the same, so that proxies keep the
/// connection and a browser that has gone is noticed.
const QUIET: u32 = 15;

/// How long one lasts before the page asks for another: that nobody reads is not seen before the buffers on the way are full,
/// which so few words never fill.
const LASTS: Duration = Duration::from_mins(1);

/// Room for some words; whoever does not read them is not told more.
const BUFFER: usize = 1_024;

pub(super) async fn follow(State(app): State<App>) -> impl IntoResponse {
    let (ours, theirs) = duplex(BUFFER);
    tokio::spawn(async move {
        let end = app.pages.end.clone();
        // An error is that nobody listens any more.
        let _ = end.run_until_cancelled(timeout(LASTS * 2, tell(app, ours))).await;
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(ReaderStream::new(theirs)))
}

async fn tell(app: App, mut out: DuplexStream) -> std::io::Result<()> {
    let (mut ticks, mut quiet) = (interval(EVERY), 0);
    let (mut last, over) = (signs(&app), Instant::now() + LASTS);
    out.write_all(b"retry: 2000\n\n").await?;
    while Instant::now() < over {
        ticks.tick().await;
        let now = signs(&app);
        quiet = if now == last && app.pages.day.is_whole() { quiet + 1 } else { 0 };
        if quiet == 0 {
            // What is read once here, none of those who are told now has to wait for. If it can't be, they will say so.
            let _ = app.pages.day.read(&app).await;
            out.write_all(b"event: changed\ndata: 1\n\n").await?;
        } else if quiet >= QUIET {
            quiet = 0;
            out.write_all(b":\n\n").await?;
        }
        last = now;
    }
    out.write_all(b"event: over\ndata: 1\n\n").await
}

/// What changes with anything that a page shows.
fn signs(app: &App) -> (u64, u64, usize, usize, usize) {
    let figures = app.outbox.figures();
    let moments = EventName::ALL.into_iter().map(|event| figures.moments(event)).sum();
    let ready = app.nodes.list().values().filter(|link| link.state.borrow().trouble().is_none()).count();
    let config = std::sync::Arc::as_ptr(&app.config()).addr();
    let ended = [&figures.delivered, &figures.failed, &figures.expired, &figures.cancelled];
    let ended: u64 = ended.into_iter().map(|count| count.load(Ordering::Relaxed)).sum();
    (moments, figures.commits.read().count + ended, app.live.len(), ready, config)
}
