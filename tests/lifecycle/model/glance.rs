//! What a survey finds: FreeSWITCH's answers, each of which is true of another instant.

use hookswitch::freeswitch::Snapshot;
use hookswitch::freeswitch::snapshot::MemberRow;
use hookswitch::lifecycle::memory;
use hookswitch::lifecycle::survey::OpenStays;
use hookswitch::moment::value::CcResult;
use serde_json::json;

use super::stage::Stage;
use super::truth::TrueStay;
use crate::story::micros;

/// When the questions of a survey were answered, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    pub(crate) channels_at: i64,
    pub(crate) members_at: i64,
    pub(crate) dumps_at: i64,
    /// How long after a member's start mod_callcenter lists it.
    pub(crate) listed_after: i64,
}

impl Stage {
    /// What a survey finds that knows of these stays. As the daemon's, it asks for the channel data of members of whom not
    /// all is known.
    pub(crate) fn glance(&self, glance: Glance, known: &OpenStays) -> Snapshot {
        let members: Vec<_> =
            self.stays.iter().filter_map(|stay| row(stay, glance.members_at, glance.listed_after)).collect();
        let mut snapshot = Snapshot {
            core: Some("core-1".into()),
            taken_at: Some(micros(glance.dumps_at)),
            channels: self.story.living(glance.channels_at).map(|leg| self.story.uuid(leg).as_str().into()).collect(),
            ..Snapshot::default()
        };
        for row in &members {
            let (queue, member, session) = row.identity();
            let stay = memory::Stay { queue: queue.into(), member: member.into(), session: session.into() };
            if known.get(&stay).is_some_and(|known| known.is_bridged || !row.is_answered()) {
                continue;
            }
            let leg = self.story.living(glance.dumps_at).find(|leg| self.story.uuid(*leg) == session);
            let dump = leg.and_then(|leg| self.story.dump(leg, glance.dumps_at));
            snapshot.dumps.extend(dump.map(|dump| (session.into(), dump)));
        }
        Snapshot { members, ..snapshot }
    }
}

/// A member's row at that time. Who has left without an agent is kept on the list, without a channel.
fn row(truth: &TrueStay, at: i64, listed_after: i64) -> Option<MemberRow> {
    let TrueStay { stay, session, talk, struck_off_at, end, .. } = truth;
    let is_there = at < *struck_off_at;
    if at < stay.joined_at + listed_after || (!is_there && end.result == CcResult::Success) {
        return None;
    }
    let state = match talk {
        _ if !is_there => "Abandoned",
        Some(talk) if talk.began_at <= at => "Answered",
        _ => "Waiting",
    };
    let joined = (truth.first_joined_at.unwrap_or(stay.joined_at) / 1_000_000).to_string();
    let rejoined = truth.first_joined_at.map_or(0, |_| stay.joined_at / 1_000_000).to_string();
    let row = json!({
        "queue": stay.queue, "uuid": stay.member, "session_uuid": if is_there { session } else { "" },
        "state": state, "joined_epoch": joined, "rejoined_epoch": rejoined,
    });
    Some(serde_json::from_value(row).expect("a row"))
}
