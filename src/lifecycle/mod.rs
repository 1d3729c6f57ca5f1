//! The life of an attempt: pure state machines from typed facts to moments.
