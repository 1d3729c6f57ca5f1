//! A moment as one line for people.
use crate::moment::Payload;
use std::fmt;
/// A line.
pub struct Line<'a>(pub &'a Payload);
impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} {} {}", self.0.timestamp.0, self.0.queue_name, self.0.event)
    }
}
