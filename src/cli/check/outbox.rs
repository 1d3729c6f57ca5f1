//! `check --connect`: whether the daemon could work with its outbox.

use std::io::{self, Write};

use crate::cli::printable::printable;
use crate::config::outbox::OutboxSettings;
use crate::outbox::inspection::{Inspection, LEAST_ROOM_BYTES, inspect};

const MB: u64 = 1_000_000;

/// Tells how large it is and what is left of its disk, or why it can't be used. Gives whether all is well.
pub(super) fn look(settings: &OutboxSettings, out: &mut impl Write) -> io::Result<bool> {
    let Inspection { size_bytes, room_bytes } = match inspect(&settings.path) {
        Ok(inspection) => inspection,
        Err(error) => {
            writeln!(out, "{}.", printable(&super::super::with_causes(&error)))?;
            return Ok(false);
        }
    };
    let path = printable(&settings.path.to_string_lossy());
    match size_bytes {
        Some(size) => write!(out, "The outbox {path} has {} MB", size / MB)?,
        None => write!(out, "The outbox {path} is made at the first start")?,
    }
    writeln!(out, "; its disk has {} MB left.", room_bytes / MB)?;
    let has_room = room_bytes >= LEAST_ROOM_BYTES;
    if !has_room {
        writeln!(out, "That is less than the {} MB that writing may take: make room.", LEAST_ROOM_BYTES / MB)?;
    }
    Ok(has_room)
}
