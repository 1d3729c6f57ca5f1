//! One connection, from its making to its end: bytes in and out of the socket, and the session in between.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::codec::{Decoded, FrameCodec, make_room};
use super::commands::{Request, Waiter};
use super::exit::Exit;
use super::feed::{EventItem, Feed};
use super::link::{NodeAddress, Tally};
use super::session::{Anomaly, Purpose, Session, Step};

/// Follows the events until the connection ends; `ready` is called once it is subscribed.
pub(super) async fn follow_events(node: &NodeAddress, feed: &mut Feed, tally: &Tally, mut ready: impl FnMut()) -> Exit {
    let follow = async {
        let mut wire = Wire::dial(node).await?;
        let mut session: Session<Infallible> = Session::new(Purpose::Events, node, now());
        loop {
            while let Some(decoded) = wire.next_frame()? {
                feed.give_aside(&decoded);
                match session.receive(decoded, &mut wire.outbound)? {
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
            // In this order: a debt is paid in a flood too, and what has come is read before its lateness is judged.
            tokio::select! {
                biased;
                () = feed.settle(), if feed.owes() => {}
                turn = wire.turn() => note(turn?, &mut session),
                () = until(session.next_deadline()) => session.handle_timeout(now())?,
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
    mut ready: impl FnMut(),
) -> Exit {
    let mut session: Session<Waiter> = Session::new(Purpose::Commands, node, now());
    let carry = async {
        let mut wire = Wire::dial(node).await?;
        loop {
            while let Some(decoded) = wire.next_frame()? {
                match session.receive(decoded, &mut wire.outbound)? {
                    Step::SignIn => {}
                    Step::Ready => ready(),
                    Step::Event(_) => Tally::add(&tally.unasked, 1),
                    Step::Reply(waiter, result) => waiter.answer(result),
                    Step::Anomaly(anomaly) => count(&anomaly, tally),
                }
            }
            // In this order: an answer that has come is read before its lateness is judged.
            tokio::select! {
                biased;
                turn = wire.turn() => note(turn?, &mut session),
                Some(request) = requests.recv(), if session.has_room() => {
                    submit(request, &mut session, &mut wire.outbound);
                }
                () = until(session.next_deadline()) => session.handle_timeout(now())?,
            }
        }
    };
    let exit = reason(carry.await);
    session.into_waiters().for_each(|waiter| waiter.give_up(now(), &exit));
    exit
}

/// A socket with what was read from it and what is to be written.
struct Wire {
    stream: TcpStream,
    codec: FrameCodec,
    inbound: BytesMut,
    outbound: BytesMut,
}

/// What became of one turn at the socket.
enum Turn {
    Read,
    Wrote,
}

impl Wire {
    async fn dial(node: &NodeAddress) -> Result<Self, Exit> {
        let limit = node.connect_timeout;
        timeout(limit, connect(&node.address)).await.map_err(|_| Exit::ConnectTimeout(limit))?
    }

    fn next_frame(&mut self) -> Result<Option<Decoded>, Exit> {
        Ok(self.codec.next_frame(&mut self.inbound)?)
    }

    /// Waits until bytes came or went. Nothing is lost if the future is dropped.
    async fn turn(&mut self) -> Result<Turn, Exit> {
        let Self { stream, codec, inbound, outbound } = self;
        let (mut reader, mut writer) = stream.split();
        make_room(inbound);
        tokio::select! {
            read = reader.read_buf(inbound) => match read.map_err(Exit::lost)? {
                0 => {
                    codec.finish(inbound)?;
                    Err(Exit::lost(io::ErrorKind::UnexpectedEof.into()))
                }
                _ => Ok(Turn::Read),
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
    Ok(Wire { stream, codec: FrameCodec::default(), inbound: BytesMut::new(), outbound: BytesMut::new() })
}

fn submit(request: Request, session: &mut Session<Waiter>, outbound: &mut BytesMut) {
    let Request { command, waiter } = request;
    if waiter.is_waiting(now()) {
        waiter.mark_sent();
        let deadline = waiter.deadline;
        session.submit(&command, waiter, deadline, outbound);
    }
}

fn note<W>(turn: Turn, session: &mut Session<W>) {
    match turn {
        Turn::Read => session.heard(now()),
        Turn::Wrote => {}
    }
}

fn count(anomaly: &Anomaly, tally: &Tally) {
    let counter = match anomaly {
        Anomaly::Skipped(_) => &tally.skipped,
        Anomaly::MalformedEvent(_) => &tally.malformed,
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

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// The time of tokio's clock, which tests can hold still.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
