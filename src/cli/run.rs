//! `hookswitch run`: the daemon.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::configuration::ConfigFile;
use crate::config::{Config, Problems};
use crate::daemon::{Daemon, StartError};

/// The arguments of `run`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: ConfigFile,
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It cannot be told to end.
    #[error("signals cannot be listened to")]
    Signals(#[from] io::Error),
}

/// Runs until the token is cancelled: for a program that has the daemon as one of its parts.
pub async fn until_cancelled(config: PathBuf, end: CancellationToken) -> Result<(), RunError> {
    let config = Config::load(&config)?;
    let daemon = Daemon::start(Arc::new(config))?;
    end.cancelled().await;
    daemon.stop().await;
    Ok(())
}

/// Runs until SIGINT or SIGTERM.
pub async fn run(args: &Args) -> Result<ExitCode, RunError> {
    let config = match args.file.load() {
        Ok(config) => Arc::new(config),
        Err(code) => return Ok(code),
    };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let daemon = Daemon::start(config)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    info!("ending: runs under way are finished");
    daemon.stop().await;
    Ok(ExitCode::SUCCESS)
}
