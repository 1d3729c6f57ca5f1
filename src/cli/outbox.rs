//! `hookswitch outbox`: backup, restoration, and erasing what is stored of a person.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::configuration::OutboxFile;
use crate::outbox::archive::{self, ArchiveError};
use crate::outbox::deliveries::DeliveriesError;
use crate::outbox::erasure;

/// The arguments of `outbox`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    outbox: OutboxFile,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Copies it into a new file, beside a running daemon too.
    Backup {
        /// The copy, which must not be there yet.
        #[arg(value_name = "FILE")]
        copy: PathBuf,
    },
    /// Puts a backup in its place, while no daemon runs. What was there is kept under another name.
    Restore {
        /// The backup.
        #[arg(value_name = "FILE")]
        backup: PathBuf,
    },
    /// Erases a member's number, name and variables from all that is stored.
    Erase {
        /// The number, as payloads carry it in `member_number`.
        #[arg(long, value_name = "NUMBER")]
        number: String,
    },
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum OutboxCommandError {
    /// There is no copy.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Nothing, or not everything, was erased.
    #[error(transparent)]
    Erasure(#[from] DeliveriesError),
    /// The output could not be written.
    #[error("can't print: {0}")]
    Output(#[from] io::Error),
}

/// Does it, and tells in a line what was done.
pub fn run(args: Args) -> Result<ExitCode, OutboxCommandError> {
    let outbox = match args.outbox.path() {
        Ok(path) => path,
        Err(code) => return Ok(code),
    };
    let mut out = io::stdout().lock();
    match args.command {
        Command::Backup { copy } => {
            archive::backup(&outbox, &copy)?;
            writeln!(out, "Copied {} to {}.", outbox.display(), copy.display())?;
        }
        Command::Restore { backup } => {
            let replaced = archive::restore(&outbox, &backup)?;
            writeln!(out, "Restored {} from {}.", outbox.display(), backup.display())?;
            if let Some(replaced) = replaced {
                writeln!(out, "What was there is now {}.", replaced.display())?;
            }
        }
        Command::Erase { number } => {
            let erased = erasure::erase_number(&outbox, &number)?;
            writeln!(out, "Erased from {} moments of {} attempts.", erased.moments, erased.attempts)?;
            if erased.open_attempts > 0 {
                let open = erased.open_attempts;
                writeln!(out, "{open} of the attempts are still open: erase again when those calls are over.")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
