//! The simulated Event Socket from outside: what a client may do to it, and what comes back.

use std::path::PathBuf;
use std::time::Duration;

use hookswitch::simulator::{Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Fixture {
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

impl Fixture {
    async fn start(options: ServerOptions) -> Self {
        let server = Server::bind("127.0.0.1:0").await.expect("a free port");
        let address = server.local_addr();
        let shutdown = CancellationToken::new();
        let running = server.run(options, shutdown.clone());
        let server = tokio::spawn(async { running.await.expect("no journal, no error") });
        Self { address, shutdown, server }
    }

    /// Simulated time flies, so that there is much to hear in little time.
    async fn fast() -> Self {
        Self::start(ServerOptions { speed: 200.0, ..ServerOptions::default() }).await
    }

    async fn connect(&self) -> Client {
        let socket = BufReader::new(TcpStream::connect(self.address).await.expect("it listens"));
        let mut client = Client { socket };
        assert_eq!(client.frame().await.expect("a greeting").kind(), "auth/request");
        client
    }

    async fn sign_in(&self) -> Client {
        let mut client = self.connect().await;
        assert_eq!(client.ask("auth ClueCon").await, "+OK accepted");
        client
    }
}

struct Client {
    socket: BufReader<TcpStream>,
}

#[derive(Debug)]
struct Frame {
    headers: Vec<(String, String)>,
    body: String,
}

impl Frame {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(candidate, _)| candidate == name).map_or("", |(_, value)| value)
    }

    fn kind(&self) -> &str {
        self.header("Content-Type")
    }
}

impl Client {
    async fn send(&mut self, command: &str) {
        self.socket.get_mut().write_all(format!("{command}\n\n").as_bytes()).await.expect("it reads");
    }

    /// The next frame; none at the end of the connection.
    async fn frame(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.next()).await.expect("an answer in time")
    }

    async fn next(&mut self) -> Option<Frame> {
        let mut head = Vec::new();
        while !head.ends_with(b"\n\n") {
            head.push(self.socket.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).expect("UTF-8");
        let headers: Vec<_> =
            head.lines().filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let mut frame = Frame { headers, body: String::new() };
        let mut body = vec![0; frame.header("Content-Length").parse().unwrap_or(0)];
        self.socket.read_exact(&mut body).await.ok()?;
        frame.body = String::from_utf8(body).expect("UTF-8");
        Some(frame)
    }

    /// The next frame of that type.
    async fn next_of(&mut self, kind: &str) -> Frame {
        loop {
            let frame = self.frame().await.unwrap_or_else(|| panic!("no {kind} came"));
            if frame.kind() == kind {
                return frame;
            }
        }
    }

    async fn ask(&mut self, command: &str) -> String {
        self.send(command).await;
        self.next_of("command/reply").await.header("Reply-Text").to_owned()
    }

    async fn api(&mut self, command: &str) -> String {
        self.send(&format!("api {command}")).await;
        self.next_of("api/response").await.body
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_nothing_works_without_one() {
    let server = Fixture::fast().await;
    let mut client = server.connect().await;
    assert_eq!(client.ask("api status").await, "-ERR command not found");
    assert_eq!(client.ask("event plain ALL").await, "-ERR command not found");
    assert_eq!(client.ask("auth wrong").await, "-ERR invalid");
    assert_eq!(client.frame().await.expect("a goodbye").kind(), "text/disconnect-notice");
    assert!(client.frame().await.is_none());
}

#[tokio::test]
async fn both_formats_come_in_whole_frames() {
    let server = Fixture::fast().await;
    for format in ["plain", "json"] {
        let mut client = server.sign_in().await;
        let reply = client.ask(&format!("event {format} CHANNEL_CREATE CUSTOM callcenter::info")).await;
        assert_eq!(reply, format!("+OK event listener enabled {format}"));
        for _ in 0..200 {
            let frame = client.frame().await.expect("an event");
            assert_eq!(frame.kind(), format!("text/event-{format}"));
            if format == "json" {
                assert!(serde_json::from_str::<serde_json::Value>(&frame.body).expect("JSON").is_object());
            } else {
                let head = frame.body.strip_suffix("\n\n").expect("a blank line at the end");
                assert!(head.lines().all(|line| line.contains(": ")), "{head}");
            }
        }
    }
}

#[tokio::test]
async fn garbage_is_answered_or_ends_only_its_own_connection() {
    let server = Fixture::fast().await;
    let mut good = server.sign_in().await;
    let mut bad = server.sign_in().await;
    for command in ["nonsense", "\u{1}\u{2}", "api", "event", "event plain NONSENSE", "nixevent", "filter", "sendmsg x"]
    {
        assert!(bad.ask(command).await.starts_with("-ERR"), "{command:?}");
    }
    for command in
        ["callcenter_config", "callcenter_config queue list agents", "json {", "uuid_dump", "show", "uuid_kill x"]
    {
        let answer = bad.api(command).await;
        assert!(answer.starts_with("-ERR") || answer.starts_with("-USAGE"), "{command}: {answer}");
    }
    // A command that never ends. The server closes; how much it still takes before is the network's affair.
    let endless = vec![b'x'; 1 << 20];
    let _ = bad.socket.get_mut().write_all(&endless).await;
    while bad.frame().await.is_some() {}
    assert!(good.api("status").await.starts_with("UP "));
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_events_and_stalls_nobody() {
    let options = ServerOptions { speed: 500.0, queue_frames: 4, ..ServerOptions::default() };
    let server = Fixture::start(options).await;
    let mut asleep = server.sign_in().await;
    assert!(asleep.ask("event plain ALL").await.starts_with("+OK"));
    let mut awake = server.sign_in().await;
    assert!(awake.ask("event plain HEARTBEAT").await.starts_with("+OK"));
    // Far more than the sleeper's queue and the network's buffers hold.
    for _ in 0..100 {
        assert_eq!(awake.frame().await.expect("a heartbeat").kind(), "text/event-plain");
    }
    assert!(awake.api("status").await.starts_with("UP "));
}

#[tokio::test]
async fn subscriptions_add_up_and_can_be_taken_back() {
    let server = Fixture::fast().await;
    let mut client = server.sign_in().await;
    assert!(client.ask("event plain HEARTBEAT").await.starts_with("+OK"));
    assert_eq!(client.ask("filter Event-Name HEARTBEAT").await, "+OK filter added. [Event-Name]=[HEARTBEAT]");
    assert!(client.next_of("text/event-plain").await.body.starts_with("Event-Name: HEARTBEAT\n"));
    assert_eq!(client.ask("nixevent HEARTBEAT").await, "+OK events nixed");
    assert_eq!(client.ask("event plain CHANNEL_ANSWER").await, "+OK event listener enabled plain");
    // What was on its way may still come; then only what is wanted.
    let mut latest = String::new();
    for _ in 0..20 {
        latest = client.next_of("text/event-plain").await.body;
    }
    assert!(latest.starts_with("Event-Name: CHANNEL_ANSWER\n"));
    assert_eq!(client.ask("noevents").await, "+OK no longer listening for events");
    assert_eq!(client.ask("noevents").await, "-ERR not listening for events");
    assert_eq!(client.ask("exit").await, "+OK bye");
    assert_eq!(client.next_of("text/disconnect-notice").await.body, "Disconnected.\n");
    assert!(client.frame().await.is_none());
}

#[tokio::test]
async fn the_queues_are_listed_as_mod_callcenter_lists_them() {
    let server = Fixture::fast().await;
    let mut client = server.sign_in().await;
    let queues = client.api("callcenter_config queue list").await;
    assert!(queues.starts_with("name|strategy|moh_sound|time_base_score|tier_rules_apply|"), "{queues}");
    assert!(queues.ends_with("+OK\n"));
    let agents = client.api("callcenter_config agent list").await;
    let columns = agents.lines().next().expect("a line").split('|').count();
    assert!(agents.starts_with("name|instance_id|uuid|type|contact|status|state|max_no_answer|wrap_up_time|"));
    assert!(agents.lines().skip(1).filter(|line| *line != "+OK").all(|line| line.split('|').count() == columns));
    let tiers = client.api("callcenter_config queue list tiers sales@default").await;
    assert!(tiers.starts_with("queue|agent|state|level|position\nsales@default|1005@default|Ready|1|1\n"), "{tiers}");
    assert_eq!(client.api("callcenter_config queue list members nobody@default").await, "+OK\n");

    let request =
        r#"json {"command":"callcenter_config","data":{"arguments":"queue list agents","queue_name":"sales@default"}}"#;
    let reply: serde_json::Value = serde_json::from_str(&client.api(request).await).expect("JSON");
    assert_eq!(reply["status"], "success");
    assert_eq!(reply["response"].as_array().map(Vec::len), Some(3));
    assert_eq!(reply["response"][0]["wrap_up_time"], "8");
    let without_queue = r#"json {"command":"callcenter_config","data":{"arguments":"queue list members"}}"#;
    let reply: serde_json::Value = serde_json::from_str(&client.api(without_queue).await).expect("JSON");
    assert_eq!(reply["response"]["error"], "Missing data attribute: queue_name");
}

#[tokio::test]
async fn a_channel_can_be_listed_dumped_marked_and_killed() {
    let server = Fixture::start(ServerOptions { speed: 20.0, ..ServerOptions::default() }).await;
    let mut client = server.sign_in().await;
    let uuid = loop {
        let listed: serde_json::Value = serde_json::from_str(&client.api("show channels as json").await).expect("JSON");
        let rows = listed["rows"].as_array().cloned().unwrap_or_default();
        assert_eq!(listed["row_count"], rows.len());
        let member = rows.iter().find(|row| row["application"] == "callcenter").map(|row| row["uuid"].clone());
        if let Some(uuid) = member.as_ref().and_then(serde_json::Value::as_str) {
            break uuid.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(client.ask("event plain CHANNEL_HANGUP_COMPLETE BACKGROUND_JOB").await.starts_with("+OK"));
    // The call may end by itself at any moment: it is either marked and killed, or gone.
    if client.api(&format!("uuid_setvar {uuid} vip true")).await == "+OK\n" {
        let dump = client.api(&format!("uuid_dump {uuid} json")).await;
        if dump.starts_with('{') {
            let dump: serde_json::Value = serde_json::from_str(&dump).expect("JSON");
            assert_eq!(dump["variable_vip"], "true");
            assert_eq!(dump["Event-Name"], "CHANNEL_DATA");
        }
    }
    client.send(&format!("api uuid_kill {uuid}")).await;
    let mut hung_up = false;
    while !hung_up {
        let frame = client.frame().await.expect("an answer");
        hung_up =
            frame.body.contains(&format!("\nUnique-ID: {uuid}\n")) || frame.body.starts_with("-ERR No such channel");
    }
    assert_eq!(client.api(&format!("uuid_dump {uuid}")).await, "-ERR No such channel!\n");
    let job = client.ask("bgapi status\nJob-UUID: my-job").await;
    assert_eq!(job, "+OK Job-UUID: my-job");
    loop {
        let event = client.next_of("text/event-plain").await.body;
        if event.starts_with("Event-Name: BACKGROUND_JOB\n") {
            assert!(event.contains("\nJob-UUID: my-job\n") && event.contains("\n\nUP "), "{event}");
            break;
        }
    }
}

#[tokio::test]
async fn going_down_is_said_and_the_journal_is_complete() {
    let directory = tempfile::tempdir().expect("a directory");
    let journal: PathBuf = directory.path().join("truth.jsonl");
    let options = ServerOptions { speed: 100.0, journal: Some(journal.clone()), ..ServerOptions::default() };
    let server = Fixture::start(options).await;
    let mut client = server.sign_in().await;
    assert!(client.ask("event plain SHUTDOWN CUSTOM callcenter::info").await.starts_with("+OK"));
    for _ in 0..100 {
        client.next_of("text/event-plain").await;
    }
    server.shutdown.cancel();
    let mut names = Vec::new();
    let notice = loop {
        let frame = client.frame().await.expect("a notice before the end");
        match frame.kind() {
            "text/event-plain" => names.push(frame.body),
            _ => break frame,
        }
    };
    assert_eq!((notice.kind(), notice.body.as_str()), ("text/disconnect-notice", "The system is being shut down.\n"));
    assert!(names.iter().any(|event| event.starts_with("Event-Name: SHUTDOWN\n")));
    assert!(client.frame().await.is_none());
    server.server.await.expect("it ends");
    let journal = std::fs::read_to_string(journal).expect("it is there");
    let truths: Vec<serde_json::Value> =
        journal.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    assert!(!truths.is_empty());
    assert!(truths.iter().all(|truth| truth["hooks"][0] == "joined"));
}
