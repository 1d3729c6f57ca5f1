//! What flows do with calls and agents: the phones and FreeSWITCH itself say whether it was done.

use serde_json::{Value, json};

use super::{Scenario, carries, one_talks_one_waits, seconds};
use crate::stage::Stage;

/// What makes a phone log whole messages.
const MESSAGES: &[&str] = &["-trace_msg"];

pub(super) const LOOK_UP: Scenario = Scenario {
    also: |stories| {
        let of = |name: &str, value: &str| carries(stories, &["variables", name], json!(value));
        [of("crm_vip", "true"), of("cc_base_score", "600")].concat()
    },
    ..Scenario::new(
        "flow: the CRM says who calls",
        &[
            "lobby: joined, cancel/break_out to after_lobby",
            "support: joined, success by member | 1000: offering answered bridged processing",
        ],
        |stage| {
            stage.contact(json!({ "name": "Anna of ACME", "tier": "gold", "contact": "CUST-00042" }), seconds(0));
            stage.agent_who("agent", "1000", None, MESSAGES);
            stage.caller("4009", seconds(7));
            stage.until_over("caller");
            if !stage.heard("1000", &["INVITE ", "X-CRM-Contact: CUST-00042", "\"Anna of ACME\""]) {
                stage.remark("the agent's phone was not told who calls".into());
            }
        },
    )
};

pub(super) const LOOK_UP_FAILS: Scenario = Scenario {
    also: |stories| carries(stories, &["variables", "crm_vip"], Value::Null),
    ..Scenario::new(
        "flow: the CRM is too slow",
        &[
            "lobby: joined, cancel/break_out to after_lobby",
            "support: joined, success by member | 1000: offering answered bridged processing",
        ],
        |stage| {
            stage.contact(json!({ "name": "Anna of ACME", "tier": "gold" }), seconds(10));
            stage.agent_who("agent", "1000", None, MESSAGES);
            stage.caller("4009", seconds(9));
            stage.until_over("caller");
            let named = stage.heard("1000", &["INVITE ", "Anna"]) || stage.heard("1000", &["INVITE ", "X-CRM-Contact"]);
            if named || !stage.heard("1000", &["INVITE ", "Zoë Müller"]) {
                stage.remark("the agent's phone was told something else than the caller's own name".into());
            }
        },
    )
};

pub(super) const VARIABLE: Scenario = Scenario {
    also: |stories| carries(stories, &["variables", "crm_vip"], json!("true")),
    ..Scenario::new(
        "flow: a variable that the dialplan asks for",
        &[
            "frontdesk: joined, cancel/timeout",
            "sales: joined, success by member | 1000: offering answered bridged processing",
        ],
        |stage| {
            stage.wish("joined", json!({ "do": "vip", "vip": true }));
            stage.agent("1000");
            stage.caller("4008", seconds(7));
            stage.until_over("caller");
        },
    )
};

/// What a caller or a CRM says is on the call as it was said, and nothing that FreeSWITCH would run gets there.
pub(super) const SPELLING: Scenario =
    Scenario::new("flow: values that look like more", &["support: joined, abandoned/hangup by member"], |stage| {
        let text = r#"  O'Brien "x" \n\r\nX-Admin: 1 \' \\ ; | , ^^: {a=b} 'q' $5 ü "#;
        stage.wish("joined", json!({ "do": "spell", "text": text, "expanding": "${system(false)}" }));
        stage.caller("4000", seconds(3));
        let (note, channel) = (stage.until_noted(1), member(stage));
        let refused = note["refusal"].as_str().is_some_and(|refusal| refusal.contains("FreeSWITCH would expand"));
        if note["spelt"] != text || !refused {
            stage.remark(format!("told {note}"));
        }
        stage.until_said(&format!("uuid_getvar {channel} expanding"), "_undef_");
        stage.until_over("caller");
    });

pub(super) const TRANSFER: Scenario = Scenario::new(
    "flow: a waiting caller is transferred",
    &[
        "support: joined, cancel/break_out to 4006",
        "patient: joined, success by member | 1000: offering answered bridged processing",
    ],
    |stage| {
        stage.wish("joined", json!({ "do": "transfer", "to": "4006" }));
        stage.caller("4000", seconds(5));
        stage.until("leaving");
        stage.agent("1000");
        stage.until_over("caller");
    },
);

pub(super) const ANNOUNCEMENT: Scenario = Scenario::new(
    "flow: a waiting caller hears something",
    &["support: joined, abandoned/hangup by member"],
    |stage| {
        stage.wish("joined", json!({ "do": "announce", "tone": 1234 }));
        stage.caller("4000", seconds(4));
        let channel = member(stage);
        stage.until_event("PLAYBACK_START", &[&channel, "1234"]);
        stage.until_event("PLAYBACK_STOP", &[&channel, "1234", "Playback-Status: done"]);
        stage.until_over("caller");
    },
);

pub(super) const HANG_UP: Scenario = Scenario {
    also: |stories| carries(stories, &["call_cause"], json!("CALL_REJECTED")),
    ..Scenario::new("flow: a waiting caller is hung up", &["support: joined, cancel/killed by system"], |stage| {
        stage.wish("joined", json!({ "do": "hang_up" }));
        stage.patient_caller("4000");
        stage.until_over("caller");
    })
};

/// Who is on a break is not offered the call again, although it waits.
pub(super) const REST: Scenario = Scenario::new(
    "flow: an agent who misses a call gets a break",
    &["support: joined, abandoned/hangup by member | 1000: offering missed(no_answer 487)"],
    |stage| {
        stage.wish("missed", json!({ "do": "rest" }));
        stage.agent_who("agent_rings", "1000", None, &["-m", "9"]);
        stage.caller("4000", seconds(8));
        stage.until_said("callcenter_config agent get status 1000@default", "On Break");
        stage.until_said("callcenter_config agent get state 1000@default", "Idle");
        stage.until_over("caller");
        stage.api("callcenter_config agent set state 1000@default Waiting");
    },
);

pub(super) const QUESTIONS: Scenario = Scenario::new(
    "flow: FreeSWITCH is asked",
    &[
        "support: joined, success by member | 1000: offering answered bridged processing",
        "support: joined, abandoned/hangup by member",
    ],
    |stage| {
        stage.wish("joined", json!({ "do": "tell" }));
        one_talks_one_waits(stage, Some(seconds(10)));
        let note = stage.until_noted(2);
        let queue = &note["queue"];
        let waited_sec = queue["longest_wait_sec"].as_f64();
        let agents = stage.api("callcenter_config queue count agents support@default");
        let expected = json!({ "queue_name": "support@default", "waiting": 1, "longest_wait_sec": waited_sec,
            "agents_free": 0, "agents_busy": 1, "agents_away": agents.parse::<u64>().unwrap_or_default() - 1 });
        let sales = json!({ "queue_name": "sales@default", "waiting": 0, "longest_wait_sec": 0.0, "agents_free": 0,
            "agents_busy": 1, "agents_away": 1 });
        let is_right = *queue == expected
            && waited_sec.is_some_and(|waited| waited < 5.0)
            && note["sales"] == sales
            && (&note["tier"], &note["nothing"]) == (&json!("gold"), &Value::Null)
            && note["refusal"].as_str().is_some_and(|refusal| refusal.contains("No such channel"));
        if !is_right {
            stage.remark(format!("told {note}, expected {expected} and {sales}"));
        }
        stage.until_over("caller");
    },
);

/// The caller's channel.
fn member(stage: &mut Stage<'_>) -> String {
    stage.until("joined")["member_channel_id"].as_str().unwrap_or_default().to_owned()
}
