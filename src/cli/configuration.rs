//! Which configuration a command works with, and how its problems are shown.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::{exit, paths};
use crate::config::problem::Drawing;
use crate::config::{Config, Problems};

/// The configuration of a command.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigFile {
    /// The configuration; conf.d/*.toml beside it belongs to it.
    #[arg(long, short, global = true, value_name = "FILE", default_value_os_t = paths::configuration())]
    pub config: PathBuf,
}

impl ConfigFile {
    /// Reads it whole, secrets included. Problems are shown, and become the command's exit code.
    pub fn load(&self) -> Result<Config, ExitCode> {
        Config::load(&self.config).map_err(|problems| refuse(&problems))
    }

    /// Reads it without looking up secrets: for commands that connect to nothing.
    pub fn load_without_secrets(&self) -> Result<Config, ExitCode> {
        Config::load_without_secrets(&self.config).map_err(|problems| refuse(&problems))
    }
}

/// The outbox of a command that needs no daemon.
#[derive(Clone, Debug, clap::Args)]
pub struct OutboxFile {
    #[command(flatten)]
    file: ConfigFile,
    /// The outbox, if it is not the configuration's.
    #[arg(long, global = true, value_name = "FILE")]
    outbox: Option<PathBuf>,
}

impl OutboxFile {
    /// Its path. Problems of a configuration that must be read for it become the command's exit code.
    pub fn path(self) -> Result<PathBuf, ExitCode> {
        match self.outbox {
            Some(outbox) => Ok(outbox),
            None => Ok(self.file.load_without_secrets()?.outbox.path),
        }
    }
}

/// How problems are drawn on standard error.
fn refuse(problems: &Problems) -> ExitCode {
    let mut err = io::stderr().lock();
    let drawing = if err.is_terminal() { Drawing::Terminal } else { Drawing::Plain };
    // Who closed standard error does not want to know.
    let _ = write!(err, "{}", problems.draw(drawing));
    ExitCode::from(exit::CONFIGURATION)
}
