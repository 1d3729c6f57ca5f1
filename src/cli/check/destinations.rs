//! `check --connect`: signs in to each broker, database and mail server.

use std::io::{self, Write};

use crate::cli::printable::printable;
use crate::config::Config;

/// Tells of each what it says of itself, or why there is no connection. Gives whether all is well.
pub(super) async fn connect(config: &Config, out: &mut impl Write) -> io::Result<bool> {
    let mut is_well = true;
    for (name, destination) in config.destinations() {
        write!(out, "{} ({}): ", printable(name), destination.kind())?;
        out.flush()?;
        match destination.connect().await {
            Ok(said) => writeln!(out, "{}.", printable(&said.to_string()))?,
            Err(refusal) => {
                writeln!(out, "{}.", printable(&config.secrets().mask(&refusal.to_string())))?;
                is_well = false;
            }
        }
    }
    Ok(is_well)
}
