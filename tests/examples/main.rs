//! The configurations of `conf/examples`, each played: calls that a real FreeSWITCH has recorded go the daemon's way through
//! lifecycle, hooks, outbox and flows, and every effect is compared, those included that must not come about.
//!
//! What an operator has to change is changed here: addresses, secrets, and waits that are too long for a test.

mod play;
#[expect(dead_code, reason = "it can answer worse than is needed here")]
#[path = "../outbox/receiver.rs"]
mod receiver;
#[path = "../flow/switchboard.rs"]
mod switchboard;

mod call_log;
mod callback;
mod crm_lookup;
mod missed_call;
mod screen_pop;
mod sla_alarm;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The examples.
fn examples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/examples");
    let entries = directory.read_dir().expect("is there").map(|entry| entry.expect("an entry").path());
    let mut examples: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "toml")).collect();
    examples.sort();
    examples
}

#[test]
fn check_finds_nothing_wrong_with_any_example() {
    assert!(!examples().is_empty());
    for example in examples() {
        let checked = Command::new(env!("CARGO_BIN_EXE_hookswitch"))
            .args(["check", "--config"])
            .arg(&example)
            .env("ESL_PASSWORD", "ClueCon")
            .env("WEBHOOK_SECRET", play::SECRET)
            .env("CRM_AUTHORIZATION", "Bearer token")
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success() && said.lines().count() == 1, "{}: {said}", example.display());
    }
}

#[test]
fn every_example_is_played_and_explained() {
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("reads");
    let (tests, explained) = (read("tests/examples/main.rs"), read("conf/README.md"));
    for example in examples() {
        let name = example.file_stem().expect("a name").to_str().expect("UTF-8");
        assert!(tests.contains(&format!("mod {};", name.replace('-', "_"))), "{name} is not played");
        assert!(explained.contains(&format!("examples/{name}.toml")), "conf/README.md does not tell of {name}");
    }
}
