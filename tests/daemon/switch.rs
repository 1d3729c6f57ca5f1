//! A scripted FreeSWITCH: it has the members that a test gives it, and every bad habit that a test asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

use crate::place::Node;

const QUEUE: &str = "support@default";

/// How often it sends a heartbeat: a FreeSWITCH that is set up so, and tests that need not wait.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// The FreeSWITCH.
pub(crate) struct Switch {
    address: String,
    state: Arc<Mutex<State>>,
    events: broadcast::Sender<String>,
    /// Counted up to end all connections; how they end.
    ending: watch::Sender<(u32, Manner)>,
}

/// How connections end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// They break.
    Cut,
    /// They are announced to end, and do.
    Notice,
    /// They stay open, and nothing is read or written any more.
    Stall,
}

struct State {
    core: String,
    password: String,
    sequence: u64,
    started: Instant,
    /// What its clock showed at its start.
    beginning: Timestamp,
    swallow_commands: bool,
    /// The members with a call here, by number.
    calls: BTreeMap<String, Call>,
    /// What all nodes of the database list.
    database: Arc<Mutex<BTreeMap<String, Value>>>,
    /// The agents, by name, and where they are called.
    agents: BTreeMap<String, String>,
    /// What the directory says, by `USER@DOMAIN var NAME`.
    directory: BTreeMap<String, String>,
    /// What the directory was asked.
    asked: Vec<String>,
}

#[derive(Clone)]
struct Call {
    member: String,
    channel: String,
    joined_at: Timestamp,
}

impl Switch {
    /// Starts it as a process with that Core-UUID.
    pub(crate) async fn start(core: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("is bound").to_string();
        let state = Arc::new(Mutex::new(State {
            core: core.to_owned(),
            password: "ClueCon".to_owned(),
            sequence: 0,
            started: Instant::now(),
            beginning: Timestamp::from_second(1_795_421_926).expect("in range"),
            swallow_commands: false,
            calls: BTreeMap::new(),
            database: Arc::default(),
            agents: BTreeMap::new(),
            directory: BTreeMap::new(),
            asked: Vec::new(),
        }));
        let (events, ending) = (broadcast::Sender::new(1_024), watch::Sender::new((0, Manner::Cut)));
        let (clients, all, ends) = (state.clone(), events.clone(), ending.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ending = ends.subscribe();
                tokio::spawn(Connection::new(stream, clients.clone(), all.clone()).serve(ending));
            }
        });
        let (beating, all) = (state.clone(), events.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                let event = beating.lock().expect("no panic").event("HEARTBEAT", &[]);
                // Nobody may be there to hear it.
                let _ = all.send(event);
            }
        });
        Self { address, state, events, ending }
    }

    /// Itself, as it is configured, with further keys.
    pub(crate) fn as_node(&self, name: &'static str, more: &str) -> Node {
        (name, self.address.clone(), format!("password = \"{}\"\n{more}", self.state().password))
    }

    pub(crate) fn share_database_with(&self, other: &Self) {
        other.state().database = self.state().database.clone();
    }

    /// What its clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.state().now()
    }

    /// Its clock goes on.
    pub(crate) fn skip(&self, time: Duration) {
        self.state().beginning += time;
    }

    /// An agent is configured.
    pub(crate) fn add_agent(&self, name: &str, contact: &str) {
        self.state().agents.insert(name.to_owned(), contact.to_owned());
    }

    /// The directory says something from now on: `1000@default var crm_id`.
    pub(crate) fn say_of_user(&self, question: &str, answer: &str) {
        self.state().directory.insert(question.to_owned(), answer.to_owned());
    }

    /// What the directory was asked until now.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// Somebody calls and enters the queue.
    pub(crate) fn join(&self, number: &str) {
        self.slip_in(number);
        self.list(number);
        let mut state = self.state();
        let call = state.calls[number].clone();
        let event = state.of_member("member-queue-start", number, &call, &[("Answer-State", "answered")]);
        self.send(event);
    }

    /// Somebody calls and enters the queue; nobody hears of it, and the queue does not list the member yet.
    pub(crate) fn slip_in(&self, number: &str) {
        let mut state = self.state();
        let (member, channel) = (format!("member-{number}"), format!("{}-{number}", state.core));
        let joined_at = state.now();
        state.calls.insert(number.to_owned(), Call { member, channel, joined_at });
    }

    /// The queue lists a member.
    pub(crate) fn list(&self, number: &str) {
        let state = self.state();
        let Call { member, channel, joined_at } = &state.calls[number];
        let row = json!({
            "queue": QUEUE, "uuid": member, "session_uuid": channel, "state": "Waiting", "cid_number": number,
            "joined_epoch": joined_at.as_second().to_string(), "instance_id": state.core,
        });
        state.database.lock().expect("no panic").insert(number.to_owned(), row);
    }

    /// A member is to be offered to an agent.
    pub(crate) fn offer(&self, number: &str, agent: &str) {
        let mut state = self.state();
        let call = state.calls[number].clone();
        let event = state.of_member("agent-offering", number, &call, &[("CC-Agent", agent)]);
        self.send(event);
    }

    /// An agent was not reached.
    pub(crate) fn fail(&self, number: &str, agent: &str) {
        let mut state = self.state();
        let call = state.calls[number].clone();
        let failed = [("CC-Agent", agent), ("CC-Hangup-Cause", "USER_BUSY")];
        let event = state.of_member("bridge-agent-fail", number, &call, &failed);
        self.send(event);
    }

    /// A caller hangs up while waiting.
    pub(crate) fn leave(&self, number: &str) {
        let call = self.take(number);
        let mut state = self.state();
        let joined = call.joined_at.as_second().to_string();
        let ended = [("Answer-State", "hangup"), ("CC-Cancel-Reason", "BREAK_OUT"), ("CC-Member-Joined-Time", &joined)];
        let left = state.of_member("member-queue-end", number, &call, &ended);
        let gone = state.event(
            "CHANNEL_HANGUP_COMPLETE",
            &[
                ("Unique-ID", &call.channel),
                ("Hangup-Cause", "NORMAL_CLEARING"),
                ("variable_sip_hangup_disposition", "recv_bye"),
            ],
        );
        self.send(left);
        self.send(gone);
    }

    /// A caller goes, and no event tells it.
    pub(crate) fn vanish(&self, number: &str) {
        self.take(number);
    }

    /// All connections break.
    pub(crate) fn cut(&self) {
        self.end(Manner::Cut);
    }

    /// All connections are said to end, and do; calls live on.
    pub(crate) fn disconnect(&self) {
        self.end(Manner::Notice);
    }

    /// Nothing comes or goes any more on the connections that there are.
    pub(crate) fn stall(&self) {
        self.end(Manner::Stall);
    }

    /// Whether commands that come from now on are lost on their way.
    pub(crate) fn swallow_commands(&self, on: bool) {
        self.state().swallow_commands = on;
    }

    pub(crate) fn set_password(&self, password: &str) {
        self.state().password = password.to_owned();
    }

    /// It crashes and is started anew.
    pub(crate) fn restart(&self, core: &str) {
        let mut state = self.state();
        let gone: BTreeSet<String> = std::mem::take(&mut state.calls).into_keys().collect();
        state.database.lock().expect("no panic").retain(|number, _| !gone.contains(number));
        state.core = core.to_owned();
        state.sequence = 0;
        drop(state);
        self.end(Manner::Cut);
    }

    fn take(&self, number: &str) -> Call {
        let mut state = self.state();
        state.database.lock().expect("no panic").remove(number);
        state.calls.remove(number).expect("is there")
    }

    fn end(&self, manner: Manner) {
        self.ending.send_modify(|(count, how)| (*count, *how) = (*count + 1, manner));
    }

    fn send(&self, event: String) {
        // Nobody may be there to hear it.
        let _ = self.events.send(event);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }
}

impl State {
    fn now(&self) -> Timestamp {
        self.beginning + self.started.elapsed()
    }

    fn event(&mut self, name: &str, headers: &[(&str, &str)]) -> String {
        self.sequence += 1;
        let mut body = format!(
            "Event-Name: {name}\nCore-UUID: {}\nEvent-Sequence: {}\nEvent-Date-Timestamp: {}\n",
            self.core,
            self.sequence,
            self.now().as_microsecond()
        );
        for (name, value) in headers {
            body.push_str(&format!("{name}: {value}\n"));
        }
        body.push('\n');
        format!("Content-Length: {}\nContent-Type: text/event-plain\n\n{body}", body.len())
    }

    fn of_member(&mut self, action: &str, number: &str, call: &Call, more: &[(&str, &str)]) -> String {
        let about = [
            ("CC-Action", action),
            ("CC-Queue", QUEUE),
            ("CC-Member-UUID", &call.member),
            ("CC-Member-Session-UUID", &call.channel),
            ("CC-Member-CID-Number", number),
            ("Unique-ID", &call.channel),
            ("variable_cc_queue", QUEUE),
            ("variable_cc_member_uuid", &call.member),
        ];
        self.event("CUSTOM", &[&about, more].concat())
    }

    /// The answer to an `api` command.
    fn answer(&mut self, command: &str) -> String {
        let success = |rows: Vec<Value>| json!({ "status": "success", "response": rows }).to_string();
        if command.contains("core_uuid") {
            self.core.clone()
        } else if command == "version" {
            "FreeSWITCH Version 1.11.2-dev".to_owned()
        } else if command.contains("show channels") {
            // A real row has more than twenty columns, some 700 bytes.
            let columns = "-".repeat(700);
            let row = |call: &Call| json!({ "uuid": call.channel, "presence_data": columns });
            let rows: Vec<_> = self.calls.values().map(row).collect();
            json!({ "row_count": rows.len(), "rows": rows }).to_string()
        } else if let Some((_, channel)) = command.split_once("uuid_dump ") {
            let channel = channel.split(' ').next().unwrap_or_default();
            let call = self.calls.values().find(|call| call.channel == channel);
            call.map_or("-ERR No such channel!\n".to_owned(), |call| {
                json!({
                    "Unique-ID": channel, "Answer-State": "answered", "variable_cc_queue": QUEUE,
                    "variable_cc_member_uuid": call.member, "variable_cc_side": "member",
                })
                .to_string()
            })
        } else if command.contains("queue list members") {
            success(self.database.lock().expect("no panic").values().cloned().collect())
        } else if let Some(question) = command.strip_prefix("user_data ") {
            self.asked.push(question.to_owned());
            self.directory.get(question).cloned().unwrap_or_else(|| "-ERR no such user\n".to_owned())
        } else if command.contains("\"agent list\"") {
            success(self.agents.iter().map(|(name, contact)| json!({ "name": name, "contact": contact })).collect())
        } else if command.contains("\"queue list\"") {
            success(vec![json!({ "name": QUEUE })])
        } else if command.contains("list") {
            success(Vec::new())
        } else {
            "-ERR no such thing\n".to_owned()
        }
    }
}

/// One client.
struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    state: Arc<Mutex<State>>,
    all_events: broadcast::Sender<String>,
    events: Option<broadcast::Receiver<String>>,
}

impl Connection {
    fn new(stream: TcpStream, state: Arc<Mutex<State>>, all_events: broadcast::Sender<String>) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer, state, all_events, events: None }
    }

    async fn serve(mut self, mut ending: watch::Receiver<(u32, Manner)>) {
        tokio::select! {
            changed = ending.changed() => changed.expect("the switch is there"),
            () = self.talk() => return,
        }
        let manner = ending.borrow().1;
        match manner {
            Manner::Cut => {}
            Manner::Notice => {
                let notice = "Disconnected, goodbye.\n";
                self.write(&format!(
                    "Content-Type: text/disconnect-notice\nContent-Length: {}\n\n{notice}",
                    notice.len()
                ))
                .await;
            }
            Manner::Stall => std::future::pending().await,
        }
    }

    async fn talk(&mut self) {
        self.write("Content-Type: auth/request\n\n").await;
        let mut line = String::new();
        loop {
            let event = async {
                match &mut self.events {
                    Some(events) => events.recv().await.expect("the switch is there, and the client reads"),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = event => self.write(&event).await,
                read = self.reader.read_line(&mut line) => {
                    if read.unwrap_or(0) == 0 {
                        return;
                    }
                    let command = std::mem::take(&mut line);
                    if !self.obey(command.trim()).await {
                        return;
                    }
                }
            }
        }
    }

    /// Whether the connection lives on.
    async fn obey(&mut self, command: &str) -> bool {
        let reply = |text: &str| format!("Content-Type: command/reply\nReply-Text: {text}\n\n");
        let (password, swallow) = {
            let state = self.state.lock().expect("no panic");
            (state.password.clone(), state.swallow_commands)
        };
        match command.split_once(' ') {
            Some(("auth", tried)) if tried == password => self.write(&reply("+OK accepted")).await,
            Some(("auth", _)) => {
                self.write(&reply("-ERR invalid")).await;
                return false;
            }
            Some(("event", _)) => {
                self.events = Some(self.all_events.subscribe());
                self.write(&reply("+OK event listener enabled plain")).await;
            }
            Some(("api", _)) if swallow => {}
            Some(("api", command)) => {
                let answer = self.state.lock().expect("no panic").answer(command);
                self.write(&format!("Content-Type: api/response\nContent-Length: {}\n\n{answer}", answer.len())).await;
            }
            _ => {}
        }
        true
    }

    async fn write(&mut self, text: &str) {
        // A client that has gone is noticed when it is read.
        let _ = self.writer.write_all(text.as_bytes()).await;
    }
}
