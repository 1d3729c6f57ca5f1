//! The names of the headers that are read, each written once.

/// Declares header names as constants.
macro_rules! headers {
    ($($name:ident = $text:literal;)*) => {$(
        #[doc = concat!("`", $text, "`")]
        pub const $name: &str = $text;
    )*};
}

headers! {
    EVENT_NAME = "Event-Name";
    CORE_UUID = "Core-UUID";
    EVENT_DATE_TIMESTAMP = "Event-Date-Timestamp";
    EVENT_DATE_LOCAL = "Event-Date-Local";
    EVENT_SEQUENCE = "Event-Sequence";

    UNIQUE_ID = "Unique-ID";
    OTHER_LEG_UNIQUE_ID = "Other-Leg-Unique-ID";
    OTHER_LEG_CREATED_TIME = "Other-Leg-Channel-Created-Time";
    OTHER_LEG_ANSWERED_TIME = "Other-Leg-Channel-Answered-Time";
    ANSWER_STATE = "Answer-State";
    CALL_DIRECTION = "Call-Direction";
    HANGUP_CAUSE = "Hangup-Cause";
    CALLER_ID_NAME = "Caller-Caller-ID-Name";
    CALLER_ID_NUMBER = "Caller-Caller-ID-Number";
    CALLEE_ID_NAME = "Caller-Callee-ID-Name";
    CALLEE_ID_NUMBER = "Caller-Callee-ID-Number";
    CALLER_DESTINATION_NUMBER = "Caller-Destination-Number";
    CALLER_RDNIS = "Caller-RDNIS";
    CHANNEL_NAME = "Channel-Name";
    CHANNEL_CREATED_TIME = "Caller-Channel-Created-Time";
    CHANNEL_PROGRESS_TIME = "Caller-Channel-Progress-Time";
    CHANNEL_PROGRESS_MEDIA_TIME = "Caller-Channel-Progress-Media-Time";
    CHANNEL_ANSWERED_TIME = "Caller-Channel-Answered-Time";
    CHANNEL_BRIDGED_TIME = "Caller-Channel-Bridged-Time";
    CHANNEL_HANGUP_TIME = "Caller-Channel-Hangup-Time";

    CC_ACTION = "CC-Action";
    CC_QUEUE = "CC-Queue";
    CC_AGENT = "CC-Agent";
    CC_AGENT_TYPE = "CC-Agent-Type";
    CC_AGENT_UUID = "CC-Agent-UUID";
    CC_AGENT_STATUS = "CC-Agent-Status";
    CC_AGENT_STATE = "CC-Agent-State";
    CC_AGENT_CONTACT = "CC-Agent-Contact";
    CC_AGENT_BRIDGED = "CC-Agent-Bridged";
    CC_CANCEL_REASON = "CC-Cancel-Reason";
    CC_HANGUP_CAUSE = "CC-Hangup-Cause";
    CC_MEMBER_UUID = "CC-Member-UUID";
    CC_MEMBER_SESSION_UUID = "CC-Member-Session-UUID";
    CC_MEMBER_CID_NAME = "CC-Member-CID-Name";
    CC_MEMBER_CID_NUMBER = "CC-Member-CID-Number";
    CC_MEMBER_JOINED_TIME = "CC-Member-Joined-Time";

    EVENT_SUBCLASS = "Event-Subclass";
    FIFO_ACTION = "FIFO-Action";
    FIFO_NAME = "FIFO-Name";
    FIFO_CALLER_UUID = "FIFO-Caller-UUID";
    FIFO_NAME_VARIABLE = "variable_fifo_name";
    FIFO_BRIDGE_UUID = "variable_fifo_bridge_uuid";
    FIFO_STATUS = "variable_fifo_status";
    FIFO_PUSH_TIMESTAMP = "variable_fifo_push_timestamp";
    CURRENT_APPLICATION = "variable_current_application";
    CURRENT_APPLICATION_DATA = "variable_current_application_data";
    FIFO_CALLER_EXIT_KEY = "variable_fifo_caller_exit_key";

    HOOKSWITCH_QUEUE = "variable_hookswitch_queue";
    HOOKSWITCH_SIDE = "variable_hookswitch_side";
    HOOKSWITCH_ATTEMPT = "variable_hookswitch_attempt";
    HOOKSWITCH_AMD = "variable_hookswitch_amd";

    SIGNAL_QUEUE = "Hookswitch-Queue";
    SIGNAL_KEY = "Hookswitch-Key";
    SIGNAL_STEP = "Hookswitch-Signal";
    SIGNAL_ID = "Hookswitch-Signal-ID";
    SIGNAL_AGENT = "Hookswitch-Agent";
    SIGNAL_REASON = "Hookswitch-Reason";
    SIGNAL_ENDED_BY = "Hookswitch-Ended-By";
    SIGNAL_MEMBER_NAME = "Hookswitch-Member-Name";
    SIGNAL_MEMBER_NUMBER = "Hookswitch-Member-Number";
    SIGNAL_MEMBER_ID = "Hookswitch-Member-ID";
    SIGNAL_DESTINATION = "Hookswitch-Destination";

    VARIABLE_PREFIX = "variable_";
    CC_SIDE = "variable_cc_side";
    CC_QUEUE_VARIABLE = "variable_cc_queue";
    CC_AGENT_VARIABLE = "variable_cc_agent";
    CC_AGENT_UUID_VARIABLE = "variable_cc_agent_uuid";
    CC_MEMBER_UUID_VARIABLE = "variable_cc_member_uuid";
    CC_MEMBER_SESSION_UUID_VARIABLE = "variable_cc_member_session_uuid";
    CC_AGENT_ID = "variable_cc_agent_id";
    CC_USER_ID = "variable_cc_user_id";
    CC_MEMBER_ID = "variable_cc_member_id";
    CC_ATTEMPT_ID = "variable_cc_attempt_id";
    CC_ATTEMPT_SEQ = "variable_cc_attempt_seq";
    CC_EXIT_KEY = "variable_cc_exit_key";
    CC_CAUSE_VARIABLE = "variable_cc_cause";
    CC_CANCEL_REASON_VARIABLE = "variable_cc_cancel_reason";
    CC_QUEUE_CANCELED_EPOCH = "variable_cc_queue_canceled_epoch";
    DIALED_USER = "variable_dialed_user";
    ORIGINATION_CALLEE_ID_NAME = "variable_origination_callee_id_name";
    AMD_RESULT = "variable_amd_result";
    AVMD_DETECT = "variable_avmd_detect";
    GROUP_CONFIRM_KEY = "variable_group_confirm_key";
    ENDPOINT_DISPOSITION = "variable_endpoint_disposition";
    LAST_BRIDGE_HANGUP_CAUSE = "variable_last_bridge_hangup_cause";
    PROTO_SPECIFIC_HANGUP_CAUSE = "variable_proto_specific_hangup_cause";
    SIP_HANGUP_DISPOSITION = "variable_sip_hangup_disposition";
    VERTO_HANGUP_DISPOSITION = "variable_verto_hangup_disposition";
    SIP_INVITE_FAILURE_STATUS = "variable_sip_invite_failure_status";
    SIP_REQ_USER = "variable_sip_req_user";
    SIP_TERM_STATUS = "variable_sip_term_status";
    SIP_TO_USER = "variable_sip_to_user";
    TRANSFER_SOURCE = "variable_transfer_source";
}
