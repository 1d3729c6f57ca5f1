//! Until when a command runs.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};

/// Reads a span as people write it (`30s`, `2h 30m`), for arguments.
pub(super) fn parse_span(text: &str) -> Result<Duration, String> {
    let span: SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(span).map_err(|_| "a negative span".to_owned())
}

/// Waits until `span` has passed, or somebody interrupts (SIGINT, SIGTERM). None: until somebody interrupts.
pub(super) async fn interrupted_or_after(span: Option<Duration>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let passed = async {
        match span {
            Some(span) => tokio::time::sleep(span).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
        () = passed => Ok(()),
    }
}
