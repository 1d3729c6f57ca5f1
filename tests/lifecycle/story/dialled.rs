//! Steps of stories without mod_callcenter: a dialer's legs, and callers and consumers in a fifo.

use super::Story;
use super::channel::{Channel, Leg};

/// The queues of such stories.
pub(crate) const SOURCES: &str = "[queues.\"*\"]\nprocessing = true\n\
    [queues.sales]\ntype = \"progressive\"\nsource = \"channel\"\n\
    [queues.callbacks]\ntype = \"preview\"\nsource = \"channel\"\n\
    [queues.survey]\ntype = \"outbound_ivr\"\nsource = \"channel\"\n\
    [queues.desk]\nsource = \"fifo\"\n";

impl Story {
    /// A story in queues without mod_callcenter.
    pub(crate) fn sources() -> Self {
        Self::with(SOURCES)
    }

    /// A dialer calls the member of an attempt.
    pub(crate) fn dial_member(&mut self, queue: &str, attempt: &str, variables: &[(&str, &str)]) -> Leg {
        self.dial_marked(queue, "member", attempt, "40733000001", variables)
    }

    /// A dialer calls an agent for an attempt.
    pub(crate) fn dial_agent(&mut self, queue: &str, attempt: &str, agent: &str) -> Leg {
        self.dial_marked(queue, "agent", attempt, "1000", &[("cc_agent", agent)])
    }

    fn dial_marked(
        &mut self,
        queue: &str,
        side: &str,
        attempt: &str,
        dialled: &str,
        variables: &[(&str, &str)],
    ) -> Leg {
        let marks = [("hookswitch_queue", queue), ("hookswitch_side", side), ("hookswitch_attempt", attempt)];
        self.dial_with(dialled, marks.iter().chain(variables))
    }

    /// FreeSWITCH calls somebody on a leg that has these variables from the beginning.
    pub(crate) fn dial_with<'v>(
        &mut self,
        dialled: &str,
        variables: impl IntoIterator<Item = &'v (&'v str, &'v str)>,
    ) -> Leg {
        let mut channel = Channel { caller: "40219990000".into(), dialled: dialled.into(), ..Channel::default() };
        for (name, value) in variables {
            channel.set(name, value);
        }
        self.channel(channel)
    }

    /// A leg rings.
    pub(crate) fn progress(&mut self, leg: Leg) {
        self.of_channel("CHANNEL_PROGRESS", leg);
    }

    /// A detector has judged who answered, and the dialplan tells so.
    pub(crate) fn judged(&mut self, leg: Leg, result: &str) {
        self.set(leg, "amd_result", result);
        self.custom("hookswitch::amd", leg, &[]);
    }

    /// mod_fifo tells of a caller or a consumer.
    pub(crate) fn fifo(&mut self, action: &str, leg: Leg, more: &[(&str, &str)]) {
        let headers: Vec<_> = [("FIFO-Name", "desk"), ("FIFO-Action", action)].iter().chain(more).copied().collect();
        self.custom("fifo::info", leg, &headers);
    }

    fn custom(&mut self, subclass: &str, leg: Leg, headers: &[(&str, &str)]) {
        let mut draft = self.draft("CUSTOM");
        draft.header("Event-Subclass", subclass);
        self.write(leg, &mut draft);
        for (name, value) in headers {
            draft.header(name, value);
        }
        self.send(subclass, draft);
    }
}
