//! The first configuration, and how the daemon behaves with it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::process::{Place, Process, program, tells};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[test]
fn init_writes_a_good_configuration_for_its_owner_and_never_over_another() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let config = path("etc/hookswitch.toml");
    let init = || {
        let mut command = program();
        command.arg("init").arg("--config").arg(&config).arg("--outbox").arg(path("var/outbox.db"));
        command.output().expect("runs")
    };
    let done = init();
    assert!(done.status.success(), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("hookswitch run --config"), "{done:?}");
    assert_eq!(mode(&config), 0o640);
    assert_eq!(mode(&path("etc/webhook.secret")), 0o600);
    let checked = program().arg("check").arg("--config").arg(&config).output().expect("runs");
    assert!(checked.status.success(), "{checked:?}");

    let before = fs::read(&config).expect("reads");
    let again = init();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"), "{again:?}");
    assert_eq!(fs::read(&config).expect("reads"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_in_json_what_would_start() {
    let place = Place::new().await;
    place.write(&format!("{}[daemon]\ndry_run = true\n", tells("started")));
    let mut daemon = Process::start(place.command(&["run", "--log-format", "json"]));
    let line = daemon.says("would start");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["message"], "dry run: joined would start a flow");
    assert_eq!(line["hook"], "*/tell");
    assert_eq!(line["flow"], "tell");
    assert!(!daemon.said().contains("\"started\""));
}
