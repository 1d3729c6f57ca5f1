//! The channels that live on a node, as far as a queue's story may need them.

use std::collections::HashMap;

use super::anomaly::{Anomalies, Anomaly};
use crate::freeswitch::channel::ChannelData;
use crate::freeswitch::header as h;
use crate::id::{AttemptHash, ChannelUuid};

/// The most channels that are kept. FreeSWITCH itself is run with some thousands; a channel takes about 200 bytes.
const CHANNELS_LIMIT: usize = 200_000;

/// A live channel.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// The number called, as it was before any transfer.
    pub destination: Option<Box<str>>,
    /// The person at its far end: who was called, or who called.
    pub person: Option<Box<str>>,
    /// The attempt whose agent is called on it.
    pub serves: Option<AttemptHash>,
    /// The number of the latest attempt of its member.
    pub latest_attempt_id: Option<u64>,
}

/// The live channels by UUID.
#[derive(Debug, Default)]
pub struct Channels(HashMap<ChannelUuid, Channel>);

impl Channels {
    /// Keeps a channel that was just made.
    pub fn create(&mut self, uuid: &str, data: ChannelData<'_>, anomalies: &mut Anomalies) {
        let number = |name| data.header(name).map(|text| text.into());
        let destination: Option<Box<str>> = number(h::CALLER_DESTINATION_NUMBER);
        let person = if data.is_inbound() { number(h::CALLER_ID_NUMBER) } else { destination.clone() };
        if let Some(channel) = self.entry(uuid, anomalies) {
            channel.destination = destination;
            channel.person = person;
        }
    }

    /// The channel.
    pub fn get(&self, uuid: &str) -> Option<&Channel> {
        self.0.get(uuid)
    }

    /// The channel, kept from now on if it was not.
    pub fn entry(&mut self, uuid: &str, anomalies: &mut Anomalies) -> Option<&mut Channel> {
        if !self.0.contains_key(uuid) {
            if self.0.len() >= CHANNELS_LIMIT {
                anomalies.count(Anomaly::TooManyChannels);
                return None;
            }
            self.0.insert(uuid.into(), Channel::default());
        }
        self.0.get_mut(uuid)
    }

    /// Forgets a channel that has ended.
    pub fn end(&mut self, uuid: &str) {
        self.0.remove(uuid);
    }

    /// Forgets what `lives` does not name.
    pub fn retain(&mut self, lives: impl Fn(&ChannelUuid) -> bool) {
        self.0.retain(|uuid, _| lives(uuid));
    }

    /// How many live.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
