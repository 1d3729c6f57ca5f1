//! Which events a client wants.

use std::collections::BTreeSet;

use crate::simulator::event::{SimulatedEvent, WireFormat};

/// The event types that FreeSWITCH knows. Names that are not among them are passed by in silence.
const EVENT_NAMES: &[&str] = &[
    "CUSTOM",
    "CLONE",
    "CHANNEL_CREATE",
    "CHANNEL_DESTROY",
    "CHANNEL_STATE",
    "CHANNEL_CALLSTATE",
    "CHANNEL_ANSWER",
    "CHANNEL_HANGUP",
    "CHANNEL_HANGUP_COMPLETE",
    "CHANNEL_EXECUTE",
    "CHANNEL_EXECUTE_COMPLETE",
    "CHANNEL_HOLD",
    "CHANNEL_UNHOLD",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_PROGRESS",
    "CHANNEL_PROGRESS_MEDIA",
    "CHANNEL_OUTGOING",
    "CHANNEL_PARK",
    "CHANNEL_UNPARK",
    "CHANNEL_APPLICATION",
    "CHANNEL_ORIGINATE",
    "CHANNEL_UUID",
    "CHANNEL_DATA",
    "API",
    "LOG",
    "INBOUND_CHAN",
    "OUTBOUND_CHAN",
    "STARTUP",
    "SHUTDOWN",
    "PUBLISH",
    "UNPUBLISH",
    "TALK",
    "NOTALK",
    "SESSION_CRASH",
    "MODULE_LOAD",
    "MODULE_UNLOAD",
    "DTMF",
    "MESSAGE",
    "PRESENCE_IN",
    "PRESENCE_OUT",
    "PRESENCE_PROBE",
    "MESSAGE_WAITING",
    "ROSTER",
    "CODEC",
    "BACKGROUND_JOB",
    "DETECTED_SPEECH",
    "DETECTED_TONE",
    "PRIVATE_COMMAND",
    "HEARTBEAT",
    "TRAP",
    "ADD_SCHEDULE",
    "DEL_SCHEDULE",
    "EXE_SCHEDULE",
    "RE_SCHEDULE",
    "RELOADXML",
    "NOTIFY",
    "PHONE_FEATURE",
    "PHONE_FEATURE_SUBSCRIBE",
    "SEND_MESSAGE",
    "RECV_MESSAGE",
    "REQUEST_PARAMS",
    "COMMAND",
    "SESSION_HEARTBEAT",
    "CLIENT_DISCONNECTED",
    "SERVER_DISCONNECTED",
    "SEND_INFO",
    "RECV_INFO",
    "RECV_RTCP_MESSAGE",
    "SEND_RTCP_MESSAGE",
    "CALL_SECURE",
    "NAT",
    "RECORD_START",
    "RECORD_STOP",
    "PLAYBACK_START",
    "PLAYBACK_STOP",
    "CALL_UPDATE",
    "FAILURE",
    "SOCKET_DATA",
    "MEDIA_BUG_START",
    "MEDIA_BUG_STOP",
    "CONFERENCE_DATA_QUERY",
    "CONFERENCE_DATA",
    "CALL_SETUP_REQ",
    "CALL_SETUP_RESULT",
    "CALL_DETAIL",
    "DEVICE_STATE",
    "TEXT",
    "SHUTDOWN_REQUESTED",
    "ALL",
];

/// More subclasses than any FreeSWITCH has; what a client adds beyond is passed by.
const MAX_SUBCLASSES: usize = 1_000;

/// What one client has asked for so far: subscriptions add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) format: WireFormat,
    all: bool,
    names: BTreeSet<&'static str>,
    subclasses: BTreeSet<String>,
}

impl Subscription {
    /// Adds event names. Everything after `CUSTOM` is a subclass. Whether any name was known.
    pub(super) fn add(&mut self, format: Option<WireFormat>, words: &[&str]) -> bool {
        self.format = format.unwrap_or(self.format);
        let (names, subclasses) = split_at_custom(words);
        self.all |= names.contains(&"ALL");
        let room = MAX_SUBCLASSES.saturating_sub(self.subclasses.len());
        self.subclasses.extend(subclasses.iter().take(room).map(|name| (*name).to_owned()));
        self.names.extend(&names);
        !names.is_empty()
    }

    /// Takes event names away again. Whether any name was known.
    pub(super) fn remove(&mut self, words: &[&str]) -> bool {
        let (names, subclasses) = split_at_custom(words);
        if names.contains(&"ALL") {
            self.clear();
        } else if self.all {
            self.all = false;
            self.names.extend(EVENT_NAMES);
        }
        for name in names.iter().filter(|name| **name != "CUSTOM") {
            self.names.remove(name);
        }
        for name in subclasses {
            self.subclasses.remove(*name);
        }
        !names.is_empty()
    }

    /// Takes everything away. Whether there was anything.
    pub(super) fn clear(&mut self) -> bool {
        let was = std::mem::replace(self, Self { format: self.format, ..Self::default() });
        was.all || !was.names.is_empty()
    }

    /// Whether the client gets this event.
    pub(super) fn wants(&self, event: &SimulatedEvent) -> bool {
        match event.subclass() {
            _ if self.all => true,
            Some(subclass) => self.subclasses.contains(subclass),
            None => self.names.contains(event.name()),
        }
    }
}

/// The known names up to and with `CUSTOM`, and the words after it.
fn split_at_custom<'a, 'w>(words: &'a [&'w str]) -> (Vec<&'static str>, &'a [&'w str]) {
    let known = |word: &&str| EVENT_NAMES.iter().find(|name| name.eq_ignore_ascii_case(word)).copied();
    let custom = words.iter().position(|word| word.eq_ignore_ascii_case("CUSTOM"));
    let (names, subclasses) = words.split_at(custom.map_or(words.len(), |at| at + 1));
    (names.iter().filter_map(known).collect(), subclasses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &'static str, subclass: Option<&'static str>) -> SimulatedEvent {
        SimulatedEvent::new(name, subclass)
    }

    #[test]
    fn subscriptions_add_up_and_what_follows_custom_is_a_subclass() {
        let mut subscription = Subscription::default();
        assert!(subscription.add(Some(WireFormat::Plain), &["CHANNEL_CREATE", "NONSENSE"]));
        assert!(subscription.add(None, &["heartbeat", "CUSTOM", "callcenter::info", "CHANNEL_BRIDGE"]));
        assert!(subscription.wants(&event("CHANNEL_CREATE", None)));
        assert!(subscription.wants(&event("HEARTBEAT", None)));
        assert!(subscription.wants(&event("CUSTOM", Some("callcenter::info"))));
        assert!(!subscription.wants(&event("CHANNEL_BRIDGE", None)));
        assert!(!subscription.add(None, &["NONSENSE"]));
    }

    #[test]
    fn one_name_can_be_taken_out_of_all() {
        let mut subscription = Subscription::default();
        subscription.add(None, &["ALL"]);
        assert!(subscription.remove(&["HEARTBEAT"]));
        assert!(!subscription.wants(&event("HEARTBEAT", None)));
        assert!(subscription.wants(&event("CHANNEL_CREATE", None)));
        assert!(subscription.clear());
        assert!(!subscription.clear());
    }
}
