//! One connection's conversation: sign-in, subscription, and which reply belongs to whom. No I/O and no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::codec::{Decoded, Skipped};
use super::command::{Command, Password, Subscription};
use super::event::{Event, MalformedEvent};
use super::exit::Exit;
use super::frame::{Frame, FrameKind};
use super::link::NodeAddress;

/// The most commands that are under way at once. FreeSWITCH runs them one after another, so that more would only wait
/// there instead of here.
pub const MAX_PENDING: usize = 64;

/// How many frames may come without an event or a reply among them. FreeSWITCH sends next to none that were not asked for;
/// an endless flood of them would cost a core and bring nothing.
pub const MAX_USELESS_FRAMES: u32 = 1_000;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It subscribes, and is watched for silence.
    Events,
    /// It carries commands, and is silent in between.
    Commands,
}

/// The conversation; `W` is who waits for a command's reply.
#[derive(Debug)]
pub struct Session<W> {
    purpose: Purpose,
    password: Password,
    subscription: Subscription,
    phase: Phase,
    sign_in_limit: Duration,
    silence_limit: Duration,
    began: Instant,
    /// When the last event was complete.
    last_heard: Instant,
    /// When bytes last came.
    last_bytes: Instant,
    /// How many frames came since the last event or reply that were neither.
    useless_frames: u32,
    pending: VecDeque<Pending<W>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// `auth/request` is to come.
    Greeting,
    /// `auth` was sent.
    SigningIn,
    /// `event` was sent.
    Subscribing,
    Ready,
}

#[derive(Debug)]
struct Pending<W> {
    waiter: W,
    name: String,
    deadline: Instant,
}

/// What one frame came to.
#[derive(Debug)]
pub enum Step<W> {
    /// A part of the sign-in, done.
    SignIn,
    /// The connection is signed in (and subscribed), and ready.
    Ready,
    /// An event.
    Event(Event),
    /// The reply to the oldest command.
    Reply(W, Result<Bytes, Refusal>),
    /// Something that is passed over, and counted.
    Anomaly(Anomaly),
}

/// Why a command has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// FreeSWITCH answered with an error.
    #[error("FreeSWITCH answered {0}")]
    Error(String),
    /// The answer was too long to be kept.
    #[error("the answer of {0} bytes is too long")]
    TooLong(u64),
}

/// A frame that changes nothing.
#[derive(Debug)]
pub enum Anomaly {
    /// A frame that was too long, or of an unknown kind.
    Skipped(Skipped),
    /// An event that could not be read.
    MalformedEvent(MalformedEvent),
    /// An event that ends within a line.
    CutEvent,
    /// An event that does not say what it is.
    NamelessEvent,
    /// A frame of a kind that was not asked for.
    Unasked(FrameKind),
}

impl<W> Session<W> {
    /// A connection that was just made, and must be signed in within the node's limit.
    pub fn new(purpose: Purpose, node: &NodeAddress, now: Instant) -> Self {
        Self {
            purpose,
            password: node.password.clone(),
            subscription: node.subscription,
            phase: Phase::Greeting,
            sign_in_limit: node.connect_timeout,
            silence_limit: node.silence_timeout,
            began: now,
            last_heard: now,
            last_bytes: now,
            useless_frames: 0,
            pending: VecDeque::new(),
        }
    }

    /// Takes note that bytes came. They break no silence: a length that is wrong makes events the body of something else.
    pub fn note_bytes(&mut self, now: Instant) {
        self.last_bytes = now;
    }

    /// The process was paused: nothing could be heard, and FreeSWITCH is given its whole time once more.
    pub fn resume(&mut self, now: Instant) {
        (self.began, self.last_heard, self.last_bytes) = (now, now, now);
    }

    /// Takes one frame; what is to be sent is added to `wire`.
    pub fn receive(&mut self, decoded: Decoded, now: Instant, wire: &mut BytesMut) -> Result<Step<W>, Exit> {
        let step = self.take_frame(decoded, wire)?;
        match step {
            Step::Anomaly(_) => self.useless_frames += 1,
            Step::SignIn | Step::Ready | Step::Reply(..) => self.useless_frames = 0,
            Step::Event(_) => (self.last_heard, self.useless_frames) = (now, 0),
        }
        // The time for subscribing is not FreeSWITCH's silence.
        if matches!(step, Step::Ready) {
            self.last_heard = now;
        }
        if self.useless_frames > MAX_USELESS_FRAMES {
            return Err(Exit::UselessFrames);
        }
        Ok(step)
    }

    fn take_frame(&mut self, decoded: Decoded, wire: &mut BytesMut) -> Result<Step<W>, Exit> {
        let frame = match decoded {
            Decoded::Frame(frame) => frame,
            Decoded::Skipped(skipped) if skipped.kind.is_reply() => {
                return self.answer(Err(Refusal::TooLong(skipped.length)));
            }
            Decoded::Skipped(skipped) => return Ok(Step::Anomaly(Anomaly::Skipped(skipped))),
        };
        match frame.kind {
            // FreeSWITCH confirms the subscription before it sends the first event.
            kind @ (FrameKind::EventPlain | FrameKind::EventJson)
                if self.phase != Phase::Ready || self.purpose != Purpose::Events =>
            {
                Ok(Step::Anomaly(Anomaly::Unasked(kind)))
            }
            // A line that is cut belongs to a frame whose length was too short.
            FrameKind::EventPlain if !frame.body.ends_with(b"\n") => Ok(Step::Anomaly(Anomaly::CutEvent)),
            FrameKind::EventPlain => Ok(named(Event::from_plain(frame.body))),
            FrameKind::EventJson => Ok(match Event::from_json(&frame.body) {
                Ok(event) => named(event),
                Err(error) => Step::Anomaly(Anomaly::MalformedEvent(error)),
            }),
            FrameKind::CommandReply | FrameKind::ApiResponse => self.reply(&frame, wire),
            FrameKind::AuthRequest if self.phase == Phase::Greeting => {
                self.password.sign_in().write_to(wire);
                self.phase = Phase::SigningIn;
                Ok(Step::SignIn)
            }
            FrameKind::DisconnectNotice => Err(Exit::Disconnected(first_line(&frame.body))),
            FrameKind::RudeRejection => Err(Exit::AclRefused),
            kind @ (FrameKind::AuthRequest | FrameKind::LogData | FrameKind::Mark | FrameKind::Other) => {
                Ok(Step::Anomaly(Anomaly::Unasked(kind)))
            }
        }
    }

    /// Whether another command may be submitted.
    pub fn has_room(&self) -> bool {
        self.phase == Phase::Ready && self.pending.len() < MAX_PENDING
    }

    /// Sends a command; the waiter takes its place in the order before a byte of it is written.
    pub fn submit(&mut self, command: &Command, waiter: W, deadline: Instant, wire: &mut BytesMut) {
        self.pending.push_back(Pending { waiter, name: command.name().to_owned(), deadline });
        command.write_to(wire);
    }

    /// When [`Session::handle_timeout`] must be called, unless something comes before; none: never.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.phase != Phase::Ready {
            return Some(self.began + self.sign_in_limit);
        }
        let silence = (self.purpose == Purpose::Events).then(|| self.last_heard + self.silence_limit);
        self.pending.iter().map(|pending| pending.deadline).chain(silence).min()
    }

    /// Ends the connection if a deadline has passed.
    pub fn handle_timeout(&self, now: Instant) -> Result<(), Exit> {
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        if self.phase != Phase::Ready {
            return Err(Exit::ConnectTimeout(self.sign_in_limit));
        }
        match self.pending.iter().find(|pending| pending.deadline <= now) {
            Some(pending) => Err(Exit::CommandTimeout(pending.name.clone())),
            None if self.last_bytes > self.last_heard => Err(Exit::EventsMissed(self.silence_limit)),
            None => Err(Exit::HeartbeatMissed(self.silence_limit)),
        }
    }

    /// Everybody who still waits, at the connection's end.
    pub fn into_waiters(self) -> impl Iterator<Item = W> {
        self.pending.into_iter().map(|pending| pending.waiter)
    }

    fn reply(&mut self, frame: &Frame, wire: &mut BytesMut) -> Result<Step<W>, Exit> {
        let result = result(frame);
        match (self.phase, self.purpose) {
            (Phase::Greeting, _) => Err(Exit::UnexpectedReply),
            (Phase::SigningIn, _) if result.is_err() => Err(Exit::WrongPassword),
            (Phase::SigningIn, Purpose::Events) => {
                Command::subscribe(self.subscription).write_to(wire);
                self.phase = Phase::Subscribing;
                Ok(Step::SignIn)
            }
            (Phase::SigningIn, Purpose::Commands) => self.ready(),
            (Phase::Subscribing, _) => match result {
                Ok(_) => self.ready(),
                Err(refusal) => Err(Exit::SubscriptionRefused(refusal.to_string())),
            },
            (Phase::Ready, _) => self.answer(result),
        }
    }

    fn ready(&mut self) -> Result<Step<W>, Exit> {
        self.phase = Phase::Ready;
        Ok(Step::Ready)
    }

    fn answer(&mut self, result: Result<Bytes, Refusal>) -> Result<Step<W>, Exit> {
        let pending = self.pending.pop_front().ok_or(Exit::UnexpectedReply)?;
        Ok(Step::Reply(pending.waiter, result))
    }
}

/// An event that says what it is.
fn named<W>(event: Event) -> Step<W> {
    let has_name = event.header("Event-Name").is_some();
    if has_name { Step::Event(event) } else { Step::Anomaly(Anomaly::NamelessEvent) }
}

/// The text of a reply: the body of an `api/response`, the `Reply-Text` of a `command/reply`. The latter also answers an
/// `api` command that the user may not give.
fn result(frame: &Frame) -> Result<Bytes, Refusal> {
    let text = match frame.kind {
        FrameKind::ApiResponse => frame.body.clone(),
        _ => frame.header("Reply-Text").map_or_else(Bytes::new, |text| frame.head.slice_ref(text)),
    };
    if text.starts_with(b"-ERR") || text.starts_with(b"-USAGE") {
        return Err(Refusal::Error(first_line(&text)));
    }
    Ok(text)
}

/// The first line, at most 200 bytes of it: for people, and of unknown origin.
fn first_line(text: &[u8]) -> String {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(&line[..line.len().min(200)]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esl::codec::FrameCodec;

    const HEARTBEAT: &str = "Content-Type: text/event-plain\nContent-Length: 23\n\nEvent-Name: HEARTBEAT\n\n";

    struct Talk {
        session: Session<u32>,
        wire: BytesMut,
        start: Instant,
        now: Instant,
    }

    impl Talk {
        fn new(purpose: Purpose) -> Self {
            let start = Instant::now();
            let node = NodeAddress {
                name: "fs1".into(),
                address: "127.0.0.1:8021".into(),
                password: Password::new("ClueCon").expect("can be sent"),
                connect_timeout: Duration::from_secs(10),
                silence_timeout: Duration::from_secs(60),
                subscription: Subscription::default(),
            };
            Self { session: Session::new(purpose, &node, start), wire: BytesMut::new(), start, now: start }
        }

        fn ready(purpose: Purpose) -> Self {
            let mut talk = Self::new(purpose);
            talk.hears("Content-Type: auth/request\n\n").expect("is asked");
            talk.hears("Content-Type: command/reply\nReply-Text: +OK accepted\n\n").expect("is let in");
            if purpose == Purpose::Events {
                talk.hears("Content-Type: command/reply\nReply-Text: +OK event listener enabled plain\n\n")
                    .expect("gets");
            }
            talk.wire.clear();
            talk
        }

        fn hears(&mut self, frame: &str) -> Result<Step<u32>, Exit> {
            let decoded = FrameCodec::default().next_frame(&mut BytesMut::from(frame.as_bytes()));
            self.session.receive(decoded.expect("is a frame").expect("is whole"), self.now, &mut self.wire)
        }

        fn asks(&mut self, waiter: u32, seconds: u64) {
            let deadline = self.start + Duration::from_secs(seconds);
            self.session.submit(&Command::status(), waiter, deadline, &mut self.wire);
        }

        fn after(&self, seconds: u64) -> Result<(), Exit> {
            self.session.handle_timeout(self.start + Duration::from_secs(seconds))
        }
    }

    #[test]
    fn the_sign_in_says_password_then_subscription() {
        let mut talk = Talk::new(Purpose::Events);
        assert!(matches!(talk.hears("Content-Type: auth/request\n\n"), Ok(Step::SignIn)));
        assert_eq!(&talk.wire.split()[..], b"auth ClueCon\n\n");
        let accepted = "Content-Type: command/reply\nReply-Text: +OK accepted\n\n";
        assert!(matches!(talk.hears(accepted), Ok(Step::SignIn)));
        assert!(
            talk.wire.starts_with(b"event plain CHANNEL_CREATE ")
                && talk.wire.ends_with(b" CUSTOM callcenter::info\n\n")
        );
        assert!(matches!(talk.hears(accepted), Ok(Step::Ready)));
    }

    #[test]
    fn replies_go_to_waiters_in_order_whatever_their_kind() {
        let mut talk = Talk::ready(Purpose::Commands);
        (1..=3).for_each(|waiter| talk.asks(waiter, 10));
        let first = talk.hears("Content-Type: api/response\nContent-Length: 2\n\nUP");
        assert!(matches!(first, Ok(Step::Reply(1, Ok(text))) if text == "UP"));
        let second = talk.hears("Content-Type: command/reply\nReply-Text: -ERR permission denied\n\n");
        assert!(matches!(second, Ok(Step::Reply(2, Err(Refusal::Error(text)))) if text == "-ERR permission denied"));
        let third = talk.hears("Content-Type: api/response\nContent-Length: 99999999\n\n");
        assert!(matches!(third, Ok(Step::Reply(3, Err(Refusal::TooLong(99_999_999))))));
        assert!(matches!(talk.hears("Content-Type: api/response\n\n"), Err(Exit::UnexpectedReply)));
    }

    #[test]
    fn an_answer_that_does_not_come_ends_the_connection() {
        let mut talk = Talk::ready(Purpose::Commands);
        assert_eq!(talk.session.next_deadline(), None);
        talk.asks(1, 30);
        talk.asks(2, 5);
        assert!(talk.after(4).is_ok());
        assert!(matches!(talk.after(5), Err(Exit::CommandTimeout(name)) if name == "api status"));
        assert_eq!(talk.session.into_waiters().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn silence_ends_the_events_connection_and_only_an_event_breaks_it() {
        let mut talk = Talk::ready(Purpose::Events);
        assert!(talk.after(59).is_ok());
        assert!(matches!(talk.after(60), Err(Exit::HeartbeatMissed(_))));
        talk.now = talk.start + Duration::from_secs(50);
        talk.hears(HEARTBEAT).expect("is an event");
        assert!(talk.after(109).is_ok());
        assert!(matches!(talk.after(110), Err(Exit::HeartbeatMissed(_))));
        talk.now = talk.start + Duration::from_secs(100);
        talk.session.note_bytes(talk.now);
        talk.hears("Content-Type: log/data\n\n").expect("is passed over");
        talk.hears("Content-Type: text/event-plain\nContent-Length: 6\n\nA: 1\n\n").expect("is passed over");
        assert!(matches!(talk.after(110), Err(Exit::EventsMissed(_))));
    }

    #[test]
    fn after_a_pause_freeswitch_has_its_whole_time_once_more() {
        let mut talk = Talk::ready(Purpose::Events);
        talk.session.resume(talk.start + Duration::from_secs(59));
        assert!(talk.after(118).is_ok());
        assert!(matches!(talk.after(119), Err(Exit::HeartbeatMissed(_))));
    }

    #[test]
    fn a_flood_of_frames_that_are_no_events_ends_the_connection() {
        let junk = "Content-Type: text/unheard-of\n\n";
        for purpose in [Purpose::Events, Purpose::Commands] {
            let mut talk = Talk::ready(purpose);
            for _ in 0..MAX_USELESS_FRAMES {
                talk.hears(junk).expect("is passed over");
            }
            assert!(matches!(talk.hears(junk), Err(Exit::UselessFrames)));
        }
        let mut talk = Talk::ready(Purpose::Events);
        for count in 0..=2 * MAX_USELESS_FRAMES {
            talk.hears(if count % 10 == 0 { HEARTBEAT } else { junk }).expect("is an event or passed over");
        }
    }

    #[test]
    fn a_sign_in_that_hangs_is_given_up() {
        let talk = Talk::new(Purpose::Commands);
        assert!(talk.after(9).is_ok());
        assert!(matches!(talk.after(10), Err(Exit::ConnectTimeout(_))));
    }

    #[test]
    fn no_more_commands_are_under_way_than_the_limit() {
        let mut talk = Talk::ready(Purpose::Commands);
        (0..MAX_PENDING as u32).for_each(|waiter| talk.asks(waiter, 10));
        assert!(!talk.session.has_room());
        talk.hears("Content-Type: api/response\n\n").expect("is answered");
        assert!(talk.session.has_room());
        assert!(!Talk::new(Purpose::Commands).session.has_room());
    }

    #[test]
    fn events_where_none_were_asked_for_are_counted() {
        let event = HEARTBEAT;
        let unasked = |step| matches!(step, Ok(Step::Anomaly(Anomaly::Unasked(FrameKind::EventPlain))));
        assert!(unasked(Talk::ready(Purpose::Commands).hears(event)));
        assert!(unasked(Talk::new(Purpose::Events).hears(event)));
        assert!(matches!(Talk::ready(Purpose::Events).hears(event), Ok(Step::Event(_))));
    }
}
