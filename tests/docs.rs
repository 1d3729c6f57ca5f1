//! The examples in the documentation are what they say they are.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use hookswitch::config::Config;
use hookswitch::outbox::{Opened, Settings};
use tempfile::TempDir;

/// The fenced blocks of that language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("a readable document")
}

#[test]
fn every_configuration_in_the_documents_is_good() {
    let mut checked = 0;
    for name in ["README.md", "docs/configuration.md", "docs/operation.md"] {
        let text = read(name);
        for block in blocks(&text, "toml") {
            checked += 1;
            if let Err(problems) = Config::from_toml(name, block) {
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
    for name in ["README.md", "conf/README.md", "docs/configuration.md", "docs/hooks.md", "docs/operation.md"] {
        let text = read(name);
        let base = Path::new(name).parent().expect("a directory");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(base).join(target);
            assert!(path.exists(), "{name} links to {target}");
        }
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
