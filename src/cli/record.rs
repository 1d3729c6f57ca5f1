//! `hookswitch record`: what a FreeSWITCH says, in a file that `hookswitch replay` reads.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::configuration::ConfigFile;
use super::exit;
use super::interrupt::{interrupted_or_after, parse_span};
use super::printable::printable;
use crate::config::Config;
use crate::config::freeswitch::FreeswitchNode;
use crate::daemon::StartError;
use crate::esl::Nodes;
use crate::esl::codec::READ_BUFFER;
use crate::esl::feed::EVENT_CAPACITY;
use crate::esl::recording as reader;
use crate::id::NodeName;
use crate::node::follower::Order;
use crate::node::surroundings::Surroundings;
use crate::node::{Follower, LiveAttempts};
use crate::recording::Tap;
use crate::recording::mark::Writer;
use crate::recording::recorder::{self, Recording, Settings, Summary};
use crate::recording::redaction::{Key, Redaction};
use crate::recording::sink::Sink;

/// The arguments of `record`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The new recording; compressed if its name ends in .zst.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Hides callers' numbers and names: the same number becomes the same other number, which nobody can trace back.
    #[arg(long)]
    redact: bool,
    #[command(flatten)]
    file: ConfigFile,
    /// Which of the configuration's FreeSWITCH nodes.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Ends after this time (`30s`, `2h 30m`); without it, when interrupted.
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
    span: Option<Duration>,
    /// Copies a recording instead, to redact it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["node", "span"])]
    from: Option<PathBuf>,
}

/// Why there is no recording, or only a part of one.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be made.
    #[error("{} cannot be made", file.display())]
    Create {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not known which node is meant.
    #[error("which FreeSWITCH? --node takes one of: {0}")]
    Node(String),
    /// The node cannot be followed.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The recording ended early.
    #[error("the recording {} ended early: {unwritten} bytes are not in it", file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// How many bytes are not written.
        unwritten: u64,
        /// Why.
        source: io::Error,
    },
    /// The recording that is to be copied cannot be opened.
    #[error("{} cannot be read", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The recording that is copied cannot be read to its end.
    #[error("{} cannot be read on; what came before is in the copy", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The copy cannot be written: the disk is full, or what is to be redacted are not frames.
    #[error("{} cannot be written on", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The terminal or the signals are gone.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Records until the time is over or somebody interrupts.
pub async fn run(args: Args) -> Result<ExitCode, RecordError> {
    let redaction = if args.redact { Some(Redaction::new(Key::random()?)) } else { None };
    if let Some(from) = &args.from {
        return copy(from, &args.out, redaction);
    }
    let config = match args.file.load() {
        Ok(config) => Arc::new(config),
        Err(code) => return Ok(code),
    };
    let node = choose(&config, args.node.as_deref())?;
    let sendable = node.link_address();
    let address = sendable.map_err(|source| StartError::Password { node: node.name.clone(), source })?;
    let settings = Settings { file: args.out.clone(), node: node.name.clone(), by: Writer::Recorder, redaction };
    let (recorder, mut recording) =
        recorder::begin(settings).map_err(|source| RecordError::Create { file: args.out.clone(), source })?;
    writeln!(anstream::stderr(), "Recording {} into {}.", printable(node.name.as_str()), args.out.display())?;

    let (_unchanged, config) = watch::channel(Arc::clone(&config));
    let around = Surroundings {
        config,
        outbox: None,
        live: LiveAttempts::default(),
        nodes: Nodes::default(),
        event_capacity: EVENT_CAPACITY,
    };
    let (orders, obeyed) = mpsc::channel(1);
    let follower = Follower::new(address.name.clone(), obeyed, around, Tap::into(recorder, address.name.clone()));
    let end = CancellationToken::new();
    let following = tokio::spawn(follower.run(end.clone()));
    // A follower that has failed takes no orders, and tells below why.
    let _ = orders.send(Order::Follow(Box::new(address), Vec::new())).await;
    let interrupted = until_over(args.span, &mut recording).await;
    end.cancel();
    following.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
    let summary = recording.ended().await;
    interrupted?;
    tell(&args.out, summary)
}

/// The node that is meant: the only one, unless one is named.
fn choose<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a FreeswitchNode, RecordError> {
    let nodes = config.require_freeswitch().map_err(|problem| StartError::NoNode(Box::new(problem)))?;
    let mut meant = nodes.iter().filter(|node| name.is_none_or(|name| node.name.as_str() == name));
    match (meant.next(), meant.next()) {
        (Some(node), None) => Ok(node),
        _ => {
            let names: Vec<_> = nodes.iter().map(|node| NodeName::as_str(&node.name)).collect();
            Err(RecordError::Node(names.join(", ")))
        }
    }
}

async fn until_over(span: Option<Duration>, recording: &mut Recording) -> io::Result<()> {
    tokio::select! {
        interrupted = interrupted_or_after(span) => interrupted,
        () = recording.failed() => Ok(()),
    }
}

/// Tells what became of it. What lacks frames is no success.
fn tell(file: &Path, summary: Summary) -> Result<ExitCode, RecordError> {
    let Summary { written, unwritten, failure } = summary;
    if let Some(source) = failure {
        return Err(RecordError::Failed { file: file.to_owned(), unwritten, source });
    }
    let mut err = anstream::stderr();
    writeln!(err, "{} has {written} bytes of the Event Socket.", file.display())?;
    if unwritten == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(err, "{unwritten} bytes more could not be written as quickly as they came.")?;
    Ok(ExitCode::from(exit::FAILURE))
}

/// Copies a recording.
fn copy(from: &Path, to: &Path, redaction: Option<Redaction>) -> Result<ExitCode, RecordError> {
    let unreadable = |source| RecordError::Read { file: from.to_owned(), source };
    let unwritten = |source| RecordError::Write { file: to.to_owned(), source };
    let mut reader = reader::open(from).map_err(|source| RecordError::Open { file: from.to_owned(), source })?;
    let mut sink = Sink::create(to, redaction).map_err(|source| RecordError::Create { file: to.to_owned(), source })?;
    let copied = copy_frames(&mut reader, &mut sink).map_err(|failure| match failure {
        CopyFailure::Read(source) => unreadable(source),
        CopyFailure::Write(source) => unwritten(source),
    });
    // What came before a failure is a recording all the same.
    sink.finish().map_err(unwritten)?;
    copied?;
    if let Some(redaction) = sink.redaction() {
        if redaction.left_out() > 0 {
            writeln!(anstream::stderr(), "{} frames could not be read and are left out.", redaction.left_out())?;
        }
        redaction.finish().map_err(io::Error::other).map_err(unreadable)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Which end of a copy failed.
enum CopyFailure {
    Read(io::Error),
    Write(io::Error),
}

fn copy_frames(reader: &mut impl Read, sink: &mut Sink) -> Result<(), CopyFailure> {
    let mut buffer = vec![0; READ_BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => sink.write(&buffer[..count]).map_err(CopyFailure::Write)?,
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(CopyFailure::Read(source)),
        }
    }
}
