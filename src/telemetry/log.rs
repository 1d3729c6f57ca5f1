//! Log lines, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Begins logging as text at the level that `RUST_LOG` names, else at `level`.
pub fn begin(level: &str) {
    begin_as(LogFormat::Text, level);
}

/// Begins logging at the level that `RUST_LOG` names, else at `level`.
pub fn begin_as(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    // A second call, as in tests, changes nothing.
    let _ = match format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text if is_journal() => lines.without_time().try_init(),
        LogFormat::Text => lines.try_init(),
    };
}

/// Whether standard error goes to systemd's journal, which has the time of every line already: `JOURNAL_STREAM` names the
/// journal's device and inode, and a process further down may have redirected its standard error.
fn is_journal() -> bool {
    let journal = std::env::var("JOURNAL_STREAM");
    let here = rustix::fs::fstat(std::io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    matches!((journal, here), (Ok(journal), Ok(here)) if journal == here)
}
