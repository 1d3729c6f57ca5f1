//! `hookswitch replay`: which hooks a recording of the Event Socket gives.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::configuration::ConfigFile;
use super::line::moment_line;
use super::printable::printable;
use super::with_causes;
use crate::config::Config;
use crate::esl::recording;
use crate::hook;
use crate::id::{FlowName, NodeName};
use crate::lifecycle::Effects;
use crate::moment::{Moment, Payload};
use crate::printable::EscapingJson;
use crate::recording::Playback;

/// How much is printed at once: some thirty hooks for one system call.
const OUT_BUFFER: usize = 64 * 1024;

/// The arguments of `replay`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Recordings: the bytes of an Event Socket connection, zstd or not; several are one node's successive connections.
    /// `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A configuration: its queues' settings apply, and each hook names the flows that it would start.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How hooks are printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Prints the events beyond the eight as well, whether a hook hears them or not.
    #[arg(long)]
    all: bool,
    /// Prints only hooks that would start a flow.
    #[arg(long, requires = "config")]
    subscribed: bool,
}

/// How hooks are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line for people.
    Table,
    /// A JSON object with all fields.
    Jsonl,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A recording cannot be opened.
    #[error("{} cannot be read", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Write(#[from] io::Error),
}

/// Replays the recordings. Damage in one is told and does not hide what came before it; it exits with 1 then.
pub fn run(args: &Args) -> Result<ExitCode, ReplayError> {
    let config = match &args.config {
        None => Config::default(),
        Some(file) => match (ConfigFile { config: file.clone() }).load_without_secrets() {
            Ok(config) => config,
            Err(code) => return Ok(code),
        },
    };
    let mut replay = Replay::new(Arc::new(config), args.output(), stdout(args.format));
    if args.all {
        replay.playback.tell_all();
    }
    for file in &args.files {
        replay.play_file(file)?;
    }
    replay.finish()
}

/// Standard output. JSON has no colours to be taken out where nobody would see them.
fn stdout(format: Format) -> Box<dyn Write> {
    match format {
        Format::Table => Box::new(anstream::stdout()),
        Format::Jsonl => Box::new(io::stdout()),
    }
}

impl Args {
    fn output(&self) -> Output {
        Output { format: self.format, flows: self.config.is_some(), only_subscribed: self.subscribed }
    }
}

/// What of a hook is printed, and how.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The form of a line.
    pub format: Format,
    /// Whether it names the flows that the hook would start.
    pub flows: bool,
    /// Whether hooks that would start none are left out.
    pub only_subscribed: bool,
}

/// The replay of one node's recordings.
#[derive(Debug)]
pub struct Replay<W: Write> {
    playback: Playback,
    config: Arc<Config>,
    output: Output,
    out: BufWriter<W>,
    damaged: bool,
}

/// A hook, as `jsonl` prints it.
#[derive(Serialize)]
struct Hook<'a> {
    #[serde(flatten)]
    payload: &'a Payload,
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<Vec<&'a FlowName>>,
}

impl<W: Write> Replay<W> {
    /// A replay that prints to `out`.
    pub fn new(config: Arc<Config>, output: Output, out: W) -> Self {
        let node = config.freeswitch.first().map_or_else(|| NodeName::from("fs1"), |node| node.name.clone());
        let playback = Playback::new(node, Arc::clone(&config));
        Self { playback, config, output, out: BufWriter::with_capacity(OUT_BUFFER, out), damaged: false }
    }

    fn play_file(&mut self, file: &Path) -> Result<(), ReplayError> {
        let reader = recording::open(file).map_err(|source| ReplayError::Open { file: file.to_owned(), source })?;
        self.play(reader, file)
    }

    /// Replays one recording, which problems call `name`.
    pub fn play(&mut self, reader: impl Read, name: &Path) -> Result<(), ReplayError> {
        self.playback.begin();
        let (mut items, mut effects) = (recording::events(reader), Effects::default());
        while let Some(item) = items.next() {
            match item {
                Ok(item) => {
                    if let Err(error) = self.playback.play(item, &mut effects) {
                        self.tell_damage(name, &format!("byte {}: {}", items.offset(), with_causes(&error)))?;
                        if error.is_final() {
                            break;
                        }
                    }
                }
                Err(damage) => self.tell_damage(name, &with_causes(&damage))?,
            }
            self.print(&mut effects)?;
        }
        Ok(())
    }

    fn tell_damage(&mut self, name: &Path, damage: &str) -> Result<(), ReplayError> {
        self.damaged = true;
        self.out.flush()?;
        writeln!(anstream::stderr(), "hookswitch: {}: {}", printable(&name.to_string_lossy()), printable(damage))?;
        Ok(())
    }

    fn print(&mut self, effects: &mut Effects) -> Result<(), ReplayError> {
        effects.changed.clear();
        for moment in effects.moments.drain(..) {
            print(self.output, &self.config, moment, &mut self.out)?;
        }
        Ok(())
    }

    /// Prints the moments of attempts whose end was seen, and tells how many are still open.
    pub fn finish(mut self) -> Result<ExitCode, ReplayError> {
        let mut effects = Effects::default();
        self.playback.finish(&mut effects);
        self.print(&mut effects)?;
        self.out.flush()?;
        let mut err = anstream::stderr().lock();
        match self.playback.lifecycle().live() {
            0 => {}
            1 => writeln!(err, "1 attempt is still open at the end of the recording.")?,
            open => writeln!(err, "{open} attempts are still open at the end of the recording.")?,
        }
        for (anomaly, count) in self.playback.anomalies().iter() {
            writeln!(err, "{count} × {}", printable(&anomaly.to_string()))?;
        }
        let gaps = self.playback.gaps();
        if gaps.missing_bytes > 0 {
            writeln!(err, "{} bytes could not be recorded: this is not the whole story.", gaps.missing_bytes)?;
        }
        if gaps.configurations > 0 {
            writeln!(err, "The configuration was changed while this was recorded; the replay uses one throughout.")?;
        }
        Ok(if self.damaged { ExitCode::from(super::exit::FAILURE) } else { ExitCode::SUCCESS })
    }
}

fn print(output: Output, config: &Config, moment: Moment, out: &mut impl Write) -> Result<(), ReplayError> {
    for (moment, runs) in hook::plan(config, moment) {
        if output.only_subscribed && runs.is_empty() {
            continue;
        }
        let flows = output.flows.then(|| runs.iter().map(|run| &run.flow.name).collect());
        let hook = Hook { payload: &moment.payload, flows };
        match output.format {
            Format::Table => {
                write!(out, "{}", moment_line(&moment.payload))?;
                for flow in hook.flows.iter().flatten() {
                    write!(out, "  → {}", printable(flow.as_str()))?;
                }
                writeln!(out)?;
            }
            Format::Jsonl => {
                serde_json::to_writer(EscapingJson(&mut *out), &hook).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}
