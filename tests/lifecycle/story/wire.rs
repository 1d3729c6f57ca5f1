//! The bytes of an event.

use bytes::Bytes;
use hookswitch::esl::Event;

/// An event that is being written.
pub(super) struct Draft(String);

impl Draft {
    /// An event of that name, the `sequence`th of its process, that happens at `at` (microseconds).
    pub(super) fn new(name: &str, core: &str, sequence: u64, at: i64) -> Self {
        let mut draft = Self(String::new());
        draft.header("Event-Name", name);
        draft.header("Core-UUID", core);
        draft.header("Event-Date-Timestamp", at);
        draft.header("Event-Sequence", sequence);
        draft
    }

    /// Adds a header.
    pub(super) fn header(&mut self, name: &str, value: impl ToString) {
        let value = value.to_string();
        let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
        self.0.push_str(&format!("{name}: {encoded}\n"));
    }

    pub(super) fn event(mut self) -> Event {
        self.0.push('\n');
        Event::from_plain(Bytes::from(self.0))
    }
}

/// The event under another number.
pub(super) fn numbered(event: &Event, sequence: u64) -> Event {
    let mut draft = Draft(String::new());
    for (name, value) in event.headers() {
        match &*name {
            "Event-Sequence" => draft.header(&name, sequence),
            _ => draft.header(&name, value),
        }
    }
    draft.event()
}
