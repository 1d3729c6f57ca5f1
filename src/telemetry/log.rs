//! Log lines, on standard error.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer, debug_fn};
use tracing_subscriber::fmt::{FormatFields, SubscriberBuilder};

use crate::printable::{EscapingJson, Spelling};

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
    let is_terminal = std::io::stderr().is_terminal();
    // A second call, as in tests, changes nothing.
    let _ = match format {
        LogFormat::Json => {
            let lines = json_lines().with_env_filter(filter);
            lines.with_writer(|| EscapingJson(std::io::stderr())).try_init()
        }
        LogFormat::Text => {
            let lines = text_lines().with_ansi(is_terminal).with_env_filter(filter).with_writer(std::io::stderr);
            if is_journal() { lines.without_time().try_init() } else { lines.try_init() }
        }
    };
}

/// Lines for programs.
fn json_lines() -> SubscriberBuilder<JsonFields, Format<Json>> {
    tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_ansi(false)
}

/// Lines for people.
fn text_lines() -> SubscriberBuilder<impl for<'w> FormatFields<'w> + 'static> {
    tracing_subscriber::fmt().with_target(false).fmt_fields(debug_fn(write_field).delimited(" "))
}

/// Writes the message, or a field with its name. Both may hold a call's data, which stays on the line and does not reach
/// a terminal as anything but text, whatever the event's author has thought of.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => write!(Spelling(writer), "{value:?}"),
        name if writer.has_ansi_escapes() => {
            write!(writer, "{NAME}{name}{NAME:#}{EQUALS}={EQUALS:#}")?;
            write!(Spelling(writer), "{value:?}")
        }
        name => write!(Spelling(writer), "{name}={value:?}"),
    }
}

/// How a terminal shows fields' names.
const NAME: anstyle::Style = anstyle::Style::new().italic();
const EQUALS: anstyle::Style = anstyle::Style::new().dimmed();

/// Whether standard error goes to systemd's journal, which has the time of every line already: `JOURNAL_STREAM` names the
/// journal's device and inode, and a process further down may have redirected its standard error.
fn is_journal() -> bool {
    let journal = std::env::var("JOURNAL_STREAM");
    let here = rustix::fs::fstat(std::io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    matches!((journal, here), (Ok(journal), Ok(here)) if journal == here)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::printable::steers;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of what is logged.
    fn logged(ansi: bool, work: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = text_lines().with_ansi(ansi).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, work);
        String::from_utf8(page.0.lock().expect("nobody panics with it").clone()).expect("UTF-8")
    }

    #[test]
    fn call_data_neither_forges_a_line_nor_steers_a_terminal() {
        let name = "x\r\n2026-01-01T00:00:00Z ERROR forged \u{1b}[31m\0\u{9b}2J\u{85}\u{2028}\u{202e}gnp\u{2066}\u{feff}\u{7f}\t Zoë 日本";
        let failed = io::Error::other(name);
        let text = logged(false, || {
            let span = tracing::info_span!("call", agent = %name, text = name);
            let _within = span.enter();
            tracing::info!(agent = %name, text = name, debug = ?name, error = %failed, "{name} has come");
            tracing::info!(error = &failed as &dyn std::error::Error, message = name);
        });
        assert_eq!(text.matches('\n').count(), 2, "{text}");
        for line in text.lines() {
            assert!(!line.contains(steers), "{line:?}");
            assert!(line.contains("Zoë 日本") && line.contains("\\r\\n2026"), "{line}");
        }
        let colourful = logged(true, || tracing::info!(agent = %name, "{name} has come"));
        assert!(!colourful.contains("\u{1b}[31m") && colourful.matches('\n').count() == 1, "{colourful:?}");
    }

    #[test]
    fn a_line_of_json_neither_forges_nor_steers() {
        let name = "x\r\n{\"level\":\"ERROR\"} \u{1b}[31m\u{9b}2J\u{85}\u{2028}\u{202e}gnp\u{7f}\u{e0001} Zoë";
        let page = Page::default();
        let writer = page.clone();
        let subscriber = json_lines().with_writer(move || EscapingJson(writer.clone())).finish();
        tracing::subscriber::with_default(subscriber, || {
            let _within = tracing::info_span!("call", agent = %name).entered();
            tracing::info!(agent = name, "{name} has come");
        });
        let text = String::from_utf8(page.0.lock().expect("nobody panics with it").clone()).expect("UTF-8");
        let line = text.strip_suffix('\n').expect("a line");
        assert!(!line.contains(steers), "{line:?}");
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((&line["agent"], &line["message"]), (&name.into(), &format!("{name} has come").into()));
    }

    #[test]
    fn a_line_reads_as_ever() {
        let text = logged(false, || tracing::warn!(hook = "a/b", count = 3, reason = %"no \"x\"", "has failed"));
        assert!(text.ends_with(" WARN has failed hook=\"a/b\" count=3 reason=no \"x\"\n"), "{text}");
    }
}
