//! Recordings: what the follower of a node, or of a cluster of nodes, was fed, so that it can be fed the same once more.
//!
//! ```text
//!                           ┌──> lifecycle
//! esl::link ──> Follower ───┤                                  ┌─ redaction, where it is wanted
//!     survey ──────┘        └──> Recorder ──> tape ──> thread ─┴──> file ──> Playback ──> lifecycle
//!                                             bounded by bytes
//! ```
//!
//! # The format, version 1
//!
//! A recording is the Event Socket's own protocol: frames of headers, a blank line, and as many bytes as `Content-Length`
//! says. A file whose name ends in `.zst` is compressed with zstd. There are two kinds of frames:
//!
//! - **FreeSWITCH's**, as they came: the sign-in's replies, every event that reached the follower, notices. Replies to the
//!   password are among them, the password is not.
//! - **Marks**, which are ours: `Content-Type: text/x-hookswitch-mark`, a header `Mark-Version`, and a [`Mark`] in JSON. They
//!   stand where the follower met them, between the events before and after.
//!
//! Other readers of the Event Socket pass over a `Content-Type` that they don't know, and bytes that were captured without
//! marks are a recording too: what a mark would tell is then not known. A mark of a newer version ends the reading, because
//! what follows could not be told rightly.
//!
//! Events that were dropped before the follower got them are not in the recording, nor are frames that the codec passed
//! over; [`Mark::Dirty`] says how many events those were.
//!
//! # Time
//!
//! A node's clock is its latest event's time plus what has passed since, and only the live follower knows what has passed.
//! So each time that the follower moves the lifecycle on to its clock it leaves the reading as [`Mark::Clock`], to the
//! nanosecond. Nothing else of this machine's time reaches the lifecycle: with the same configuration the replay of a
//! recording gives the same moments, field by field.
//!
//! - [`mark`]: the marks.
//! - [`tap`]: what the follower takes down; [`recorder`]: the writing, which never makes it wait.
//! - [`sink`]: the file; [`directory`]: where a daemon has its files.
//! - [`playback`]: the reading into a lifecycle.
//! - [`redaction`]: phone numbers and names exchanged for others.

pub mod directory;
pub mod mark;
pub mod playback;
pub mod recorder;
pub mod redaction;
pub mod sink;
pub mod tap;

pub use directory::Directory;
pub use mark::{Mark, MarkError};
pub use playback::Playback;
pub use recorder::{Recorder, Recording};
pub use redaction::Redaction;
pub use tap::Tap;
