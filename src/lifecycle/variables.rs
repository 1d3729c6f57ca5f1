//! Which of a member's channel variables a payload carries, and in what form.
//!
//! A channel has some 150 variables, nearly all of them FreeSWITCH's own. What dialplan, dialer and queue set is what an
//! operator wants to see.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::config::queue::QueueSettings;
use crate::esl::event;
use crate::freeswitch::channel::ChannelData;
use crate::freeswitch::header as h;
use crate::moment::value::{AmdResult, Variables};

/// The most bytes of names and values that one payload carries. A caller can make variables of any size (SIP headers
/// become some), and each payload is stored and sent.
const VARIABLES_LIMIT_BYTES: usize = 64 * 1024;

/// The name under which a payload says how many variables were left out for their size.
const CUT_MARK: &str = "hookswitch_variables_cut";

/// How FreeSWITCH writes a list.
const LIST_PREFIX: &str = "ARRAY::";

/// What separates its items.
const LIST_SEPARATOR: &str = "|:";

/// The queue's configured variables.
pub fn of_queue(settings: &QueueSettings) -> Variables {
    Variables::from_object(&configured(settings))
}

/// The queue's configured variables, as they are to be carried.
pub fn configured(settings: &QueueSettings) -> Map<String, Value> {
    settings.variables.iter().map(|(name, value)| (name.clone(), carried(value))).collect()
}

/// Collects the variables: the queue's configured ones, and over them the member's own.
pub fn collect(data: ChannelData<'_>, settings: &QueueSettings) -> Variables {
    let mut object = configured(settings);
    let (mut size, mut cut) = (0, 0_u64);
    for (name, value) in data.variables(|name| is_wanted(name, settings)) {
        size += name.len() + value.len();
        if size > VARIABLES_LIMIT_BYTES {
            size -= name.len() + value.len();
            cut += 1;
        } else {
            object.insert(name.into_owned(), typed(value));
        }
    }
    if cut > 0 {
        object.insert(CUT_MARK.to_owned(), cut.into());
    }
    Variables::from_object(&object)
}

/// The variables that a teller gives, over the queue's configured ones.
pub fn of_teller(given: &Map<String, Value>, settings: &QueueSettings) -> Variables {
    let mut object = configured(settings);
    let (mut size, mut cut) = (0, 0_u64);
    let is_excluded = |name: &str| settings.variable_filter.exclude.iter().any(|pattern| glob(pattern, name));
    for (name, value) in given.iter().filter(|(name, _)| !is_excluded(name)) {
        let length = name.len() + value.as_str().map_or_else(|| value.to_string().len(), str::len);
        if size + length > VARIABLES_LIMIT_BYTES {
            cut += 1;
        } else {
            size += length;
            object.insert(name.clone(), carried(value));
        }
    }
    if cut > 0 {
        object.insert(CUT_MARK.to_owned(), cut.into());
    }
    Variables::from_object(&object)
}

/// The queue's configured variables alone, with the mark of how many were left out; none if there are no others.
pub fn without_own(variables: &Variables, settings: &QueueSettings) -> Option<Variables> {
    let all: Map<String, Value> = serde_json::from_str(variables.as_json()).unwrap_or_default();
    let mut object = configured(settings);
    let own = all.iter().filter(|(name, value)| *name != CUT_MARK && object.get(*name) != Some(*value)).count();
    let before = all.get(CUT_MARK).and_then(Value::as_u64).unwrap_or(0);
    object.insert(CUT_MARK.to_owned(), (before + own as u64).into());
    (own > 0).then(|| Variables::from_object(&object))
}

/// The most characters of a name or a number that a payload carries.
const TEXT_LIMIT: usize = 1_024;

/// A name or a number, cut where it is too long to be one; none if it is empty.
pub fn cut(text: Option<String>) -> Option<String> {
    let mut text = text?;
    event::non_empty(Cow::Borrowed(&text))?;
    if let Some((end, _)) = text.char_indices().nth(TEXT_LIMIT) {
        text.truncate(end);
        text.shrink_to_fit();
    }
    Some(text)
}

/// What an answering machine detector found: mod_amd's variable, or mod_avmd's beep.
pub fn amd_result(data: ChannelData<'_>) -> Option<AmdResult> {
    if let Some(result) = data.header(h::AMD_RESULT) {
        let result = result.to_ascii_uppercase();
        if result.contains("MACHINE") {
            return Some(AmdResult::Machine);
        }
        if result.contains("HUMAN") {
            return Some(AmdResult::Human);
        }
    }
    data.header(h::AVMD_DETECT).filter(|detected| detected.eq_ignore_ascii_case("true")).map(|_| AmdResult::Machine)
}

fn typed(value: Cow<'_, str>) -> Value {
    let Some(value) = event::non_empty(value) else { return Value::Null };
    match value.strip_prefix(LIST_PREFIX) {
        Some("") => Value::Null,
        Some(items) => items.split(LIST_SEPARATOR).collect(),
        None => Value::String(value.into_owned()),
    }
}

/// A value that is not FreeSWITCH's, as it is to be carried: an empty one is null.
fn carried(value: &Value) -> Value {
    let is_empty = value.as_str().is_some_and(|text| event::non_empty(Cow::Borrowed(text)).is_none());
    if is_empty { Value::Null } else { value.clone() }
}

fn is_wanted(name: &str, settings: &QueueSettings) -> bool {
    let filter = &settings.variable_filter;
    let matches = |patterns: &[String]| patterns.iter().any(|pattern| glob(pattern, name));
    if matches(&filter.exclude) {
        return false;
    }
    !is_freeswitchs_own(name) || matches(&filter.include)
}

fn glob(pattern: &str, name: &str) -> bool {
    crate::config::pattern::matches(pattern, name)
}

/// Prefixes of the names that FreeSWITCH, its SIP stack and mod_callcenter set by themselves.
const OWN_PREFIXES: &[&str] = &[
    "Event-",
    "FreeSWITCH-",
    "cc_queue",
    "fifo_",
    "hold_accum_",
    "last_bridge_",
    "last_hold_",
    "last_sent_callee_id_",
    "loopback_",
    "origination_",
    "originate_",
    "pre_transfer_caller_id_",
    "profile_start_",
    "progress_media",
    "rtp_",
    "sip_",
    "sofia_",
];

/// What stands within the names that FreeSWITCH's media code sets.
const OWN_INFIX: &str = "_media_";

/// Names that FreeSWITCH, its SIP stack and mod_callcenter set by themselves.
const OWN_NAMES: &[&str] = &[
    "CC-Action",
    "Core-UUID",
    "DP_MATCH",
    "RECORD_STEREO",
    "answer_epoch",
    "answer_stamp",
    "answer_uepoch",
    "answermsec",
    "answersec",
    "answerusec",
    "att_xfer_result",
    "billmsec",
    "billsec",
    "billusec",
    "bridge_channel",
    "bridge_epoch",
    "bridge_hangup_cause",
    "bridge_stamp",
    "bridge_to",
    "bridge_uepoch",
    "bridge_uuid",
    "call_uuid",
    "caller_id",
    "cc_agent",
    "cc_agent_bridged",
    "cc_agent_found",
    "cc_agent_type",
    "cc_agent_uuid",
    "cc_cancel_reason",
    "cc_cause",
    "cc_exit_key",
    "cc_export_vars",
    "cc_last_agent_tier_level",
    "cc_last_agent_tier_position",
    "cc_last_originated_call",
    "cc_member_pre_answer_uuid",
    "cc_member_session_uuid",
    "cc_member_uuid",
    "cc_side",
    "channel_cid_flipped",
    "channel_name",
    "current_application",
    "current_application_data",
    "current_application_response",
    "current_loop",
    "digits_dialed",
    "direction",
    "dtmf_type",
    "duration",
    "end_epoch",
    "end_stamp",
    "end_uepoch",
    "endpoint_disposition",
    "ep_codec_string",
    "flow_billmsec",
    "flow_billsec",
    "flow_billusec",
    "hangup_cause",
    "hangup_cause_q850",
    "ignore_early_media",
    "is_outbound",
    "last_app",
    "last_arg",
    "leg_timeout",
    "max_forwards",
    "mduration",
    "original_caller_id_name",
    "original_caller_id_number",
    "original_destination_number",
    "original_read_codec",
    "original_read_rate",
    "originating_leg_uuid",
    "originator",
    "originator_codec",
    "other_loopback_leg_uuid",
    "playback_last_offset_pos",
    "playback_ms",
    "playback_samples",
    "playback_seconds",
    "presence_id",
    "progress_epoch",
    "progress_stamp",
    "progress_uepoch",
    "progressmsec",
    "progresssec",
    "progressusec",
    "proto_specific_hangup_cause",
    "read_codec",
    "read_rate",
    "recovery_profile_name",
    "resurrect_epoch",
    "resurrect_uepoch",
    "session_id",
    "signal_bond",
    "start_epoch",
    "start_stamp",
    "start_uepoch",
    "switch_m_sdp",
    "switch_r_sdp",
    "total_loops",
    "transfer_destination",
    "transfer_disposition",
    "transfer_fallback_extension",
    "transfer_history",
    "transfer_source",
    "transfer_to",
    "uduration",
    "uuid",
    "uuid_bridge",
    "waitmsec",
    "waitsec",
    "waitusec",
    "write_codec",
    "write_rate",
];

fn is_freeswitchs_own(name: &str) -> bool {
    let alike = &OWN_BY_INITIAL[initial(name)];
    alike.prefixes.iter().any(|prefix| name.starts_with(prefix))
        || alike.names.contains(&name)
        || name.contains(OWN_INFIX)
}

/// The prefixes and names by their first letters: a member's event has 150 names to be held against them.
static OWN_BY_INITIAL: LazyLock<[Own; 256]> = LazyLock::new(|| {
    let mut own = [const { Own { prefixes: Vec::new(), names: Vec::new() } }; 256];
    for &prefix in OWN_PREFIXES {
        own[initial(prefix)].prefixes.push(prefix);
    }
    for &name in OWN_NAMES {
        own[initial(name)].names.push(name);
    }
    own
});

/// What FreeSWITCH, its SIP stack and mod_callcenter set by themselves, of one first letter.
#[derive(Debug)]
struct Own {
    prefixes: Vec<&'static str>,
    names: Vec<&'static str>,
}

fn initial(name: &str) -> usize {
    name.bytes().next().map_or(0, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esl::Event;

    fn collected(headers: &str, settings: &QueueSettings) -> Value {
        let event = Event::from_plain(bytes::Bytes::copy_from_slice(headers.as_bytes()));
        serde_json::from_str(collect(ChannelData(&event), settings).as_json()).expect("JSON")
    }

    #[test]
    fn what_the_dialplan_set_is_carried_and_freeswitchs_own_is_not() {
        let headers = "variable_customer_id: C-1\nvariable_sip_call_id: x\nvariable_cc_record_filename: /r.wav\n\
                       variable_tags: ARRAY%3A%3Avip%7C%3Agold%20member\nvariable_uuid: u\n\n";
        let expected = serde_json::json!({
            "customer_id": "C-1", "cc_record_filename": "/r.wav", "tags": ["vip", "gold member"],
        });
        assert_eq!(collected(headers, &QueueSettings::default()), expected);
    }

    #[test]
    fn an_empty_value_is_null_however_it_is_written() {
        let mut settings = QueueSettings::default();
        settings.variables.insert("configured".into(), "".into());
        settings.variables.insert("crm".into(), "acme".into());
        let expected = serde_json::json!({
            "configured": null, "crm": null, "a": null, "b": null, "c": null, "list": ["", "_undef_"],
        });
        let plain = "variable_a: \nvariable_b: _undef_\nvariable_c: ARRAY%3A%3A\nvariable_crm: \n\
                     variable_list: ARRAY%3A%3A%7C%3A_undef_\n\n";
        assert_eq!(collected(plain, &settings), expected);
        let json = br#"{"variable_a":"","variable_b":null,"variable_c":[],"variable_crm":"_undef_",
            "variable_list":["","_undef_"]}"#;
        let event = Event::from_json(json).expect("reads");
        let json: Value = serde_json::from_str(collect(ChannelData(&event), &settings).as_json()).expect("JSON");
        assert_eq!(json, expected);
        let given = serde_json::json!({ "a": "", "b": "_undef_", "c": null, "crm": "", "list": ["", "_undef_"] });
        let told = of_teller(given.as_object().expect("an object"), &settings);
        assert_eq!(serde_json::from_str::<Value>(told.as_json()).expect("JSON"), expected);
    }

    #[test]
    fn patterns_override_the_list() {
        let mut settings = QueueSettings::default();
        settings.variable_filter.include = vec!["sip_h_*".into()];
        settings.variable_filter.exclude = vec!["*secret*".into()];
        let headers = "variable_sip_h_X-Id: 7\nvariable_my_secret: s\nvariable_sip_req_user: 2001\n\n";
        assert_eq!(collected(headers, &settings), serde_json::json!({ "sip_h_X-Id": "7" }));
    }

    #[test]
    fn the_members_variables_win_over_the_queues() {
        let mut settings = QueueSettings::default();
        settings.variables.insert("crm".into(), "acme".into());
        settings.variables.insert("level".into(), 1.into());
        let json = collected("variable_crm: other\n\n", &settings);
        assert_eq!(json, serde_json::json!({ "crm": "other", "level": 1 }));
    }

    #[test]
    fn a_flood_of_variables_is_cut_and_the_cut_is_marked() {
        let big = "x".repeat(VARIABLES_LIMIT_BYTES);
        let json =
            collected(&format!("variable_a: 1\nvariable_b: {big}\nvariable_c: 2\n\n"), &QueueSettings::default());
        assert_eq!(json, serde_json::json!({ "a": "1", "c": "2", CUT_MARK: 1 }));
    }
}
