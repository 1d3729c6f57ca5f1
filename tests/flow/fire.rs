//! `hookswitch hooks fire`, as a process: without a daemon, and beside one.

use std::path::{Path, PathBuf};
use std::process::Command;

use hookswitch::outbox::{Filter, RunState};
use serde_json::Value;
use tempfile::TempDir;

use crate::receiver::{Answer, Receiver};
use crate::stage::{Stage, open};
use crate::switchboard::Switchboard;

/// A directory with a configuration.
struct Place {
    directory: TempDir,
}

/// What the program printed.
struct Printed {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Printed {
    /// Its lines of JSON.
    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

impl Place {
    fn new(text: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let place = Self { directory };
        std::fs::write(place.path("hookswitch.toml"), text.replace("OUTBOX", &place.outbox().to_string_lossy()))
            .expect("writes");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn outbox(&self) -> PathBuf {
        self.path("outbox.db")
    }

    async fn fire(&self, arguments: &str) -> Printed {
        self.hookswitch(&format!("hooks fire {arguments}")).await
    }

    async fn hookswitch(&self, arguments: &str) -> Printed {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
        command.args(arguments.split_whitespace()).arg("--config").arg(self.path("hookswitch.toml"));
        command.env_remove("RUST_LOG");
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("ends").expect("runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Printed { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
    }
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn text(receiver: &Receiver, node: &str) -> String {
    let url = receiver.url();
    format!(
        r#"
[outbox]
path = "OUTBOX"
[delivery]
secrets = ["{SECRET}"]
[[freeswitch]]
name = "fs1"
address = "{node}"
password = "ClueCon"
[queues."sales@default"]
type = "predictive"
variables = {{ crm = "acme" }}
hooks = [{{ event = "missed", flow = "f" }}]
[flows.f]
expires_after = "1s"
steps = [
  {{ http = {{ url = "{url}/pop", headers = {{ Authorization = "Bearer geheim" }} }}, save = "crm" }},
  {{ if = "crm.body.vip", then = [{{ log = {{ message = "{{{{ member_name }}}}" }} }}] }},
  {{ wait = "1h" }},
  {{ http = {{ url = "{url}/later", json = {{ crm = "{{{{ variables.crm }}}}", test = "{{{{ test }}}}" }} }} }},
]
[flows.refused]
steps = [{{ http = {{ url = "{url}/refused", retry = ["1h"] }}, on_error = "continue" }}, {{ stop = "failed", reason = "no" }}]
[flows.command]
steps = [{{ freeswitch = {{ uuid_setvar = ["{{{{ member_channel_id }}}}", "vip", "true"] }}, save = "answer" }}]
"#
    )
}

async fn receiver() -> Receiver {
    Receiver::start(|received| match received.path.as_str() {
        "/hook/refused" => Answer::Status("503 Service Unavailable", String::new()),
        _ => Answer::Json(r#"{"vip":true,"name":"\u001b[31m"}"#.into()),
    })
    .await
}

#[tokio::test]
async fn a_sample_goes_through_every_step_and_leaves_nothing_behind() {
    let mut receiver = receiver().await;
    let place = Place::new(&text(&receiver, "127.0.0.1:1"));
    let printed = place.fire("f --set member_name=Ada").await;
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    let received = receiver.next().await;
    assert_eq!((received.field("test"), received.field("event")), (true.into(), "missed".into()));
    assert_eq!(
        (received.field("queue_name"), received.field("queue_type")),
        ("sales@default".into(), "predictive".into())
    );
    let keys = [SECRET.to_owned()].map(|secret| standardwebhooks::Webhook::new(&secret).expect("a secret"));
    keys[0].verify(&received.body, &received.headers).expect("is signed");
    let later: Value = serde_json::from_slice(&receiver.next().await.body).expect("JSON");
    assert_eq!(later, serde_json::json!({ "crm": "acme", "test": true }));
    for part in [
        "f for a sample: missed in sales@default",
        "POST http://127.0.0.1:",
        "authorization: ***",
        "< 200",
        "→ 1/then/0",
        "Ada",
        "skipped: --wait really rests",
        "delivered: 5 steps",
    ] {
        assert!(printed.out.contains(part), "{part} in {}", printed.out);
    }
    assert!(!printed.out.contains("geheim") && !printed.out.contains('\u{1b}'), "{}", printed.out);
    assert!(!place.outbox().exists());
    let fresh = place.fire("f --json").await;
    assert_ne!(fresh.json()[0]["payload"]["id"], received.field("id"));
    assert!(receiver.next().await.header("webhook-id") != received.header("webhook-id"));
}

#[tokio::test]
async fn a_rehearsal_shows_what_would_be_sent_and_sends_nothing() {
    let mut receiver = receiver().await;
    let place = Place::new(&text(&receiver, "127.0.0.1:1"));
    let printed =
        place.fire("f --dry-run --json --event leaving --set cc_result=abandoned --set variables.crm=7").await;
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    let lines = printed.json();
    assert_eq!((&lines[0]["payload"]["cc_result"], &lines[0]["dry_run"]), (&"abandoned".into(), &true.into()));
    let steps: Vec<_> = lines.iter().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!(steps, ["0", "1", "2", "3"]);
    let body = lines[4]["request"]["body"].as_str().expect("a body");
    assert_eq!(serde_json::from_str::<Value>(body).expect("JSON")["crm"], 7);
    let printed = place.fire("command --dry-run").await;
    assert!(
        printed.out.contains("> fs1: api uuid_setvar ddc040a8-c903-4f12-8e46-485551fc06cf vip true"),
        "{}",
        printed.out
    );
    assert!(receiver.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_failure_is_the_exit_code_and_is_not_tried_again() {
    let receiver = receiver().await;
    let place = Place::new(&text(&receiver, "127.0.0.1:1"));
    let printed = place.fire("refused").await;
    assert_eq!(printed.code, Some(1));
    for part in ["< 503", "the daemon would go on, with up to 1 more try", "failed after 2 steps", "step 1: no"] {
        assert!(printed.out.contains(part), "{part} in {}", printed.out);
    }
    for (arguments, said) in [
        ("nope", "there is no flow `nope`: there are: command, f, refused"),
        ("f --set member_numer=1", "did you mean `member_number`?"),
        ("f --run 0123", "there is no outbox at"),
    ] {
        let printed = place.fire(arguments).await;
        assert_eq!(printed.code, Some(1), "{arguments}");
        assert!(printed.err.contains(said), "{said} in {}", printed.err);
    }
}

#[tokio::test]
async fn commands_go_to_the_configured_node_which_is_said() {
    let receiver = receiver().await;
    let switchboard = Switchboard::start(|_| "+OK\n".into()).await;
    let place = Place::new(&text(&receiver, &switchboard.address.to_string()));
    let printed = place.fire("command").await;
    assert_eq!(printed.code, Some(0), "{}{}", printed.out, printed.err);
    assert_eq!(switchboard.lines(), ["uuid_setvar ddc040a8-c903-4f12-8e46-485551fc06cf vip true"]);
    assert!(printed.out.contains("Commands go to the FreeSWITCH fs1 ("), "{}", printed.out);
    let printed = place.fire("command --set node=fs2").await;
    assert_eq!(printed.code, Some(1));
    assert!(printed.out.contains("The FreeSWITCH fs2 is not configured."), "{}", printed.out);
}

#[tokio::test]
async fn a_past_moment_is_fired_beside_a_daemon_whose_outbox_stays_as_it_is() {
    let mut receiver = receiver().await;
    let text = text(&receiver, "127.0.0.1:1");
    let place = Place::new(&text);
    let stage = Stage::start_in(place.directory.path(), &text);
    let run = stage.fire_changed("f", 7, 0, |payload| payload.member_name = Some("Grace".into())).await;
    stage.at_rest(run).await;
    let told = receiver.next().await;
    let before = stage.deliveries().list(&Filter::default(), 10).expect("lists").len();
    for arguments in [
        format!("--run {}", &run.to_string()[..8]),
        format!("f --moment {}", told.field("id").as_str().expect("an id")),
    ] {
        let printed = place.fire(&arguments).await;
        assert_eq!(printed.code, Some(0), "{}{}", printed.out, printed.err);
        let fired = receiver.next().await;
        assert_eq!((fired.field("member_name"), fired.field("test")), ("Grace".into(), true.into()));
        assert_ne!(fired.field("id"), told.field("id"));
        receiver.next().await;
    }
    assert_eq!(stage.deliveries().list(&Filter::default(), 10).expect("lists").len(), before);
}

#[tokio::test]
async fn runs_are_cancelled_and_sent_again_beside_a_daemon_and_without_one() {
    let mut receiver = receiver().await;
    let text = text(&receiver, "127.0.0.1:1").replace("expires_after = \"1s\"", "");
    let place = Place::new(&text);
    let stage = Stage::start_in(place.directory.path(), &text);
    let run = stage.fire("f", 1, 0).await;
    stage.at_rest(run).await;
    receiver.next().await;
    let printed = place.hookswitch("deliveries cancel --flow f").await;
    assert_eq!((printed.out.as_str(), printed.code), ("1 run is cancelled.\n", Some(0)));
    let printed = place.hookswitch(&format!("deliveries cancel {run}")).await;
    assert_eq!((printed.out.as_str(), printed.code), ("1 run stays as it is: 1 cancelled.\n", Some(1)));
    place.hookswitch(&format!("deliveries retry {run}")).await;
    stage.over_with(run, RunState::Delivered).await;
    assert_eq!(receiver.next().await.path, "/hook/later");

    let other = stage.fire("f", 2, 0).await;
    stage.at_rest(other).await;
    receiver.next().await;
    stage.stop().await;
    let printed = place.hookswitch("deliveries cancel --state pending").await;
    assert_eq!(printed.out, "1 run is cancelled.\n");
    let state = |path: &Path| open(path).show(other).expect("reads").expect("is there").run.state;
    assert_eq!(state(&place.outbox()), RunState::Cancelled);
}
