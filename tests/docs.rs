//! The examples in the documentation are what they say they are.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use hookswitch::config::Config;
use hookswitch::esl::Event;
use hookswitch::outbox::{Opened, Settings};
use hookswitch::signal::event::ToldByEvent;
use tempfile::TempDir;

/// The fenced blocks of that language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("a readable document")
}

/// Every document for users.
fn documents() -> Vec<String> {
    let files = |directory: &str| {
        let entries = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).read_dir().expect("is there");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        names.filter(|name| name.ends_with(".md")).map(|name| format!("{directory}/{name}")).collect::<Vec<_>>()
    };
    let mut documents =
        [vec!["README.md".into(), "conf/README.md".into()], files("docs"), files("docs/steps")].concat();
    documents.sort();
    documents
}

#[test]
fn every_configuration_in_the_documents_is_good() {
    let mut checked = 0;
    for name in documents() {
        let text = read(&name);
        for block in blocks(&text, "toml") {
            checked += 1;
            if let Err(problems) = Config::from_toml(&name, block) {
                panic!("{name}: {problems}\n{block}");
            }
        }
    }
    assert!(checked > 0);
}

#[test]
fn every_json_in_the_documents_can_be_read() {
    let text = read("README.md");
    let blocks = blocks(&text, "json");
    assert!(!blocks.is_empty());
    for block in blocks {
        serde_json::from_str::<serde_json::Value>(block).expect("JSON");
    }
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    for name in documents() {
        let text = read(&name);
        let base = Path::new(&name).parent().expect("a directory");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(base).join(target);
            assert!(path.exists(), "{name} links to {target}");
        }
    }
}

/// What a dialplan gives to the application `event`, as the event that FreeSWITCH makes of it.
fn event(data: &str) -> Event {
    let headers: String =
        data.split(',').filter_map(|pair| pair.split_once('=')).map(|(n, v)| format!("{n}: {v}\n")).collect();
    Event::from_plain(format!("{headers}Unique-ID: c1\nEvent-Sequence: 7\n").into_bytes().into())
}

#[test]
fn what_the_example_dialplan_tells_can_be_read() {
    let text = read("dialplan/told.xml");
    let quoted = text.split("data=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let told: Vec<_> = quoted
        .filter_map(|data| Some(&data[data.find("Event-Name=CUSTOM")?..]))
        .map(|data| ToldByEvent::read(&event(data)).unwrap_or_else(|malformed| panic!("{data}: {malformed}")))
        .collect();
    assert_eq!(told.len(), 8);
    assert!(told.iter().all(|told| (told.queue.as_str(), told.key.as_str()) == ("desks", "c1")));
}

/// The cells of the table of tests, below their event: each names a recording that `tests/recordings.rs` replays, or a test as
/// `FILE::NAME`, or is a dash.
fn evidence(text: &str) -> Vec<(&str, &str)> {
    let table = text.split("## Which test shows it").nth(1).expect("the table is there");
    let mut rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let events: Vec<_> = rows.next().expect("a heading").split(" | ").skip(1).collect();
    let rows: Vec<Vec<_>> = rows.skip(1).map(|row| row.split(" | ").skip(1).collect()).collect();
    assert!(events.len() == 8 && rows.len() >= 8 && rows.iter().all(|row| row.len() == 8), "{rows:?}");
    rows.into_iter().flat_map(|row| events.clone().into_iter().zip(row)).collect()
}

/// Whether the truth of a recording, which is written by hand, has that event.
fn is_told(truth: &str, event: &str) -> bool {
    // Not told apart in truths: it is the same moment.
    let event = if event == "active" { "answered" } else { event };
    let truth: serde_json::Value = serde_json::from_str(truth).expect("JSON");
    let attempts = truth["attempts"].as_array().expect("attempts");
    let mut hooks = attempts.iter().filter_map(|attempt| attempt["hooks"].as_array()).flatten();
    hooks.any(|hook| hook.as_str().expect("a text").split(' ').next() == Some(event))
}

#[test]
fn every_cell_of_the_table_of_queues_names_what_shows_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = read("docs/queues.md");
    for (event, cell) in evidence(&text) {
        if cell == "-" {
            continue;
        }
        let proof = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).expect("a name");
        let shows = match proof.split_once("::") {
            None => std::fs::read_to_string(root.join(format!("recordings/{proof}.truth.json")))
                .is_ok_and(|truth| is_told(&truth, event)),
            Some((file, name)) => ["lifecycle", "http"].into_iter().any(|target| {
                let source = std::fs::read_to_string(root.join(target).join(format!("{file}.rs")));
                source.is_ok_and(|source| source.contains(&format!("fn {name}()")))
            }),
        };
        assert!(shows, "{proof} shows {event}");
    }
}

/// An outbox with runs that the examples name.
const OUTBOX: &[u8] = include_bytes!("outbox/fixture/version_2.db.zst");

#[tokio::test]
async fn every_command_in_the_operators_guide_does_something() {
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("outbox.db"), zstd::decode_all(OUTBOX).expect("unpacks")).expect("writes");
    let Opened { outbox, runs, ending, .. } = Opened::open(&Settings::at(path("outbox.db"))).expect("opens");
    drop((outbox, runs));
    ending.ended().await;
    let flow = |name: &str, receiver: SocketAddr| {
        format!("[flows.{name}]\nsteps = [{{ http = {{ url = 'http://{receiver}/' }}, save = 'crm' }}]\n")
    };
    let receiver = receiver();
    let [pop, crm] = ["screen-pop", "crm"].map(|name| flow(name, receiver));
    std::fs::write(path("hookswitch.toml"), format!("[outbox]\npath = {:?}\n{pop}{crm}", path("outbox.db")))
        .expect("writes");
    let guide = read("docs/operation.md");
    let commands = blocks(&guide, "console")
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("$ hookswitch "));
    let mut ran = 0;
    for arguments in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
        let output =
            command.args(arguments.split(' ')).arg("--config").arg(path("hookswitch.toml")).output().expect("runs");
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(output.status.success() && !out.is_empty(), "{arguments}: {out}{err}");
        ran += 1;
    }
    assert!(ran > 5);
}

/// A receiver that takes everything.
fn receiver() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut buffer = [0; 64 * 1_024];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    address
}
