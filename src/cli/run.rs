//! `hookswitch run`: the daemon.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::configuration::ConfigFile;
use super::exit;
use crate::config::{Config, ConfigWatch, Problems, Reading};
use crate::daemon::{Daemon, StartError};
use crate::recording::Directory;
use crate::service::{self, Watchdog};
use crate::telemetry::log::LogFormat;

/// What the service manager shows while all is well.
const STATUS: &str = "following FreeSWITCH";

/// The arguments of `run`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// How log lines are written.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(super) log_format: LogFormat,
    /// Records what each FreeSWITCH says into a file of its own in this directory, for `hookswitch replay`.
    #[arg(long, value_name = "DIRECTORY")]
    record: Option<PathBuf>,
    /// Hides callers' numbers and names in what is recorded.
    #[arg(long, requires = "record")]
    redact: bool,
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
    /// Signals cannot be listened to, or the configuration cannot be watched.
    #[error("the system gives no means to be told to end, or that the configuration has changed")]
    Signals(#[from] io::Error),
}

/// Runs until the token is cancelled, and reads the configuration again when its files change: for a program that has the
/// daemon as one of its parts.
pub async fn until_cancelled(config: PathBuf, end: CancellationToken) -> Result<(), RunError> {
    let path = config;
    let config = Arc::new(Config::load(&path)?);
    let mut watch = ConfigWatch::begin(&path, &config)?;
    let daemon = Daemon::start(config, None)?;
    loop {
        tokio::select! {
            () = end.cancelled() => break,
            reading = watch.next() => take_up(&daemon, reading),
        }
    }
    daemon.stop().await;
    Ok(())
}

/// Runs until SIGINT or SIGTERM; on the way, reads the configuration again on SIGHUP and when its files change. A second
/// signal ends the daemon at once.
pub async fn run(args: &Args) -> Result<ExitCode, RunError> {
    let config = match args.file.load() {
        Ok(config) => Arc::new(config),
        Err(code) => return Ok(code),
    };
    let (mut signals, mut hangup) = (Signals::listen()?, signal(SignalKind::hangup())?);
    let mut watch = ConfigWatch::begin(&args.file.config, &config)?;
    warn_of_exposure(&config);
    let directory = args.record.clone().map(|path| Directory { path, redact: args.redact });
    let mut daemon = Daemon::start(config, directory)?;
    let _watchdog = Watchdog::begin();
    service::ready(STATUS);
    loop {
        tokio::select! {
            () = signals.end() => break,
            () = daemon.failed() => {
                daemon.stop().await;
                return Ok(ExitCode::from(exit::FAILURE));
            }
            _ = hangup.recv() => watch.read_again(),
            reading = watch.next() => take_up(&daemon, reading),
        }
    }
    service::stopping();
    info!("ending: runs under way are finished");
    tokio::select! {
        () = daemon.stop() => Ok(ExitCode::SUCCESS),
        () = signals.end() => {
            warn!("ended at once; runs under way begin again at the next start");
            Ok(ExitCode::from(exit::FAILURE))
        }
    }
}

/// Takes a configuration up that was read again. A bad one is refused as a whole, and the former one stays.
fn take_up(daemon: &Daemon, reading: Reading) {
    let config = match reading {
        Reading::Begun => return service::reloading(),
        Reading::Late => return warn!("the configuration is still being read; the former one stays until then"),
        Reading::Ended(config) => *config,
    };
    let taken = config.inspect(warn_of_exposure).and_then(|config| daemon.reload(config));
    if let Err(problems) = taken {
        problems.log();
        error!(problems = problems.count(), "the configuration is refused, and the former one stays");
        return service::ready("the latest configuration is refused, and the former one holds");
    }
    service::ready(STATUS);
}

/// Secrets are better looked up elsewhere, or kept from other users.
fn warn_of_exposure(config: &Config) {
    for file in config.exposed_files() {
        warn!(file = %file.display(), "a file that holds a secret may be read by everybody");
    }
}

/// The signals that end the daemon.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
