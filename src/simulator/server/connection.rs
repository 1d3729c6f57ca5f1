//! One client.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use super::command::{Command, CommandCodec, RawCommand};
use super::exchange::{Client, Request};
use super::subscription::Subscription;

/// What FreeSWITCH says when it goes down.
const GOING_DOWN: &str = "The system is being shut down.\n";
/// What it says to a client that leaves, or that it gives up.
const GOODBYE: &str = "Disconnected.\n";

/// What every connection needs.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) password: Arc<str>,
    /// How many frames wait for a client that reads slowly.
    pub(super) queue_frames: usize,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) shutdown: CancellationToken,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    GoOn,
    Close,
}

/// Serves one client until it leaves, FreeSWITCH goes down, or the connection fails.
pub(super) async fn serve(mut socket: TcpStream, peer: SocketAddr, terms: Terms) {
    tracing::debug!(%peer, "client connected");
    let (frames, events) = mpsc::channel(terms.queue_frames);
    let subscription = Arc::default();
    let client = Client { subscription: Arc::clone(&subscription), frames, lost: 0 };
    if terms.requests.send(Request::Join(client)).await.is_err() {
        return;
    }
    let mut session = Session { terms, subscription, signed_in: false, logging: false };
    match session.run(&mut socket, events).await {
        Ok(()) => tracing::debug!(%peer, "client gone"),
        Err(error) => tracing::debug!(%peer, %error, "client lost"),
    }
}

/// What is known of one client.
#[derive(Debug)]
struct Session {
    terms: Terms,
    subscription: Arc<Mutex<Subscription>>,
    signed_in: bool,
    logging: bool,
}

impl Session {
    /// Events first: as in FreeSWITCH, a command is read once the events before it are sent.
    async fn run(&mut self, socket: &mut TcpStream, mut events: mpsc::Receiver<Bytes>) -> std::io::Result<()> {
        socket.write_all(b"Content-Type: auth/request\n\n").await?;
        let (mut codec, mut bytes) = (CommandCodec::default(), BytesMut::new());
        loop {
            tokio::select! {
                biased;
                frame = events.recv() => match frame {
                    Some(frame) => socket.write_all(&frame).await?,
                    None => {
                        let word = if self.terms.shutdown.is_cancelled() { GOING_DOWN } else { GOODBYE };
                        return self.take_leave(socket, word).await;
                    }
                },
                read = socket.read_buf(&mut bytes) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    while let Some(command) = codec.decode(&mut bytes).map_err(std::io::Error::other)? {
                        let (reply, after) = self.answer(command).await;
                        socket.write_all(reply.as_bytes()).await?;
                        if after == After::Close {
                            return self.take_leave(socket, GOODBYE).await;
                        }
                    }
                }
            }
        }
    }

    async fn take_leave(&self, socket: &mut TcpStream, word: &str) -> std::io::Result<()> {
        let length = word.len();
        let notice = format!("Content-Type: text/disconnect-notice\nContent-Length: {length}\n\n{word}");
        socket.write_all(notice.as_bytes()).await?;
        socket.shutdown().await
    }

    async fn answer(&mut self, RawCommand { line, job }: RawCommand) -> (String, After) {
        let command = Command::parse(&line);
        if !self.signed_in {
            return self.sign_in(&command);
        }
        let text = match command {
            Command::Exit => return (reply("+OK bye"), After::Close),
            Command::Api(line) => match self.ask(|answer| Request::Api(line.to_owned(), answer)).await {
                Some(answer) => api_response(&answer),
                None => String::new(),
            },
            Command::BgApi(line) => match self.ask(|answer| Request::BgApi(line.to_owned(), job, answer)).await {
                Some(job) => {
                    format!("Content-Type: command/reply\nReply-Text: +OK Job-UUID: {job}\nJob-UUID: {job}\n\n")
                }
                None => String::new(),
            },
            _ => reply(&self.settle(command)),
        };
        (text, After::GoOn)
    }

    fn sign_in(&mut self, command: &Command<'_>) -> (String, After) {
        match command {
            Command::Auth(password) if **password == *self.terms.password => {
                self.signed_in = true;
                (reply("+OK accepted"), After::GoOn)
            }
            Command::Auth(_) => (reply("-ERR invalid"), After::Close),
            Command::Exit => (reply("+OK bye"), After::Close),
            _ => (reply("-ERR command not found"), After::GoOn),
        }
    }

    /// What concerns this connection alone.
    fn settle(&mut self, command: Command<'_>) -> String {
        match command {
            Command::Event(format, words) => {
                let mut subscription = self.subscription();
                if subscription.add(format, &words) {
                    format!("+OK event listener enabled {}", subscription.format.as_str())
                } else {
                    "-ERR no keywords supplied".into()
                }
            }
            Command::NixEvent(words) if self.subscription().remove(&words) => "+OK events nixed".into(),
            Command::NixEvent(_) => "-ERR no keywords supplied".into(),
            Command::NoEvents if self.subscription().clear() => "+OK no longer listening for events".into(),
            Command::NoEvents => "-ERR not listening for events".into(),
            // Filters are accepted and not applied: they only ever make less.
            Command::Filter(rest) => match rest.split_once(' ') {
                Some((name, value)) => format!("+OK filter added. [{name}]=[{value}]"),
                None => "-ERR invalid syntax".into(),
            },
            Command::Log(level) => {
                self.logging = true;
                format!("+OK log level {level} [7]")
            }
            Command::NoLog if std::mem::take(&mut self.logging) => "+OK no longer logging".into(),
            Command::NoLog => "-ERR not loging".into(),
            Command::Auth(_) | Command::Api(_) | Command::BgApi(_) | Command::Exit | Command::Unknown => {
                "-ERR command not found".into()
            }
        }
    }

    fn subscription(&self) -> MutexGuard<'_, Subscription> {
        self.subscription.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the exchange; none when FreeSWITCH goes down meanwhile, and the connection ends.
    async fn ask(&self, request: impl FnOnce(oneshot::Sender<String>) -> Request) -> Option<String> {
        let (sender, answer) = oneshot::channel();
        self.terms.requests.send(request(sender)).await.ok()?;
        answer.await.ok()
    }
}

fn reply(text: &str) -> String {
    format!("Content-Type: command/reply\nReply-Text: {text}\n\n")
}

fn api_response(answer: &str) -> String {
    let answer = if answer.is_empty() { "-ERR no reply\n" } else { answer };
    format!("Content-Type: api/response\nContent-Length: {}\n\n{answer}", answer.len())
}
