//! What one event costs a client of the Event Socket: CPU time of the thread that reads, decodes and looks at six headers.
//!
//! Every client reads the same events, those of `tests/recordings` over and over, from a thread that plays FreeSWITCH on
//! a loopback socket. The clients take turns, round by round, so that whatever else the machine does hits all alike, and
//! the median round counts. The last column compares with `read()` alone, which no client can do without.
//!
//! `cargo bench --bench esl`, or `cargo bench --bench esl -- codec` for the clients whose names hold a word.

use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use bytes::BytesMut;
use freeswitch_esl_tokio::{EslClient, EslConnectOptions, EventFormat, EventOverflow};
use hookswitch::esl::codec::{Decoded, FrameCodec, READ_BUFFER, make_room};
use hookswitch::esl::command::Password;
use hookswitch::esl::link;
use hookswitch::esl::recording::{self, Item};
use hookswitch::esl::{Event, EventItem, NodeAddress};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncReadExt;

/// What a client of queues looks at in every event; two of them are absent from most, as they are in life.
const SIX_HEADERS: [&str; 6] =
    ["Event-Name", "Event-Date-Timestamp", "Event-Sequence", "Unique-ID", "CC-Action", "variable_cc_queue"];

/// Rounds, of which the median counts.
const ROUNDS: usize = 5;

/// Events that each client reads in all rounds together, at least.
const EVENTS: usize = 200_000;

fn main() -> io::Result<()> {
    let corpus = Arc::new(Corpus::read()?);
    let json = Arc::new(corpus.as_json());
    let repeats = EVENTS.div_ceil(ROUNDS * corpus.events);
    println!(
        "{} events of {:.1} kB on average, in each of {ROUNDS} rounds\n",
        repeats * corpus.events,
        corpus.bytes.len() as f64 / corpus.events as f64 / 1000.0
    );
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut clients: Vec<Client> = vec![
        ("read() into 256 KiB", bare_read, &corpus),
        ("hookswitch: codec, six headers", our_codec, &corpus),
        ("hookswitch: whole link, six headers", our_link, &corpus),
        ("hookswitch: replay, six headers (from memory)", our_replay, &corpus),
        ("freeswitch-esl-tokio 2.8.0, six headers", esl_tokio, &corpus),
        ("freeswitch-esl 0.1.0 (JSON; it hands out no events)", freeswitch_esl, &json),
    ];
    clients.retain(|(name, ..)| name.starts_with("read()") || name.contains(&wanted));
    let mut rounds = vec![Vec::new(); clients.len()];
    for _ in 0..ROUNDS {
        for ((_, client, corpus), times) in clients.iter().zip(&mut rounds) {
            times.push(measure(*client, corpus, repeats));
        }
    }
    let medians: Vec<f64> = rounds.iter_mut().map(|times| median(times)).collect();
    println!("{:<52} {:>12} {:>16}", "client", "µs per event", "against read()");
    for ((name, ..), median) in clients.iter().zip(&medians) {
        println!("{name:<52} {median:>12.2} {:>16.1}", median / medians[0]);
    }
    Ok(())
}

type Client<'a> = (&'a str, fn(&Arc<Corpus>, usize) -> usize, &'a Arc<Corpus>);

/// CPU microseconds per event of one client's round, on a thread of its own.
fn measure(client: fn(&Arc<Corpus>, usize) -> usize, corpus: &Arc<Corpus>, repeats: usize) -> f64 {
    let corpus = Arc::clone(corpus);
    let round = thread::spawn(move || {
        let before = clock_gettime(ClockId::ThreadCPUTime);
        let events = client(&corpus, repeats);
        let after = clock_gettime(ClockId::ThreadCPUTime);
        assert_eq!(events, corpus.events * repeats, "every event is read");
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
    /// The events of all plain recordings.
    fn read() -> io::Result<Self> {
        let mut corpus = Self { bytes: Vec::new(), events: 0 };
        let mut paths: Vec<_> =
            std::fs::read_dir("tests/recordings")?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
        paths.sort();
        for path in
            paths.iter().filter(|p| [".plain.esl.zst", ".sub.esl.zst"].iter().any(|e| p.to_string_lossy().ends_with(e)))
        {
            let mut bytes = BytesMut::new();
            let mut whole = Vec::new();
            recording::open(path)?.read_to_end(&mut whole)?;
            bytes.extend_from_slice(&whole);
            let mut codec = FrameCodec::default();
            while let Some(Decoded::Frame(frame)) = codec.next_frame(&mut bytes).map_err(io::Error::other)? {
                if frame.kind == hookswitch::esl::frame::FrameKind::EventPlain {
                    corpus.add("plain", &frame.body);
                }
            }
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
fn serve(corpus: &Arc<Corpus>, repeats: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("is bound");
    let corpus = Arc::clone(corpus);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, corpus) = (stream.expect("accepts"), Arc::clone(&corpus));
            // A client that has what it wants goes away in the middle of things.
            thread::spawn(move || drop(converse(stream, &corpus, repeats)));
        }
    });
    address
}

fn converse(mut stream: TcpStream, corpus: &Corpus, repeats: usize) -> io::Result<()> {
    stream.write_all(b"Content-Type: auth/request\n\n")?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        match line.split_whitespace().next() {
            None => {}
            Some("api") => stream.write_all(b"Content-Type: api/response\nContent-Length: 8\n\n+OK done")?,
            Some("event") => {
                stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK event listener enabled\n\n")?;
                (0..repeats).try_for_each(|_| stream.write_all(&corpus.bytes))?;
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
fn subscribed(corpus: &Arc<Corpus>, repeats: usize) -> TcpStream {
    let mut stream = TcpStream::connect(serve(corpus, repeats)).expect("connects");
    stream.write_all(b"auth ClueCon\n\nevent plain ALL\n\n").expect("writes");
    stream
}

/// The three frames before the first event.
const PREAMBLE: &str = "Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK accepted\n\n\
                        Content-Type: command/reply\nReply-Text: +OK event listener enabled\n\n";

fn bare_read(corpus: &Arc<Corpus>, repeats: usize) -> usize {
    let mut stream = subscribed(corpus, repeats);
    let mut buffer = vec![0; READ_BUFFER];
    let mut left = PREAMBLE.len() + corpus.bytes.len() * repeats;
    while left > 0 {
        left -= stream.read(&mut buffer).expect("reads");
        black_box(&buffer);
    }
    corpus.events * repeats
}

fn our_codec(corpus: &Arc<Corpus>, repeats: usize) -> usize {
    runtime().block_on(async {
        let stream = subscribed(corpus, repeats);
        stream.set_nonblocking(true).expect("is a socket");
        let mut stream = tokio::net::TcpStream::from_std(stream).expect("is a socket");
        let (mut codec, mut buffer, mut events) = (FrameCodec::default(), BytesMut::new(), 0);
        while events < corpus.events * repeats {
            make_room(&mut buffer);
            stream.read_buf(&mut buffer).await.expect("reads");
            while let Some(decoded) = codec.next_frame(&mut buffer).expect("are frames") {
                if let Decoded::Frame(frame) = decoded
                    && !frame.body.is_empty()
                {
                    look_at(&Event::from_plain(frame.body));
                    events += 1;
                }
            }
        }
        events
    })
}

fn our_link(corpus: &Arc<Corpus>, repeats: usize) -> usize {
    runtime().block_on(async {
        let address = serve(corpus, repeats).to_string();
        let password = Password::new("ClueCon").expect("can be sent");
        let mut link = link::connect(NodeAddress {
            name: "bench".into(),
            address,
            password,
            connect_timeout: std::time::Duration::from_secs(10),
        });
        let (mut items, mut events) = (Vec::new(), 0);
        while events < corpus.events * repeats {
            link.events.next_many(&mut items, 256).await;
            for item in items.drain(..) {
                match item {
                    EventItem::Event(event) => {
                        look_at(&event);
                        events += 1;
                    }
                    EventItem::Connected => {}
                    EventItem::Dirty { .. } | EventItem::Lost(_) => panic!("{item:?}"),
                }
            }
        }
        events
    })
}

fn our_replay(corpus: &Arc<Corpus>, repeats: usize) -> usize {
    let mut events = 0;
    for _ in 0..repeats {
        for item in recording::events(&corpus.bytes[..]) {
            if let Ok(Item::Event(event)) = item {
                look_at(&event);
                events += 1;
            }
        }
    }
    events
}

fn esl_tokio(corpus: &Arc<Corpus>, repeats: usize) -> usize {
    runtime().block_on(Box::pin(async {
        let port = serve(corpus, repeats).port();
        // It would rather drop events than hold up its reader; here it is to read them all.
        let options =
            EslConnectOptions::new().with_event_overflow(EventOverflow::BlockFor(std::time::Duration::from_secs(60)));
        let connecting = Box::pin(EslClient::connect_with_options("127.0.0.1", port, "ClueCon", options));
        let (client, mut stream) = connecting.await.expect("signs in");
        client.subscribe_all_events(EventFormat::Plain).await.expect("subscribes");
        let mut events = 0;
        while events < corpus.events * repeats {
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
fn freeswitch_esl(corpus: &Arc<Corpus>, repeats: usize) -> usize {
    runtime().block_on(async {
        let address = serve(corpus, repeats);
        let client = freeswitch_esl::Esl::inbound(address, "ClueCon").await.expect("signs in");
        client.api("done").await.expect("is answered");
        corpus.events * repeats
    })
}
