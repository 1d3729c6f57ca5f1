//! What one event costs: CPU time of the thread that reads it, and does with it what a client is about.
//!
//! Every client reads the same events, a call center's at eight agents and five calls a second, from a thread that plays
//! FreeSWITCH on a loopback socket. The clients take turns, round by round, so that whatever else the machine does hits all
//! alike, and the median round counts. The last column compares with `read()` alone, which no client can do without.
//!
//! `cargo bench --bench esl`, or `cargo bench --bench esl -- codec` for the clients whose names hold a word.

mod load;

use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use bytes::BytesMut;
use freeswitch_esl_tokio::{EslClient, EslConnectOptions, EventFormat, EventOverflow};
use hookswitch::cli::replay::{Format, Output, Replay};
use hookswitch::config::Config;
use hookswitch::esl::codec::{Decoded, FrameCodec, READ_BUFFER, make_room};
use hookswitch::esl::command::{Password, Subscription};
use hookswitch::esl::link;
use hookswitch::esl::recording::{self, Item};
use hookswitch::esl::{Event, EventItem, NodeAddress};
use hookswitch::lifecycle::{Effects, Lifecycle};
use load::Load;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncReadExt;

/// What a client of queues looks at in every event; two of them are absent from most, as they are in life.
const SIX_HEADERS: [&str; 6] =
    ["Event-Name", "Event-Date-Timestamp", "Event-Sequence", "Unique-ID", "CC-Action", "variable_cc_queue"];

/// The recording, of the daemon's own subscription: 150 calls in half a minute.
const RECORDING: &str = "tests/recordings/20h_load_5cps_8agents.sub.esl.zst";

/// How often it is read in one round.
const COPIES: u64 = 16;

/// Rounds, of which the median counts.
const ROUNDS: usize = 5;

fn main() -> io::Result<()> {
    let plain = Arc::new(Corpus::read()?);
    let json = Arc::new(plain.as_json());
    println!(
        "{} events of {:.1} kB on average, in each of {ROUNDS} rounds\n",
        plain.events,
        plain.bytes.len() as f64 / plain.events as f64 / 1000.0
    );
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut clients: Vec<Client> = vec![
        ("read() into 256 KiB", bare_read, &plain),
        ("hookswitch: codec, six headers", our_codec, &plain),
        ("hookswitch: whole link, six headers", our_link, &plain),
        ("hookswitch: codec, typing and lifecycle", our_lifecycle, &plain),
        ("hookswitch: recording, six headers (from memory)", our_recording, &plain),
        ("hookswitch: replay to JSON lines (from memory)", our_replay, &plain),
        ("freeswitch-esl-tokio 2.8.0, six headers", esl_tokio, &plain),
        ("freeswitch-esl 0.1.0 (JSON; it hands out no events)", freeswitch_esl, &json),
    ];
    clients.retain(|(name, ..)| name.starts_with("read()") || name.contains(&wanted));
    let mut rounds = vec![Vec::new(); clients.len()];
    for _ in 0..ROUNDS {
        for ((_, client, corpus), times) in clients.iter().zip(&mut rounds) {
            times.push(measure(*client, corpus));
        }
    }
    let medians: Vec<f64> = rounds.iter_mut().map(|times| median(times)).collect();
    println!("{:<52} {:>12} {:>16}", "client", "µs per event", "against read()");
    for ((name, ..), median) in clients.iter().zip(&medians) {
        println!("{name:<52} {median:>12.2} {:>16.1}", median / medians[0]);
    }
    Ok(())
}

type Client<'a> = (&'a str, fn(&Arc<Corpus>) -> usize, &'a Arc<Corpus>);

/// CPU microseconds per event of one client's round, on a thread of its own.
fn measure(client: fn(&Arc<Corpus>) -> usize, corpus: &Arc<Corpus>) -> f64 {
    let corpus = Arc::clone(corpus);
    let round = thread::spawn(move || {
        let before = clock_gettime(ClockId::ThreadCPUTime);
        let events = client(&corpus);
        let after = clock_gettime(ClockId::ThreadCPUTime);
        assert_eq!(events, corpus.events, "every event is read");
        let nanos = (after.tv_sec - before.tv_sec) * 1_000_000_000 + (after.tv_nsec - before.tv_nsec);
        nanos as f64 / 1000.0 / events as f64
    });
    round.join().expect("the client does its round")
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The frames of many events, one after another.
struct Corpus {
    bytes: Vec<u8>,
    events: usize,
}

impl Corpus {
    /// The events of the recording's copies.
    fn read() -> io::Result<Self> {
        let mut load = Load::new(Path::new(RECORDING), COPIES, 1)?;
        let (mut corpus, mut body) = (Self { bytes: Vec::new(), events: 0 }, Vec::new());
        while load.next(&mut body) {
            corpus.add("plain", &body);
            body.clear();
        }
        Ok(corpus)
    }

    /// The same events as JSON.
    fn as_json(&self) -> Self {
        let mut corpus = Self { bytes: Vec::new(), events: 0 };
        for item in recording::events(&self.bytes[..]) {
            if let Ok(Item::Event(event)) = item {
                let headers: serde_json::Map<_, _> =
                    event.headers().map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
                corpus.add("json", serde_json::Value::Object(headers).to_string().as_bytes());
            }
        }
        corpus
    }

    fn add(&mut self, format: &str, body: &[u8]) {
        let head = format!("Content-Length: {}\nContent-Type: text/event-{format}\n\n", body.len());
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(body);
        self.events += 1;
    }
}

/// Plays FreeSWITCH for one connection after another: signs in whoever comes, sends the events to those who ask for any,
/// and answers other commands afterwards.
fn serve(corpus: &Arc<Corpus>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("is bound");
    let corpus = Arc::clone(corpus);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, corpus) = (stream.expect("accepts"), Arc::clone(&corpus));
            // A client that has what it wants goes away in the middle of things.
            thread::spawn(move || drop(converse(stream, &corpus)));
        }
    });
    address
}

fn converse(mut stream: TcpStream, corpus: &Corpus) -> io::Result<()> {
    stream.write_all(b"Content-Type: auth/request\n\n")?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        match line.split_whitespace().next() {
            None => {}
            Some("api") => stream.write_all(b"Content-Type: api/response\nContent-Length: 8\n\n+OK done")?,
            Some("event") => {
                stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK event listener enabled\n\n")?;
                stream.write_all(&corpus.bytes)?;
            }
            Some(_) => stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n")?,
        }
        line.clear();
    }
    Ok(())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("builds")
}

fn look_at(event: &Event) {
    for name in SIX_HEADERS {
        black_box(event.header(name));
    }
}

/// A connection with the events on their way, all but the first frames of which were not yet read.
fn subscribed(corpus: &Arc<Corpus>) -> TcpStream {
    let mut stream = TcpStream::connect(serve(corpus)).expect("connects");
    stream.write_all(b"auth ClueCon\n\nevent plain ALL\n\n").expect("writes");
    stream
}

/// The three frames before the first event.
const PREAMBLE: &str = "Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK accepted\n\n\
                        Content-Type: command/reply\nReply-Text: +OK event listener enabled\n\n";

fn bare_read(corpus: &Arc<Corpus>) -> usize {
    let mut stream = subscribed(corpus);
    let mut buffer = vec![0; READ_BUFFER];
    let mut left = PREAMBLE.len() + corpus.bytes.len();
    while left > 0 {
        left -= stream.read(&mut buffer).expect("reads");
        black_box(&buffer);
    }
    corpus.events
}

/// Reads the events from a socket as the link does, and gives each to `look`.
fn decoded(corpus: &Arc<Corpus>, mut look: impl FnMut(Event)) -> usize {
    runtime().block_on(async {
        let stream = subscribed(corpus);
        stream.set_nonblocking(true).expect("is a socket");
        let mut stream = tokio::net::TcpStream::from_std(stream).expect("is a socket");
        let (mut codec, mut buffer, mut events) = (FrameCodec::default(), BytesMut::new(), 0);
        while events < corpus.events {
            make_room(&mut buffer);
            stream.read_buf(&mut buffer).await.expect("reads");
            while let Some(decoded) = codec.next_frame(&mut buffer).expect("are frames") {
                if let Decoded::Frame(frame) = decoded
                    && !frame.body.is_empty()
                {
                    look(Event::from_plain(frame.body));
                    events += 1;
                }
            }
        }
        events
    })
}

fn our_codec(corpus: &Arc<Corpus>) -> usize {
    decoded(corpus, |event| look_at(&event))
}

fn our_lifecycle(corpus: &Arc<Corpus>) -> usize {
    let mut lifecycle = Lifecycle::new("bench".into(), Arc::new(Config::default()));
    let (mut effects, mut moments) = (Effects::default(), 0);
    let events = decoded(corpus, |event| {
        lifecycle.handle_event(&event, &mut effects);
        effects.changed.clear();
        moments += effects.moments.drain(..).count();
    });
    assert_moments(moments, corpus);
    assert!(lifecycle.anomalies().iter().next().is_none(), "{:?}", lifecycle.anomalies());
    events
}

/// That every copy told its moments, rather than being dropped as a repeat of the first.
fn assert_moments(moments: usize, corpus: &Corpus) {
    assert!(moments * 4 > corpus.events, "{moments} moments of {} events", corpus.events);
}

fn our_link(corpus: &Arc<Corpus>) -> usize {
    runtime().block_on(async {
        let address = serve(corpus).to_string();
        let password = Password::new("ClueCon").expect("can be sent");
        let mut link = link::connect(NodeAddress {
            name: "bench".into(),
            address,
            password,
            connect_timeout: std::time::Duration::from_secs(10),
            silence_timeout: std::time::Duration::from_secs(60),
            subscription: Subscription::default(),
        });
        let (mut items, mut events) = (Vec::new(), 0);
        while events < corpus.events {
            link.events.next_many(&mut items, 256).await;
            for item in items.drain(..) {
                match item {
                    EventItem::Event(event) => {
                        look_at(&event);
                        events += 1;
                    }
                    EventItem::Connected | EventItem::Aside(_) => {}
                    EventItem::Dirty { .. } | EventItem::Lost(_) => panic!("{item:?}"),
                }
            }
        }
        events
    })
}

fn our_recording(corpus: &Arc<Corpus>) -> usize {
    let mut events = 0;
    for item in recording::events(&corpus.bytes[..]) {
        if let Ok(Item::Event(event)) = item {
            look_at(&event);
            events += 1;
        }
    }
    events
}

fn our_replay(corpus: &Arc<Corpus>) -> usize {
    let output = Output { format: Format::Jsonl, flows: false, only_subscribed: false };
    let mut lines = Lines(0);
    let mut replay = Replay::new(Arc::new(Config::default()), output, &mut lines);
    replay.play(&corpus.bytes[..], Path::new("corpus")).expect("plays");
    replay.finish().expect("is written");
    assert_moments(lines.0, corpus);
    corpus.events
}

/// Counts lines.
struct Lines(usize);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += memchr::memchr_iter(b'\n', bytes).count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn esl_tokio(corpus: &Arc<Corpus>) -> usize {
    runtime().block_on(Box::pin(async {
        let port = serve(corpus).port();
        // It would rather drop events than hold up its reader; here it is to read them all.
        let options =
            EslConnectOptions::new().with_event_overflow(EventOverflow::BlockFor(std::time::Duration::from_secs(60)));
        let connecting = Box::pin(EslClient::connect_with_options("127.0.0.1", port, "ClueCon", options));
        let (client, mut stream) = connecting.await.expect("signs in");
        client.subscribe_all_events(EventFormat::Plain).await.expect("subscribes");
        let mut events = 0;
        while events < corpus.events {
            let event = stream.recv().await.expect("more events").expect("an event");
            for name in SIX_HEADERS {
                black_box(event.header_str(name));
            }
            events += 1;
        }
        events
    }))
}

/// It reads and parses events, but keeps them to itself: the answer to a command after the last event is its end.
fn freeswitch_esl(corpus: &Arc<Corpus>) -> usize {
    runtime().block_on(async {
        let address = serve(corpus);
        let client = freeswitch_esl::Esl::inbound(address, "ClueCon").await.expect("signs in");
        client.api("done").await.expect("is answered");
        corpus.events
    })
}
