//! Commands from any task to the commands connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::DropGuard;

use super::command::Command;
use super::exit::Exit;
use super::link::{ConnectionState, LinkState};
use super::running_clock::RunningClock;
use super::session::{MAX_PENDING, Refusal};

/// How long after a command's time the connection may take to tell that it has passed.
const JUDGEMENT: Duration = Duration::from_secs(2);

/// Gives commands to one FreeSWITCH; several tasks may do so at once. The connection is closed when the last clone is
/// dropped.
#[derive(Clone, Debug)]
pub struct Commands {
    requests: mpsc::Sender<Request>,
    state: watch::Receiver<LinkState>,
    clock: Arc<RunningClock>,
    _alive: Arc<DropGuard>,
}

/// Why a command has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// The command was never sent: there was no connection in all that time.
    #[error("FreeSWITCH is not connected")]
    NotConnected(#[source] Option<Exit>),
    /// The command was sent and not answered in time; whether it was run is not known.
    #[error("FreeSWITCH did not answer in time")]
    TimedOut,
    /// The connection ended after the command was sent; whether it was run is not known.
    #[error("the connection ended before FreeSWITCH answered")]
    Lost(#[source] Exit),
    /// FreeSWITCH answered, with an error.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The link was shut down.
    #[error("the link to FreeSWITCH was shut down")]
    ShutDown,
}

impl CommandError {
    /// Whether FreeSWITCH may have run the command, so that giving it again could do it twice.
    pub const fn may_have_run(&self) -> bool {
        match self {
            Self::NotConnected(_) => false,
            Self::TimedOut | Self::Lost(_) | Self::Refused(_) | Self::ShutDown => true,
        }
    }
}

impl Commands {
    pub(super) fn new(
        state: watch::Receiver<LinkState>,
        clock: Arc<RunningClock>,
        alive: DropGuard,
    ) -> (Self, mpsc::Receiver<Request>) {
        // As many wait here as wait for FreeSWITCH: who comes later waits for a place, within his own time limit.
        let (requests, receiver) = mpsc::channel(MAX_PENDING);
        (Self { requests, state, clock, _alive: Arc::new(alive) }, receiver)
    }

    /// Gives a command and waits [`Command::USUAL_TIMEOUT`] for its answer.
    pub async fn api(&self, command: Command) -> Result<Bytes, CommandError> {
        self.api_within(command, Command::USUAL_TIMEOUT).await
    }

    /// Gives a command and waits for its answer: the body of an `api` command's response, or the text of another's reply.
    /// Without a connection it waits for one, as long as its time lasts.
    ///
    /// If the future is dropped the command may still be run, and its answer goes to nobody.
    pub async fn api_within(&self, command: Command, limit: Duration) -> Result<Bytes, CommandError> {
        let deadline = self.clock.now() + limit;
        let sent = Arc::new(AtomicBool::new(false));
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter { reply, sent: Arc::clone(&sent), deadline };
        let asked = async {
            self.requests.send(Request { command, waiter }).await.map_err(|_| CommandError::ShutDown)?;
            answer.await.unwrap_or(Err(CommandError::ShutDown))
        };
        tokio::pin!(asked);
        if let Ok(answer) = self.clock.timeout_at(deadline, &mut asked).await {
            return answer;
        }
        if !sent.load(Ordering::Acquire) {
            return Err(self.not_connected());
        }
        // The connection knows better: it reads first what has come.
        self.clock.timeout(JUDGEMENT, asked).await.unwrap_or(Err(CommandError::TimedOut))
    }

    fn not_connected(&self) -> CommandError {
        CommandError::NotConnected(match &self.state.borrow().commands {
            ConnectionState::Waiting { reason, .. } => Some(reason.clone()),
            ConnectionState::Connecting { .. } | ConnectionState::Ready | ConnectionState::Ended => None,
        })
    }
}

/// A command on its way to the connection.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) waiter: Waiter,
}

/// Who waits for the answer.
#[derive(Debug)]
pub(super) struct Waiter {
    reply: oneshot::Sender<Result<Bytes, CommandError>>,
    sent: Arc<AtomicBool>,
    pub(super) deadline: Instant,
}

impl Waiter {
    /// Whether anybody still wants the command to be sent.
    pub(super) fn is_waiting(&self, now: Instant) -> bool {
        now < self.deadline && !self.reply.is_closed()
    }

    /// Notes that the command is about to be sent.
    pub(super) fn mark_sent(&self) {
        self.sent.store(true, Ordering::Release);
    }

    /// Hands over the answer; nobody may be there to take it.
    pub(super) fn answer(self, result: Result<Bytes, Refusal>) {
        let _ = self.reply.send(result.map_err(CommandError::Refused));
    }

    /// Tells that the connection ended before the answer came.
    pub(super) fn give_up(self, now: Instant, exit: &Exit) {
        let error = if self.deadline <= now { CommandError::TimedOut } else { CommandError::Lost(exit.clone()) };
        let _ = self.reply.send(Err(error));
    }
}
