//! What FreeSWITCH has at a point of a story.

use hookswitch::freeswitch::Snapshot;
use hookswitch::freeswitch::snapshot::MemberRow;
use serde_json::json;

use super::{Stay, Story};

/// A snapshot of the first node that shows these members waiting.
pub(crate) fn snapshot(story: &Story, stays: &[&Stay]) -> Snapshot {
    Snapshot {
        core: Some("core-1".into()),
        channels: stays.iter().map(|stay| story.uuid(stay.leg).as_str().into()).collect(),
        members: stays
            .iter()
            .map(|stay| {
                let row = json!({
                    "queue": stay.queue, "uuid": stay.member, "session_uuid": story.uuid(stay.leg), "state": "Waiting",
                });
                serde_json::from_value::<MemberRow>(row).expect("a row")
            })
            .collect(),
        ..Snapshot::default()
    }
}
