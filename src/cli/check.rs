//! `hookswitch check`: all problems of a configuration at once.

mod destinations;
mod freeswitch;
mod outbox;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use super::configuration::ConfigFile;
use super::exit;
use super::printable::printable;
use crate::config::problem::Drawing;
use crate::config::{Config, Problems};

/// The arguments of `check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// Looks at the outbox and signs in to each destination and each FreeSWITCH as well, tells what is wrong there, and
    /// which configured queues no FreeSWITCH has.
    #[arg(long)]
    connect: bool,
}

/// Prints the problems, or in a few words what the configuration holds. Exits with 2 if there are problems, and with 1 if
/// something is wrong with the outbox, a destination or a FreeSWITCH.
pub async fn run(args: &Args) -> io::Result<ExitCode> {
    let mut out = io::stdout();
    let drawing = if out.is_terminal() { Drawing::Terminal } else { Drawing::Plain };
    match Config::load(&args.file.config) {
        Ok(config) => {
            summarize(&config, &mut out)?;
            let is_well = !args.connect
                || outbox::look(&config.outbox, &mut out)?
                    & destinations::connect(&config, &mut out).await?
                    & freeswitch::connect(&config, &mut out).await?;
            Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILURE) })
        }
        Err(problems) => show(&problems, drawing, &mut out).map(|()| ExitCode::from(exit::CONFIGURATION)),
    }
}

fn show(problems: &Problems, drawing: Drawing, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}{}", problems.draw(drawing), counted(problems.count(), "problem"))
}

fn summarize(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let counts = [
        counted(config.freeswitch.len(), "FreeSWITCH node"),
        counted(config.queue_pattern_count(), "queue pattern"),
        counted(config.hooks().count(), "hook"),
        counted(config.flows().len(), "flow"),
    ];
    writeln!(out, "The configuration is good: {}.", counts.join(", "))?;
    if let Err(problem) = config.require_freeswitch() {
        writeln!(out, "But {problem}, which is enough to replay and not to run: {}.", problem.remedy())?;
    }
    for file in config.exposed_files() {
        let file = printable(&file.to_string_lossy());
        writeln!(out, "But {file} holds a secret and may be read by everybody: chmod o-r it.")?;
    }
    Ok(())
}

fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        let mut out = Vec::new();
        match Config::from_toml("test.toml", text) {
            Ok(config) => summarize(&config, &mut out),
            Err(problems) => show(&problems, Drawing::Plain, &mut out),
        }
        .expect("writes");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_good_configuration_is_summed_up() {
        assert_eq!(
            printed("[flows.f]\nsteps = [{ log = { message = 'x' } }]\n"),
            "The configuration is good: 0 FreeSWITCH nodes, 0 queue patterns, 0 hooks, 1 flow.\n\
             But no FreeSWITCH is configured, which is enough to replay and not to run: \
             add [[freeswitch]] with name, address and password.\n"
        );
    }

    #[test]
    fn problems_are_counted() {
        assert!(printed("x = 1\ny = 2\n").ends_with("\n2 problems\n"));
    }
}
