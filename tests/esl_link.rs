//! The link against a FreeSWITCH that misbehaves in every way that one was seen to, or could.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hookswitch::esl::command::{Password, Subscription};
use hookswitch::esl::feed::EVENT_BYTES;
use hookswitch::esl::link::{ConnectionState, Intake, connect, connect_with};
use hookswitch::esl::{Command, CommandError, EventItem, Exit, Link, NodeAddress};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Far longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection as FreeSWITCH's end of it.
struct Peer {
    stream: BufReader<TcpStream>,
}

impl Peer {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.expect("accepts");
        Self { stream: BufReader::new(stream) }
    }

    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(text.as_ref()).await.expect("writes");
    }

    /// The next command, without its blank line; none at the end.
    async fn command(&mut self) -> Option<String> {
        let mut command = String::new();
        while !command.ends_with("\n\n") {
            if self.stream.read_line(&mut command).await.ok()? == 0 {
                return None;
            }
        }
        Some(command.trim_end().to_owned())
    }

    async fn sign_in(&mut self) {
        self.send("Content-Type: auth/request\n\n").await;
        assert_eq!(self.command().await.as_deref(), Some("auth ClueCon"));
        self.send(reply("+OK accepted")).await;
    }

    async fn accept_signed_in(listener: &TcpListener) -> Self {
        let mut peer = Self::accept(listener).await;
        peer.sign_in().await;
        peer
    }

    async fn subscribe(&mut self) {
        assert!(self.command().await.expect("subscribes").starts_with("event plain "));
        self.send(reply("+OK event listener enabled plain")).await;
    }

    /// Waits until the other end is closed.
    async fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest).await;
    }
}

/// Accepts and signs in both connections, in whatever order they come: the one that speaks next asks for events.
async fn both(listener: &TcpListener) -> (Peer, Peer) {
    let mut one = Peer::accept_signed_in(listener).await;
    let mut other = Peer::accept_signed_in(listener).await;
    let one_speaks = tokio::select! {
        _ = one.stream.fill_buf() => true,
        _ = other.stream.fill_buf() => false,
    };
    let (mut events, commands) = if one_speaks { (one, other) } else { (other, one) };
    events.subscribe().await;
    (events, commands)
}

fn reply(text: &str) -> String {
    format!("Content-Type: command/reply\nReply-Text: {text}\n\n")
}

fn response(text: &str) -> String {
    format!("Content-Type: api/response\nContent-Length: {}\n\n{text}", text.len())
}

fn event(name: &str) -> String {
    let body = format!("Event-Name: {name}\n\n");
    format!("Content-Length: {}\nContent-Type: text/event-plain\n\n{body}", body.len())
}

async fn listener() -> (TcpListener, NodeAddress) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("is bound").to_string();
    (
        listener,
        NodeAddress {
            name: "fs1".into(),
            address,
            password: Password::new("ClueCon").expect("can be sent"),
            connect_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(60),
            subscription: Subscription::default(),
        },
    )
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("happens in time")
}

async fn next(link: &mut Link) -> EventItem {
    soon(link.events.next()).await.expect("the link is up")
}

/// Waits until the events connection has failed, and says why.
async fn events_fail(link: &mut Link) -> Exit {
    let failed = |state: &ConnectionState| match state {
        ConnectionState::Waiting { reason, .. } => Some(reason.clone()),
        ConnectionState::Connecting { .. } | ConnectionState::Ready | ConnectionState::Ended => None,
    };
    let state = soon(link.state.wait_for(|state| failed(&state.events).is_some())).await.expect("is kept");
    failed(&state.events).expect("has failed")
}

#[tokio::test]
async fn events_and_commands_flow_and_everything_ends_when_the_handles_are_dropped() {
    let (listener, node) = listener().await;
    let mut link = connect(node);
    let (mut events, mut commands) = soon(both(&listener)).await;
    events.send(event("HEARTBEAT")).await;
    assert!(matches!(next(&mut link).await, EventItem::Connected));
    let EventItem::Event(heard) = next(&mut link).await else { panic!("an event was sent") };
    assert_eq!(heard.header("Event-Name").as_deref(), Some("HEARTBEAT"));

    let asked = link.commands.api(Command::status());
    let answered = async {
        assert_eq!(commands.command().await.as_deref(), Some("api status"));
        commands.send(response("UP 0 years\n")).await;
    };
    let (result, ()) = soon(async { tokio::join!(asked, answered) }).await;
    assert_eq!(result.expect("is answered"), "UP 0 years\n");

    let Link { events: stream, commands: handle, state, tasks, .. } = link;
    drop((stream, handle));
    soon(tasks.ended()).await;
    soon(async { tokio::join!(events.closed(), commands.closed()) }).await;
    assert!(matches!(state.borrow().events, ConnectionState::Ended));
}

#[tokio::test]
async fn a_freeswitch_that_is_away_is_waited_for() {
    let (first, node) = listener().await;
    let address = node.address.clone();
    drop(first);
    let mut link = connect(node);
    assert!(matches!(events_fail(&mut link).await, Exit::Refused));
    let listener = TcpListener::bind(&address).await.expect("the port is still free");
    let _peers = soon(both(&listener)).await;
    assert!(matches!(next(&mut link).await, EventItem::Connected));
    soon(link.tasks.shut_down()).await;
}

#[tokio::test]
async fn a_wrong_password_and_a_refusing_access_list_are_told_apart() {
    for wrong_password in [true, false] {
        let (listener, node) = listener().await;
        let mut link = connect(node);
        let server = tokio::spawn(async move {
            loop {
                let mut peer = Peer::accept(&listener).await;
                if wrong_password {
                    peer.send("Content-Type: auth/request\n\n").await;
                    peer.command().await;
                    peer.send(reply("-ERR invalid")).await;
                } else {
                    peer.send("Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n")
                        .await;
                }
            }
        });
        let exit = events_fail(&mut link).await;
        assert!(matches!((&exit, wrong_password), (Exit::WrongPassword, true) | (Exit::AclRefused, false)), "{exit}");
        let error = link.commands.api_within(Command::status(), Duration::from_millis(500)).await.expect_err("is down");
        assert!(matches!(error, CommandError::NotConnected(_)) && !error.may_have_run(), "{error}");
        soon(link.tasks.shut_down()).await;
        server.abort();
    }
}

#[tokio::test]
async fn a_refused_subscription_is_told() {
    let (listener, node) = listener().await;
    let mut link = connect(node);
    let server = tokio::spawn(async move {
        let mut peers = Vec::new();
        loop {
            let mut peer = Peer::accept(&listener).await;
            peer.sign_in().await;
            let _ = peer.stream.get_mut().write_all(reply("-ERR no keywords supplied").as_bytes()).await;
            peers.push(peer);
        }
    });
    assert!(matches!(events_fail(&mut link).await, Exit::SubscriptionRefused(text) if text.contains("no keywords")));
    server.abort();
}

#[tokio::test]
async fn a_connection_that_breaks_within_a_frame_is_lost_and_made_anew() {
    let (listener, node) = listener().await;
    let mut link = connect(node);
    let (mut events, _commands) = soon(both(&listener)).await;
    events.send(event("HEARTBEAT") + "Content-Length: 500\nContent-Type: text/event-plain\n\nEvent-Na").await;
    drop(events);
    assert!(matches!(next(&mut link).await, EventItem::Connected));
    assert!(matches!(next(&mut link).await, EventItem::Event(_)));
    assert!(matches!(next(&mut link).await, EventItem::Lost(Exit::Lost(_))));
    let mut again = soon(Peer::accept_signed_in(&listener)).await;
    soon(again.subscribe()).await;
    assert!(matches!(next(&mut link).await, EventItem::Connected));
}

#[tokio::test]
async fn a_disconnect_notice_and_nonsense_end_the_connection_with_their_reasons() {
    let notice = "Content-Type: text/disconnect-notice\nContent-Length: 31\n\nThe system is being shut down.\n";
    for (bytes, is_notice) in [(notice, true), ("HTTP/1.1 400 Bad Request\n\n", false)] {
        let (listener, node) = listener().await;
        let mut link = connect(node);
        let (mut events, _commands) = soon(both(&listener)).await;
        events.send(bytes).await;
        assert!(matches!(next(&mut link).await, EventItem::Connected));
        let EventItem::Lost(exit) = next(&mut link).await else { panic!("it was lost") };
        match exit {
            Exit::Disconnected(text) => assert!(is_notice && text == "The system is being shut down."),
            Exit::Protocol(_) => assert!(!is_notice),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn answers_go_to_those_who_asked_in_order_whoever_gave_up() {
    let (listener, node) = listener().await;
    let link = connect(node);
    let (_events, mut commands) = soon(both(&listener)).await;
    let mut asked = Vec::new();
    for index in 0..100 {
        let handle = link.commands.clone();
        let command = Command::api(&format!("echo {index}")).expect("can be sent");
        asked.push((index, tokio::spawn(async move { handle.api_within(command, PATIENCE).await })));
    }
    let server = tokio::spawn(async move {
        let mut held = Vec::new();
        while held.len() < 10 {
            held.push(commands.command().await.expect("asked"));
        }
        let (given_up, mut commands) = (held, commands);
        for command in given_up {
            commands.send(response(command.strip_prefix("api echo ").expect("an echo"))).await;
        }
        while let Some(command) = commands.command().await {
            let text = command.strip_prefix("api echo ").expect("an echo").to_owned();
            let _ = commands.stream.get_mut().write_all(response(&text).as_bytes()).await;
        }
    });
    for (index, task) in asked {
        if index % 7 == 3 {
            task.abort();
            continue;
        }
        assert_eq!(soon(task).await.expect("runs").expect("is answered"), index.to_string());
    }
    soon(link.tasks.shut_down()).await;
    soon(server).await.expect("ends");
}

#[tokio::test]
async fn a_late_answer_is_never_given_to_the_next_caller() {
    let (listener, node) = listener().await;
    let link = connect(node);
    let (_events, mut commands) = soon(both(&listener)).await;
    let short = Duration::from_millis(200);
    let mute = link.commands.api_within(Command::api("mute").expect("can be sent"), short);
    let behind = link.commands.api_within(Command::api("behind").expect("can be sent"), PATIENCE);
    let (mute, behind) = soon(async { tokio::join!(mute, behind) }).await;
    assert!(matches!(mute, Err(CommandError::TimedOut)), "{mute:?}");
    assert!(matches!(behind, Err(CommandError::Lost(Exit::CommandTimeout(_)))), "{behind:?}");
    let _ = commands.stream.get_mut().write_all(response("late").as_bytes()).await;

    let next = link.commands.api_within(Command::api("next").expect("can be sent"), PATIENCE);
    let server = async {
        let mut commands = Peer::accept_signed_in(&listener).await;
        assert_eq!(commands.command().await.as_deref(), Some("api next"));
        commands.send(response("for the next")).await;
        commands
    };
    let (answer, _commands) = soon(async { tokio::join!(next, server) }).await;
    assert_eq!(answer.expect("is answered"), "for the next");
}

#[tokio::test]
async fn an_error_and_a_refusal_come_back_typed() {
    let (listener, node) = listener().await;
    let link = connect(node);
    let (_events, mut commands) = soon(both(&listener)).await;
    for answer in [response("-ERR No such channel!\n"), reply("-ERR permission denied"), response("-USAGE: <uuid>")] {
        let server = async {
            commands.command().await;
            commands.send(answer).await;
        };
        let (result, ()) = soon(async { tokio::join!(link.commands.api(Command::status()), server) }).await;
        assert!(matches!(result, Err(CommandError::Refused(_))), "{result:?}");
    }
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_ends_the_connection() {
    let (listener, node) = listener().await;
    let mut link = connect(node);
    let (_events, mut commands) = soon(both(&listener)).await;
    commands.send(response("who asked?")).await;
    let ended =
        |state: &ConnectionState| matches!(state, ConnectionState::Waiting { reason: Exit::UnexpectedReply, .. });
    soon(link.state.wait_for(|state| ended(&state.commands))).await.expect("is kept");
}

#[tokio::test]
async fn a_flood_with_nobody_reading_never_blocks_freeswitch_and_ends_in_a_dirty_mark() {
    const FLOOD: u64 = 100_000;
    let (listener, node) = listener().await;
    let mut link = connect_with(node, Intake { capacity: 64, ..Intake::default() });
    let (mut events, _commands) = soon(both(&listener)).await;
    let flood = event("CHANNEL_CREATE").repeat(1_000);
    soon(async {
        for _ in 0..FLOOD / 1_000 {
            events.send(&flood).await;
        }
        while link.tally.events.load(Ordering::Relaxed) < FLOOD {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(matches!(next(&mut link).await, EventItem::Connected));
    let mut received = 0;
    let dropped = loop {
        match next(&mut link).await {
            EventItem::Event(_) => received += 1,
            EventItem::Dirty { dropped } => break dropped,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(received + dropped, FLOOD);
    assert_eq!(link.tally.dropped.load(Ordering::Relaxed), dropped);
    assert!(received < 64);

    events.send(event("HEARTBEAT")).await;
    let EventItem::Event(heard) = next(&mut link).await else { panic!("events flow again") };
    assert_eq!(heard.header("Event-Name").as_deref(), Some("HEARTBEAT"));
}

#[tokio::test]
async fn long_events_that_nobody_reads_are_bounded_by_their_bytes() {
    let (listener, node) = listener().await;
    let mut link = connect(node);
    let (mut events, _commands) = soon(both(&listener)).await;
    let long = event(&format!("CUSTOM\nvariable_x: {}", "x".repeat(900_000)));
    let sent = 2 * EVENT_BYTES as u64 / long.len() as u64;
    soon(async {
        for _ in 0..sent {
            events.send(&long).await;
        }
        while link.tally.events.load(Ordering::Relaxed) < sent {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(matches!(next(&mut link).await, EventItem::Connected));
    let mut received = 0;
    let dropped = loop {
        match next(&mut link).await {
            EventItem::Event(event) => received += event.size(),
            EventItem::Dirty { dropped } => break dropped,
            other => panic!("{other:?}"),
        }
    };
    assert!(received <= EVENT_BYTES && received > EVENT_BYTES - long.len(), "{received}");
    assert_eq!(dropped, sent - (received / (long.len() - 1_000)) as u64);
}

#[tokio::test]
async fn marks_owed_to_a_full_stream_arrive_in_their_order() {
    let (listener, node) = listener().await;
    let mut link = connect_with(node, Intake { capacity: 2, ..Intake::default() });
    let (mut events, _commands) = soon(both(&listener)).await;
    events.send(event("HEARTBEAT").repeat(5)).await;
    soon(async {
        while link.tally.events.load(Ordering::Relaxed) < 5 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(events);
    let mut again = soon(Peer::accept_signed_in(&listener)).await;
    soon(again.subscribe()).await;
    assert!(matches!(next(&mut link).await, EventItem::Connected));
    assert!(matches!(next(&mut link).await, EventItem::Event(_)));
    assert!(matches!(next(&mut link).await, EventItem::Dirty { dropped: 4 }));
    assert!(matches!(next(&mut link).await, EventItem::Lost(_)));
    assert!(matches!(next(&mut link).await, EventItem::Connected));
}

/// How a connection ends on which this comes again and again, after its first event.
async fn ended_by(bytes: impl AsRef<[u8]>, silence: Duration) -> (Exit, u64) {
    let (listener, mut node) = listener().await;
    node.silence_timeout = silence;
    let mut link = connect(node);
    let (mut events, _commands) = soon(both(&listener)).await;
    events.send(event("CHANNEL_CREATE")).await;
    assert!(matches!(next(&mut link).await, EventItem::Connected));
    assert!(matches!(next(&mut link).await, EventItem::Event(_)));
    let flood = async {
        while events.stream.get_mut().write_all(bytes.as_ref()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::future::pending::<()>().await;
    };
    let lost = async {
        loop {
            if let EventItem::Lost(exit) = next(&mut link).await {
                break exit;
            }
        }
    };
    let exit = tokio::select! {
        exit = lost => exit,
        () = flood => unreachable!("a flood has no end"),
    };
    (exit, link.tally.desyncs.load(Ordering::Relaxed))
}

#[tokio::test]
async fn bytes_that_bring_no_events_are_no_life_sign() {
    let long = Duration::from_secs(3_600);
    let frame = event("HEARTBEAT");
    let longer = frame.replacen("Content-Length: ", "Content-Length: 9", 1);
    let (exit, desyncs) = soon(ended_by(longer, long)).await;
    assert!(matches!(exit, Exit::Protocol(_)) && desyncs == 1, "{exit}, {desyncs}");
    let (exit, desyncs) = soon(ended_by("\n".repeat(1_000), long)).await;
    assert!(matches!(exit, Exit::Protocol(_)) && desyncs == 1, "{exit}, {desyncs}");
    let (exit, desyncs) = soon(ended_by("Content-Type: text/unheard-of\n\n".repeat(50), long)).await;
    assert!(matches!(exit, Exit::UselessFrames) && desyncs == 1, "{exit}, {desyncs}");
    // Frames that are no events and whose length is wrong, or that are passed over, or never whole.
    let short = Duration::from_secs(1);
    for head in [
        "Content-Length: 900000\nContent-Type: log/data\n\n",
        "Content-Length: 900000000\nContent-Type: text/event-plain\n\n",
        "Content-Length: 900000\nContent-Type: text/event-json\n\n",
        "Content-Type: text/event-plain\nContent-Length: 900000\n\nEvent-Name: HEARTBEAT\n",
    ] {
        let (exit, desyncs) = soon(ended_by(head.to_owned() + &frame, short)).await;
        assert!(exit.is_desync() && exit.hides_events() && desyncs == 1, "{head}: {exit}, {desyncs}");
    }
}

#[tokio::test]
async fn a_wrong_length_hides_no_event_that_came_before_the_connection_was_made_anew() {
    let (listener, node) = listener().await;
    let mut link = connect(node);
    let (mut events, _commands) = soon(both(&listener)).await;
    let longer = event("CHANNEL_ANSWER").replacen("Content-Length: ", "Content-Length: 90", 1);
    events.send(event("CHANNEL_CREATE") + &longer + &event("HEARTBEAT")).await;
    assert!(matches!(next(&mut link).await, EventItem::Connected));
    for name in ["CHANNEL_CREATE", "CHANNEL_ANSWER"] {
        let EventItem::Event(heard) = next(&mut link).await else { panic!("{name} was sent") };
        assert_eq!(heard.header("Event-Name").as_deref(), Some(name));
    }
    assert!(matches!(next(&mut link).await, EventItem::Lost(Exit::Protocol(_))));
    let mut again = soon(Peer::accept_signed_in(&listener)).await;
    soon(again.subscribe()).await;
    assert!(matches!(next(&mut link).await, EventItem::Connected));
}

#[tokio::test]
async fn waits_start_small_again_after_each_connection() {
    let (listener, node) = listener().await;
    let mut link = connect(node);
    for _ in 0..4 {
        let began = Instant::now();
        let (events, _commands) = soon(both(&listener)).await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        drop(events);
        assert!(matches!(next(&mut link).await, EventItem::Connected));
        assert!(matches!(next(&mut link).await, EventItem::Lost(_)));
    }
}

#[tokio::test]
async fn an_access_list_that_was_mended_is_noticed_within_seconds() {
    const REFUSAL: &str = "Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n";
    let (listener, node) = listener().await;
    let mended_at = Instant::now() + Duration::from_secs(8);
    let server = tokio::spawn(async move {
        let mut refused = 0;
        loop {
            let mut peer = Peer::accept(&listener).await;
            if Instant::now() < mended_at {
                peer.send(REFUSAL).await;
                refused += 1;
                continue;
            }
            assert!(refused > 4, "{refused}");
            tokio::spawn(async move {
                peer.sign_in().await;
                if peer.command().await.is_some() {
                    peer.send(reply("+OK event listener enabled plain")).await;
                    peer.closed().await;
                }
            });
        }
    });
    let mut link = connect(node);
    assert!(matches!(next(&mut link).await, EventItem::Connected));
    assert!(mended_at.elapsed() < Duration::from_secs(7), "{:?}", mended_at.elapsed());
    server.abort();
}
