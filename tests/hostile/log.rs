//! The log, as the daemon writes it: for people and as JSON.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

/// What was logged, in both forms.
pub(crate) struct Log {
    text: Page,
    json: Page,
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins to keep what is logged.
    pub(crate) fn begin() -> Self {
        let log = Self { text: Page::default(), json: Page::default() };
        let (text, json) = (log.text.clone(), log.json.clone());
        let only_flows = || tracing_subscriber::filter::Targets::new().with_target("flow", tracing::Level::TRACE);
        let text =
            tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(move || text.clone());
        let json = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || json.clone());
        let both =
            tracing_subscriber::registry().with(text.with_filter(only_flows())).with(json.with_filter(only_flows()));
        tracing::subscriber::set_global_default(both).expect("the only one");
        log
    }

    /// Each of so many callers has one line, and there is no other.
    pub(crate) fn check(&self, callers: usize) {
        let (text, json) = (self.text.read(), self.json.read());
        assert_eq!((text.matches('\n').count(), json.matches('\n').count()), (callers, callers));
        for line in text.lines() {
            assert!(line.starts_with("20") && line.contains(" INFO ") && line.contains("caller "), "{line}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        for line in json.lines() {
            let line: Json = serde_json::from_str(line).expect("JSON");
            assert_eq!((&line["level"], &line["target"]), (&"INFO".into(), &"flow".into()));
            let message = line["message"].as_str().expect("a text");
            assert!(message.starts_with("caller ") && !message.contains(char::is_control), "{message:?}");
        }
    }
}

impl Page {
    fn read(&self) -> String {
        String::from_utf8(self.0.lock().expect("nobody panics with it").clone()).expect("UTF-8")
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
