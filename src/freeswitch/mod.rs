//! What FreeSWITCH says, typed.
