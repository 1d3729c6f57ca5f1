//! The command line: one file for each command.

pub mod check;
pub mod configuration;
pub mod deliveries;
pub mod demo;
pub mod exit;
pub mod hooks;
pub mod init;
mod interrupt;
mod line;
pub mod outbox;
pub mod password;
mod paths;
mod printable;
pub mod record;
pub mod replay;
pub mod run;
pub mod simulate;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;

use crate::telemetry;

/// Queue webhooks and flows for FreeSWITCH call centers.
#[derive(Debug, Parser)]
#[command(name = "hookswitch", version, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Follows FreeSWITCH and delivers hooks: the daemon.
    Run(run::Args),
    /// Shows everything at once, with nothing to install: a simulated FreeSWITCH, the daemon, and each webhook.
    Demo(demo::Args),
    /// Writes a commented configuration and a signing secret to begin with.
    Init(init::Args),
    /// Tells all problems of a configuration at once.
    Check(check::Args),
    /// Records what a FreeSWITCH says, to be replayed elsewhere.
    Record(record::Args),
    /// Tells which hooks a recording of the Event Socket gives.
    Replay(replay::Args),
    /// Runs a simulated FreeSWITCH alone, to test flows without phones.
    Simulate(simulate::Args),
    /// Tells what hooks there are and what they carry, and tries a flow.
    Hooks(hooks::Args),
    /// Shows what became of hooks, sends them again and cancels them.
    Deliveries(deliveries::Args),
    /// Backs up and restores what is stored, and erases a person from it.
    Outbox(outbox::Args),
    /// Prints the hash of a password, for `[[http.users]]`.
    Password(password::Args),
}

/// Does what the arguments say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Run(args) => {
            telemetry::log::begin_as(args.log_format, "info");
            blocking(run::run(&args))
        }
        Command::Demo(args) => {
            telemetry::log::begin("warn");
            blocking(demo::run(args, run::until_cancelled))
        }
        Command::Simulate(args) => {
            telemetry::log::begin("info");
            blocking(simulate::run(args))
        }
        Command::Record(args) => {
            telemetry::log::begin("warn");
            blocking(record::run(args))
        }
        Command::Init(args) => ended(init::run(args)),
        Command::Check(args) => blocking(check::run(&args)),
        Command::Replay(args) => ended(replay::run(&args)),
        Command::Hooks(args) => {
            telemetry::log::begin("warn");
            blocking(hooks::run(&args))
        }
        Command::Deliveries(args) => ended(deliveries::run(args)),
        Command::Outbox(args) => ended(outbox::run(args)),
        Command::Password(args) => ended(password::run(args)),
    };
    done.unwrap_or_else(|failure| {
        complain(&*failure);
        ExitCode::from(exit::FAILURE)
    })
}

type Failure = Box<dyn Error>;

fn ended<E: Error + 'static>(result: Result<ExitCode, E>) -> Result<ExitCode, Failure> {
    match result {
        Err(failure) if is_broken_pipe(&failure) => Ok(ExitCode::SUCCESS),
        result => Ok(result?),
    }
}

/// Runs a command that waits for networks.
fn blocking<E: Error + 'static>(command: impl Future<Output = Result<ExitCode, E>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    ended(runtime.block_on(command))
}

/// Whether nobody reads the output any more (`hookswitch replay … | head`): that is no failure.
fn is_broken_pipe(failure: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(failure);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Says what went wrong.
fn complain(failure: &dyn Error) {
    // Who closed standard error does not want to know.
    let _ = writeln!(anstream::stderr(), "hookswitch: {}", printable::printable(&with_causes(failure)));
}

/// An error and its causes in one line, each said once.
fn with_causes(failure: &dyn Error) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    text
}
