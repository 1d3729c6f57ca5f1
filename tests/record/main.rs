//! Recordings: what the daemon and `hookswitch record` write, what `hookswitch replay` makes of it, and what is hidden.

mod bytes;
mod damage;
mod live;
mod place;
mod redaction;
mod successive;
