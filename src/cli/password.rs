//! `hookswitch password`: the hash of a password, for `[[http.users]]`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::admin::password;

/// The longest password.
const MAX_BYTES: u64 = 1_024;

/// The least characters of a password: fewer are guessed in spite of all limits.
const SHORTEST: usize = 8;

/// Prints the hash of a password that is read from standard input.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It can be guessed.
    #[error("a password has {SHORTEST} or more characters")]
    TooShort,
    /// It can't be hashed.
    #[error("the password can't be hashed: {0}")]
    Hash(#[from] argon2::password_hash::Error),
    /// Standard input or output failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a line, and prints its hash.
pub fn run(_: Args) -> Result<ExitCode, PasswordError> {
    let input = io::stdin();
    if input.is_terminal() {
        write!(io::stderr(), "Password (it is shown as you type): ")?;
    }
    let mut line = String::new();
    io::Read::take(input.lock(), MAX_BYTES).read_line(&mut line)?;
    let text = line.trim_end_matches(['\r', '\n']);
    if text.chars().count() < SHORTEST {
        return Err(PasswordError::TooShort);
    }
    writeln!(io::stdout(), "{}", password::hash(text)?)?;
    Ok(ExitCode::SUCCESS)
}
