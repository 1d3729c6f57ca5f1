//! FreeSWITCH's hangup causes, each with its Q.850 code and the SIP status that mod_sofia pairs with it.
//!
//! Names and numbers are those of FreeSWITCH 1.10.12 and 1.11.1: the cause list of its core, and the statuses with which
//! mod_sofia refuses a call of that cause (480 where it names none). Causes above 127 are FreeSWITCH's own; towards ISDN
//! they count as 16, normal clearing.

use crate::moment::value::MissedReason;

/// The status that mod_sofia sends for a cause it pairs with no other.
const DEFAULT_SIP_STATUS: u16 = 480;

/// Every cause: name, FreeSWITCH's number, SIP status.
const CAUSES: &[(&str, u16, u16)] = &[
    ("NONE", 0, 480),
    ("UNALLOCATED_NUMBER", 1, 404),
    ("NO_ROUTE_TRANSIT_NET", 2, 404),
    ("NO_ROUTE_DESTINATION", 3, 404),
    ("CHANNEL_UNACCEPTABLE", 6, 480),
    ("CALL_AWARDED_DELIVERED", 7, 480),
    ("NORMAL_CLEARING", 16, 480),
    ("USER_BUSY", 17, 486),
    ("NO_USER_RESPONSE", 18, 408),
    ("NO_ANSWER", 19, 480),
    ("SUBSCRIBER_ABSENT", 20, 480),
    ("CALL_REJECTED", 21, 603),
    ("NUMBER_CHANGED", 22, 410),
    ("REDIRECTION_TO_NEW_DESTINATION", 23, 410),
    ("EXCHANGE_ROUTING_ERROR", 25, 483),
    ("DESTINATION_OUT_OF_ORDER", 27, 502),
    ("INVALID_NUMBER_FORMAT", 28, 484),
    ("FACILITY_REJECTED", 29, 501),
    ("RESPONSE_TO_STATUS_ENQUIRY", 30, 480),
    ("NORMAL_UNSPECIFIED", 31, 480),
    ("NORMAL_CIRCUIT_CONGESTION", 34, 503),
    ("NETWORK_OUT_OF_ORDER", 38, 503),
    ("NORMAL_TEMPORARY_FAILURE", 41, 503),
    ("SWITCH_CONGESTION", 42, 503),
    ("ACCESS_INFO_DISCARDED", 43, 480),
    ("REQUESTED_CHAN_UNAVAIL", 44, 503),
    ("PRE_EMPTED", 45, 480),
    ("FACILITY_NOT_SUBSCRIBED", 50, 480),
    ("OUTGOING_CALL_BARRED", 52, 403),
    ("INCOMING_CALL_BARRED", 54, 403),
    ("BEARERCAPABILITY_NOTAUTH", 57, 403),
    ("BEARERCAPABILITY_NOTAVAIL", 58, 503),
    ("SERVICE_UNAVAILABLE", 63, 480),
    ("BEARERCAPABILITY_NOTIMPL", 65, 488),
    ("CHAN_NOT_IMPLEMENTED", 66, 480),
    ("FACILITY_NOT_IMPLEMENTED", 69, 501),
    ("SERVICE_NOT_IMPLEMENTED", 79, 501),
    ("INVALID_CALL_REFERENCE", 81, 480),
    ("INCOMPATIBLE_DESTINATION", 88, 488),
    ("INVALID_MSG_UNSPECIFIED", 95, 480),
    ("MANDATORY_IE_MISSING", 96, 480),
    ("MESSAGE_TYPE_NONEXIST", 97, 480),
    ("WRONG_MESSAGE", 98, 480),
    ("IE_NONEXIST", 99, 480),
    ("INVALID_IE_CONTENTS", 100, 480),
    ("WRONG_CALL_STATE", 101, 480),
    ("RECOVERY_ON_TIMER_EXPIRE", 102, 504),
    ("MANDATORY_IE_LENGTH_ERROR", 103, 480),
    ("PROTOCOL_ERROR", 111, 480),
    ("INTERWORKING", 127, 480),
    ("SUCCESS", 142, 480),
    ("ORIGINATOR_CANCEL", 487, 487),
    ("CRASH", 700, 480),
    ("SYSTEM_SHUTDOWN", 701, 480),
    ("LOSE_RACE", 702, 480),
    ("MANAGER_REQUEST", 703, 480),
    ("BLIND_TRANSFER", 800, 480),
    ("ATTENDED_TRANSFER", 801, 480),
    ("ALLOTTED_TIMEOUT", 802, 480),
    ("USER_CHALLENGE", 803, 480),
    ("MEDIA_TIMEOUT", 804, 480),
    ("PICKED_OFF", 805, 480),
    ("USER_NOT_REGISTERED", 806, 480),
    ("PROGRESS_TIMEOUT", 807, 480),
    ("INVALID_GATEWAY", 808, 484),
    ("GATEWAY_DOWN", 809, 503),
    ("INVALID_URL", 810, 484),
    ("INVALID_PROFILE", 811, 502),
    ("NO_PICKUP", 812, 480),
    ("SRTP_READ_ERROR", 813, 480),
    ("BOWOUT", 814, 480),
    ("BUSY_EVERYWHERE", 815, 600),
    ("DECLINE", 816, 603),
    ("DOES_NOT_EXIST_ANYWHERE", 817, 604),
    ("NOT_ACCEPTABLE", 818, 606),
    ("UNWANTED", 819, 607),
    ("NO_IDENTITY", 820, 428),
    ("BAD_IDENTITY_INFO", 821, 429),
    ("UNSUPPORTED_CERTIFICATE", 822, 437),
    ("INVALID_IDENTITY", 823, 438),
    ("STALE_DATE", 824, 403),
    ("REJECT_ALL", 825, 603),
];

/// The SIP status that FreeSWITCH pairs with the cause; the default for a cause that it does not know.
pub fn sip_status(cause: &str) -> u16 {
    find(cause).map_or(DEFAULT_SIP_STATUS, |(_, _, status)| *status)
}

/// The cause's Q.850 code.
pub fn q850(cause: &str) -> Option<u16> {
    find(cause).map(|(_, code, _)| if *code > 127 { 16 } else { *code })
}

/// Every cause's name.
pub fn names() -> impl Iterator<Item = &'static str> {
    CAUSES.iter().map(|(name, _, _)| *name)
}

/// Why an offer that ended with this cause was missed. `ORIGINATOR_CANCEL` is not among them: what it means depends on
/// what cancelled the offer.
pub fn missed_reason(cause: &str) -> MissedReason {
    match cause {
        "ALLOTTED_TIMEOUT" | "NO_ANSWER" | "PROGRESS_TIMEOUT" | "RECOVERY_ON_TIMER_EXPIRE" => MissedReason::NoAnswer,
        "USER_BUSY" | "NORMAL_CIRCUIT_CONGESTION" | "BUSY_EVERYWHERE" => MissedReason::Busy,
        "CALL_REJECTED" | "DECLINE" | "REJECT_ALL" => MissedReason::Rejected,
        "NO_USER_RESPONSE"
        | "SUBSCRIBER_ABSENT"
        | "USER_NOT_REGISTERED"
        | "UNALLOCATED_NUMBER"
        | "NO_ROUTE_DESTINATION"
        | "NUMBER_CHANGED"
        | "GATEWAY_DOWN"
        | "DESTINATION_OUT_OF_ORDER"
        | "NORMAL_TEMPORARY_FAILURE"
        | "NONE" => MissedReason::Unavailable,
        _ => MissedReason::Failed,
    }
}

fn find(cause: &str) -> Option<&'static (&'static str, u16, u16)> {
    CAUSES.iter().find(|(name, _, _)| *name == cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_pair_with_the_codes_that_a_real_freeswitch_gave() {
        for (cause, code) in [
            ("UNALLOCATED_NUMBER", 1),
            ("USER_BUSY", 17),
            ("NO_USER_RESPONSE", 18),
            ("RECOVERY_ON_TIMER_EXPIRE", 102),
            ("NORMAL_TEMPORARY_FAILURE", 41),
            ("CALL_REJECTED", 21),
            ("ALLOTTED_TIMEOUT", 16),
            ("UNWANTED", 16),
        ] {
            assert_eq!(q850(cause), Some(code), "{cause}");
        }
        assert_eq!(q850("SOMETHING_NEW"), None);
    }

    #[test]
    fn every_cause_stands_once() {
        let mut seen: Vec<_> = names().collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), CAUSES.len());
    }
}
