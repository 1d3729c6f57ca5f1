//! What is done to a header's value, after the header's name.
//!
//! Whatever is not listed is searched for numbers and names: a header that nobody thought of is rather changed than leaked.
//! What is listed as kept is what the lifecycle reads, and what times and counts a person needs to judge a story.

/// What is done to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It stays.
    Keep,
    /// It names an agent or a queue: it stays, and what it names is kept elsewhere.
    Known,
    /// It is a caller's name or number.
    Name,
    /// Numbers are hidden.
    Numbers,
    /// Numbers, and words of names.
    Text,
}

/// Beginnings of headers that stay.
const KEPT_PREFIXES: &[&str] = &[
    "answer-",
    "call-direction",
    "cc-",
    "channel-call-state",
    "channel-read-",
    "channel-state",
    "channel-write-",
    "content-",
    "core-uuid",
    "event-",
    "freeswitch-",
    "hangup-",
    "presence-call-direction",
    "session-",
    "up-time",
    "uptime-",
];

/// Headers that stay.
const KEPT: &[&str] = &["caller-channel-hold-accum", "caller-channel-last-hold", "idle-cpu", "max-sessions"];

/// Beginnings of variables that stay.
const KEPT_VARIABLE_PREFIXES: &[&str] = &["event-date-", "hookswitch_", "rtp_audio_", "rtp_video_", "rtp_use_ssrc"];

/// Variables that stay.
const KEPT_VARIABLES: &[&str] = &[
    "amd_result",
    "avmd_detect",
    "bridge_hangup_cause",
    "cc_agent_bridged",
    "cc_agent_found",
    "cc_agent_id",
    "cc_agent_type",
    "cc_attempt_id",
    "cc_attempt_seq",
    "cc_cancel_reason",
    "cc_cause",
    "cc_exit_key",
    "cc_queue_answered_epoch",
    "cc_queue_canceled_epoch",
    "cc_queue_joined_epoch",
    "cc_queue_terminated_epoch",
    "cc_side",
    "cc_user_id",
    "endpoint_disposition",
    "group_confirm_key",
    "hangup_cause",
    "hangup_cause_q850",
    "last_bridge_hangup_cause",
    "originate_disposition",
    "proto_specific_hangup_cause",
    "sip_hangup_disposition",
    "sip_invite_failure_status",
    "sip_invite_stamp",
    "sip_term_cause",
    "sip_term_status",
];

/// What FreeSWITCH times: `answer_epoch`, `flow_billusec` …
const TIMED: &[&str] = &[
    "answer",
    "bill",
    "bridge",
    "end",
    "flow_bill",
    "hold_accum_",
    "last_hold",
    "profile_start",
    "progress",
    "progress_media",
    "resurrect",
    "start",
    "wait",
    "u",
    "m",
];

/// … and in which units.
const TIME_UNITS: &[&str] = &["_epoch", "_uepoch", "_stamp", "msec", "usec", "sec", "duration", "_seconds", "_ms"];

/// Ends of the names of headers and variables that hold a caller's name or number.
const NAME_SUFFIXES: &[&str] = &[
    "-ani",
    "-username",
    "callee-id-name",
    "callee-id-number",
    "callee_id_name",
    "callee_id_number",
    "caller-id-name",
    "caller-id-number",
    "caller_id_name",
    "caller_id_number",
    "cid-name",
    "cid-number",
    "cid_name",
    "cid_num",
    "cid_number",
    "from_display",
    "from_user",
    "from_user_stripped",
    "member_name",
    "member_number",
];

/// What is done to an event's header, or to one of a channel's dump.
pub(super) fn of_header(name: &str) -> Treatment {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("variable_") {
        Some(variable) => of_variable(variable),
        None if is_name(&name) => Treatment::Name,
        None if matches!(&*name, "cc-agent" | "cc-queue") => Treatment::Known,
        None if name == "cc-member-dnis" => Treatment::Text,
        None if name.ends_with("-time") || KEPT.contains(&&*name) => Treatment::Keep,
        None if KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => Treatment::Keep,
        None => Treatment::Text,
    }
}

/// What is done to a channel variable, whose name is in lower case.
fn of_variable(name: &str) -> Treatment {
    let is_timed = || {
        let units = TIME_UNITS.iter().filter_map(|unit| name.strip_suffix(unit));
        units.into_iter().any(|what| what.is_empty() || TIMED.contains(&what))
    };
    match name {
        "cc_agent" | "cc_queue" => Treatment::Known,
        _ if is_name(name) => Treatment::Name,
        _ if KEPT_VARIABLES.contains(&name) || is_timed() => Treatment::Keep,
        _ if KEPT_VARIABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => Treatment::Keep,
        _ => Treatment::Text,
    }
}

fn is_name(name: &str) -> bool {
    NAME_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// What is done to a value within a mark, after its key and what it belongs to.
pub(super) fn in_mark(within: &str, key: &str) -> Treatment {
    match (within, key) {
        ("headers", name) => of_header(name),
        ("variables", name) => of_variable(&name.to_ascii_lowercase()),
        ("agents", "contact") => Treatment::Text,
        ("member", "name" | "number") => Treatment::Name,
        ("node", "name") | (_, "node") => Treatment::Keep,
        ("agents", "name") | (_, "agent" | "queue") => Treatment::Known,
        ("agents" | "tiers", _) => Treatment::Keep,
        (_, "attempt_id" | "previous_attempt_id" | "ordinal" | "sequence" | "dropped" | "bytes") => Treatment::Keep,
        (_, "agent_id" | "user_id") => Treatment::Keep,
        (_, "destination" | "transferred_to" | "dialled") => Treatment::Text,
        (_, "transfer_mark" | "transfer_mark_at_join") => Treatment::Text,
        (_, name) if name.ends_with("_epoch") => Treatment::Keep,
        (_, name) if is_name(name) => Treatment::Name,
        _ => Treatment::Numbers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_lifecycle_reads_stays_and_what_names_a_caller_does_not() {
        use crate::freeswitch::header as h;
        for name in [h::EVENT_DATE_TIMESTAMP, h::CHANNEL_BRIDGED_TIME, h::CC_MEMBER_JOINED_TIME, h::CC_ATTEMPT_ID] {
            assert_eq!(of_header(name), Treatment::Keep, "{name}");
        }
        for name in [h::CALLER_ID_NAME, h::CALLER_ID_NUMBER, h::CC_MEMBER_CID_NUMBER, "variable_sip_from_display"] {
            assert_eq!(of_header(name), Treatment::Name, "{name}");
        }
        for name in
            [h::CALLER_DESTINATION_NUMBER, h::TRANSFER_SOURCE, "Channel-Name", "variable_x", "variable_my_epoch"]
        {
            assert_eq!(of_header(name), Treatment::Text, "{name}");
        }
        assert_eq!(of_header(h::CC_AGENT_VARIABLE), Treatment::Known);
        assert_eq!(of_header("variable_uduration"), Treatment::Keep);
        assert_eq!(of_header("variable_progress_mediausec"), Treatment::Keep);
    }
}
