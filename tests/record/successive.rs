//! `replay a b`: one node's successive connections.

use std::path::{Path, PathBuf};

use serde_json::Value::Null;
use serde_json::json;

use crate::place::Replayed;

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(format!("{name}.plain.esl.zst"))
}

fn leavings(names: [&str; 2]) -> Vec<serde_json::Value> {
    let [first, second] = names.map(recording);
    let replayed = Replayed::of(&[&first, &second], None);
    assert!(replayed.output.status.success(), "{}", replayed.errors());
    replayed.moments().into_iter().filter(|moment| moment["event"] == "leaving").collect()
}

#[test]
fn a_crash_and_restart_lose_the_attempts_that_were_open() {
    let leavings = leavings(["15d_kill9_and_restart", "15d_kill9_and_restart_after"]);
    let told: Vec<_> = leavings.iter().map(|told| (&told["cc_result"], &told["cc_cancel_reason"])).collect();
    // One talked and one waited when FreeSWITCH was killed; the third called the new one.
    assert_eq!(
        told,
        [(&json!("success"), &json!("lost")), (&json!("cancel"), &json!("lost")), (&json!("success"), &Null)]
    );
}

#[test]
fn a_call_that_outlives_the_connection_ends_once_with_its_real_cause() {
    let leavings = leavings(["15g_reload_event_socket", "15g_reload_event_socket_after"]);
    assert_eq!(leavings.len(), 1);
    assert_eq!(leavings[0]["synthetic"], false);
    assert_eq!(leavings[0]["call_cause"], "NORMAL_CLEARING");
    assert_eq!(leavings[0]["cc_result"], "success");
}
