//! One connection, from its making to its end: bytes in and out of the socket, and the session in between.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::codec::{Decoded, FrameCodec, make_room};
use super::commands::{Request, Waiter};
use super::exit::Exit;
use super::feed::{EventItem, Feed};
use super::link::{NodeAddress, Tally};
use super::running_clock::RunningClock;
use super::session::{Anomaly, Purpose, Session, Step};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// How long it is waited at least for what waits in the socket.
const LEAST_STEP: Duration = Duration::from_millis(5);

/// Follows the events until the connection ends; `ready` is called once it is subscribed.
pub(super) async fn follow_events(
    node: &NodeAddress,
    feed: &mut Feed,
    tally: &Tally,
    clock: &RunningClock,
    mut ready: impl FnMut(),
) -> Exit {
    let follow = async {
        let mut wire = Wire::dial(node, clock).await?;
        wire.codec = FrameCodec::of_short_replies();
        let mut session: Session<Infallible> = Session::new(Purpose::Events, node, clock.now());
        loop {
            let now = clock.now();
            while let Some(decoded) = wire.next_frame()? {
                feed.give_aside(&decoded);
                match session.receive(decoded, now, &mut wire.outbound)? {
                    Step::SignIn => {}
                    Step::Ready => {
                        ready();
                        feed.give(EventItem::Connected);
                    }
                    Step::Event(event) => feed.give(EventItem::Event(event)),
                    Step::Reply(nobody, _) => match nobody {},
                    Step::Anomaly(anomaly) => count(&anomaly, tally),
                }
            }
            wire.judge(&mut session, clock)?;
            // In this order: a debt is paid in a flood too.
            tokio::select! {
                biased;
                () = feed.settle(), if feed.owes() => {}
                turn = wire.turn() => note(turn?, &mut session, clock),
                () = step_towards(session.next_deadline(), clock) => {}
            }
        }
    };
    reason(follow.await)
}

/// Carries commands and their replies until the connection ends; `ready` is called once it is signed in.
pub(super) async fn carry_commands(
    node: &NodeAddress,
    requests: &mut mpsc::Receiver<Request>,
    tally: &Tally,
    clock: &RunningClock,
    mut ready: impl FnMut(),
) -> Exit {
    let mut session: Session<Waiter> = Session::new(Purpose::Commands, node, clock.now());
    let carry = async {
        let mut wire = Wire::dial(node, clock).await?;
        loop {
            let now = clock.now();
            while let Some(decoded) = wire.next_frame()? {
                match session.receive(decoded, now, &mut wire.outbound)? {
                    Step::SignIn => {}
                    Step::Ready => ready(),
                    Step::Event(_) => Tally::add(&tally.unasked, 1),
                    Step::Reply(waiter, result) => waiter.answer(result),
                    Step::Anomaly(anomaly) => count(&anomaly, tally),
                }
            }
            wire.judge(&mut session, clock)?;
            tokio::select! {
                biased;
                turn = wire.turn() => note(turn?, &mut session, clock),
                Some(request) = requests.recv(), if session.has_room() => {
                    submit(request, &mut session, clock.now(), &mut wire.outbound);
                }
                () = step_towards(session.next_deadline(), clock) => {}
            }
        }
    };
    let exit = reason(carry.await);
    session.into_waiters().for_each(|waiter| waiter.give_up(clock.now(), &exit));
    exit
}

/// A socket with what was read from it and what is to be written.
struct Wire {
    stream: TcpStream,
    codec: FrameCodec,
    inbound: BytesMut,
    outbound: BytesMut,
    /// How many of the bytes are still to be read that waited in the socket when a deadline was found to have passed.
    unread: Option<u64>,
    /// The clock's pauses that the session knows of.
    pauses: u64,
}

/// What became of one turn at the socket.
enum Turn {
    Read,
    Wrote,
}

impl Wire {
    async fn dial(node: &NodeAddress, clock: &RunningClock) -> Result<Self, Exit> {
        let limit = node.connect_timeout;
        let connected = clock.timeout(limit, connect(&node.address)).await;
        let mut wire = connected.map_err(|_| Exit::ConnectTimeout(limit))??;
        wire.pauses = clock.pauses();
        Ok(wire)
    }

    /// Ends the connection if a deadline has passed, and nothing that came before it was found is left to be read.
    ///
    /// The runtime can't be asked: after a pause it says for a moment that there is nothing to read, because timers go first.
    fn judge<W>(&mut self, session: &mut Session<W>, clock: &RunningClock) -> Result<(), Exit> {
        let (now, pauses) = (clock.now(), clock.pauses());
        if std::mem::replace(&mut self.pauses, pauses) != pauses {
            tracing::debug!("this process was paused; FreeSWITCH's silence is measured anew");
            session.resume(now);
        }
        if session.next_deadline().is_none_or(|deadline| now < deadline) {
            self.unread = None;
            return Ok(());
        }
        let stream = &self.stream;
        let unread = self.unread.get_or_insert_with(|| rustix::io::ioctl_fionread(stream).unwrap_or(0));
        if *unread > 0 {
            return Ok(());
        }
        self.unread = None;
        session.handle_timeout(now)
    }

    fn next_frame(&mut self) -> Result<Option<Decoded>, Exit> {
        Ok(self.codec.next_frame(&mut self.inbound)?)
    }

    /// Waits until bytes came or went. Nothing is lost if the future is dropped.
    async fn turn(&mut self) -> Result<Turn, Exit> {
        let Self { stream, codec, inbound, outbound, unread, .. } = self;
        let (mut reader, mut writer) = stream.split();
        make_room(inbound);
        tokio::select! {
            read = reader.read_buf(inbound) => match read.map_err(Exit::lost)? {
                0 => {
                    codec.finish(inbound)?;
                    Err(Exit::lost(io::ErrorKind::UnexpectedEof.into()))
                }
                count => {
                    *unread = unread.map(|left| left.saturating_sub(count as u64));
                    Ok(Turn::Read)
                }
            },
            wrote = writer.write_buf(outbound), if !outbound.is_empty() => match wrote.map_err(Exit::lost)? {
                0 => Err(Exit::lost(io::ErrorKind::WriteZero.into())),
                _ => Ok(Turn::Wrote),
            },
        }
    }
}

async fn connect(address: &str) -> Result<Wire, Exit> {
    let addresses: Vec<_> =
        tokio::net::lookup_host(address).await.map_err(|error| Exit::Unresolved(Arc::new(error)))?.collect();
    let stream = TcpStream::connect(&addresses[..]).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => Exit::Refused,
        _ => Exit::Unreachable(Arc::new(error)),
    })?;
    // Commands are short and wanted at once. A socket that refuses the option works all the same.
    let _ = stream.set_nodelay(true);
    Ok(Wire {
        stream,
        codec: FrameCodec::default(),
        inbound: BytesMut::new(),
        outbound: BytesMut::new(),
        unread: None,
        pauses: 0,
    })
}

fn submit(request: Request, session: &mut Session<Waiter>, now: Instant, outbound: &mut BytesMut) {
    let Request { command, waiter } = request;
    if waiter.is_waiting(now) {
        waiter.mark_sent();
        let deadline = waiter.deadline;
        session.submit(&command, waiter, deadline, outbound);
    }
}

fn note<W>(turn: Turn, session: &mut Session<W>, clock: &RunningClock) {
    match turn {
        Turn::Read => session.note_bytes(clock.now()),
        Turn::Wrote => {}
    }
}

fn count(anomaly: &Anomaly, tally: &Tally) {
    let counter = match anomaly {
        Anomaly::Skipped(_) => &tally.skipped,
        Anomaly::MalformedEvent(_) | Anomaly::CutEvent | Anomaly::NamelessEvent => &tally.malformed,
        Anomaly::Unasked(_) => &tally.unasked,
    };
    Tally::add(counter, 1);
    tracing::debug!(?anomaly, "frame passed over");
}

fn reason(ended: Result<Infallible, Exit>) -> Exit {
    match ended {
        Ok(never) => match never {},
        Err(exit) => exit,
    }
}

async fn step_towards(deadline: Option<Instant>, clock: &RunningClock) {
    match deadline {
        // Where a deadline is over, what waits in the socket is about to be read.
        Some(deadline) => clock.step_towards(deadline.max(clock.now() + LEAST_STEP)).await,
        None => std::future::pending().await,
    }
}
