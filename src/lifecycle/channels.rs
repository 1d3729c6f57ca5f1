//! The channels that live on a node, as far as a queue's story may need them.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::anomaly::{Anomalies, Anomaly};
use super::subscriber::{self, Named};
use crate::freeswitch::channel::{ChannelData, Direction};
use crate::freeswitch::header as h;
use crate::id::{AttemptHash, ChannelUuid};

/// The most channels that are kept. FreeSWITCH itself is run with some thousands; a channel takes about 200 bytes.
const CHANNELS_LIMIT: usize = 200_000;

/// A live channel.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// Who made it.
    pub direction: Option<Direction>,
    /// The number called, as it was before any transfer.
    pub destination: Option<Box<str>>,
    /// The name of the person who was called on it.
    pub called_name: Option<Box<str>>,
    /// The person at its far end: who was called, or who called.
    pub person: Option<Box<str>>,
    /// The attempt whose agent is called on it.
    pub serves: Option<AttemptHash>,
    /// The number of the latest attempt of its member.
    pub latest_attempt_id: Option<u64>,
    /// When its member was last connected with an agent, in a stay that is over.
    pub bridged_at: Option<Timestamp>,
    /// The connection in which something was last heard of it.
    connection: u64,
}

/// The live channels by UUID.
#[derive(Debug, Default)]
pub struct Channels {
    live: HashMap<ChannelUuid, Channel>,
    connection: u64,
}

impl Channels {
    /// Keeps a channel that was just made.
    pub fn create(&mut self, uuid: &str, data: ChannelData<'_>, anomalies: &mut Anomalies) {
        let destination: Option<Box<str>> = subscriber::called(data).map(Into::into);
        let caller = || data.header(h::CALLER_ID_NUMBER).map(Into::into);
        let person = if data.is_inbound() { caller() } else { destination.clone() };
        let is_called = data.direction() == Some(Direction::Outbound);
        let number = destination.as_deref().filter(|_| is_called);
        let called_name = number.and_then(|number| subscriber::name_of(number, Some(data), &Named::default()));
        if let Some(channel) = self.entry(uuid, anomalies) {
            channel.direction = data.direction();
            channel.destination = destination;
            channel.called_name = called_name.map(Into::into);
            channel.person = person;
        }
    }

    /// Keeps the channel of a member whose creation was not heard.
    pub fn recognize(&mut self, uuid: &str, data: ChannelData<'_>, anomalies: &mut Anomalies) {
        if self.live.get(uuid).is_none_or(|channel| channel.direction.is_none()) && data.is_member_leg() {
            self.create(uuid, data, anomalies);
        }
    }

    /// The channel.
    pub fn get(&self, uuid: &str) -> Option<&Channel> {
        self.live.get(uuid)
    }

    /// The channel, kept from now on if it was not.
    pub fn entry(&mut self, uuid: &str, anomalies: &mut Anomalies) -> Option<&mut Channel> {
        if !self.live.contains_key(uuid) {
            if self.live.len() >= CHANNELS_LIMIT {
                anomalies.count(Anomaly::TooManyChannels);
                return None;
            }
            self.live.insert(uuid.into(), Channel::default());
        }
        let channel = self.live.get_mut(uuid)?;
        channel.connection = self.connection;
        Some(channel)
    }

    /// A stay is over in which the channel had been connected with an agent.
    pub fn note_bridge(&mut self, uuid: &ChannelUuid, at: Timestamp) {
        if let Some(channel) = self.live.get_mut(uuid) {
            channel.bridged_at = Some(at);
        }
    }

    /// The clock was set: moves the times that are kept.
    pub fn follow_clock(&mut self, moved: impl Fn(Timestamp) -> Timestamp) {
        for channel in self.live.values_mut() {
            channel.bridged_at = channel.bridged_at.map(&moved);
        }
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Forgets a channel that has ended.
    pub fn end(&mut self, uuid: &str) {
        self.live.remove(uuid);
    }

    /// Another connection begins, or events were dropped: the ends of older channels may have been missed.
    pub fn begin_connection(&mut self) {
        self.connection += 1;
    }

    /// The channels of which everything was heard in this connection, from their creation or since a survey.
    pub fn heard(&self) -> BTreeSet<ChannelUuid> {
        let heard = self.live.iter().filter(|(_, channel)| channel.connection == self.connection);
        heard.map(|(uuid, _)| uuid.clone()).collect()
    }

    /// Forgets the channels of which nothing was heard in this connection and that `lives` does not name. Those of them on
    /// which an agent was called are told, with the attempt.
    pub fn prune(&mut self, lives: impl Fn(&ChannelUuid) -> bool) -> Vec<(ChannelUuid, AttemptHash)> {
        let connection = self.connection;
        let gone = self.live.extract_if(|uuid, channel| channel.connection != connection && !lives(uuid));
        gone.filter_map(|(uuid, channel)| Some((uuid, channel.serves?))).collect()
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.live.clear();
    }
}
