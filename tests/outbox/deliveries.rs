//! `hookswitch deliveries`, as a person uses it.

use std::path::Path;

use clap::Parser;
use hookswitch::cli::deliveries::{DeliveriesArgs, run_on};
use hookswitch::outbox::{JournalEntry, Opened, Progress, Run, Settings};
use tempfile::TempDir;

use crate::sample::{entry, flow, key, log, log as log_step};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    deliveries: DeliveriesArgs,
}

/// What the command prints, whether all was done that was named, or its error.
fn outcome(outbox: &Path, arguments: &str) -> Result<(String, bool), String> {
    let arguments = std::iter::once("deliveries").chain(arguments.split_whitespace());
    let parsed = CommandLine::try_parse_from(arguments).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    let is_done = run_on(parsed.deliveries, outbox, &mut out).map_err(|error| error.to_string())?;
    Ok((anstream::adapter::strip_str(&String::from_utf8(out).expect("text")).to_string(), is_done))
}

/// What the command prints, or its error.
fn deliveries(outbox: &Path, arguments: &str) -> Result<String, String> {
    outcome(outbox, arguments).map(|(printed, _)| printed)
}

/// An outbox with a delivered, a failed and a pending run, of two flows and three attempts.
struct Log {
    directory: TempDir,
    runs: [Run; 3],
    opened: Opened,
}

impl Log {
    async fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let mut opened = Opened::open(&Settings::at(directory.path().join("outbox.db"))).expect("opens");
        let (crm, pop) = (flow("crm", vec![log("x")]), flow("pop", vec![log("x")]));
        let mut runs = Vec::new();
        let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
        let ends = [
            Progress::Delivered,
            Progress::Failed { reason: "\u{1b}[2Jcleared".into() },
            Progress::Retry { at: tomorrow, reason: "503".into() },
        ];
        for ((attempt, flow), end) in [(1, &crm), (2, &crm), (3, &pop)].into_iter().zip(ends) {
            opened.outbox.commit(entry(attempt, 0, std::slice::from_ref(flow))).await.expect("commits");
            let mut run = opened.runs.recv().await.expect("a run");
            opened.outbox.record(run.report(None, end)).await.expect("records");
            runs.push(run);
        }
        Self { directory, runs: runs.try_into().expect("three"), opened }
    }

    fn command(&self, arguments: &str) -> Result<String, String> {
        deliveries(&self.directory.path().join("outbox.db"), arguments)
    }

    /// The runs that a list with these arguments has, in its order.
    fn listed(&self, arguments: &str) -> Vec<usize> {
        let lines = self.command(&format!("list --json {arguments}")).expect("lists");
        let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["id"].clone();
        let position = |line| self.runs.iter().position(|run| run.id.to_string() == id(line)).expect("one of them");
        lines.lines().map(position).collect()
    }
}

#[tokio::test]
async fn runs_are_listed_as_they_are_asked_for() {
    let log = Log::new().await;
    assert_eq!(log.listed(""), [2, 1, 0]);
    assert_eq!(log.listed("--limit 1"), [2]);
    assert_eq!(log.listed("--flow crm"), [1, 0]);
    assert_eq!(log.listed("--state failed"), [1]);
    assert_eq!(log.listed("--queue support@default --state pending"), [2]);
    assert_eq!(log.listed("--queue other@default"), [0; 0]);
    assert_eq!(log.listed("--since 1h"), [2, 1, 0]);
    assert_eq!(log.listed("--since 2126-01-01T00:00:00Z"), [0; 0]);
    assert_eq!(log.listed("--until 1h"), [0; 0]);
    assert_eq!(log.listed("--until 2126-01-01T00:00:00Z --flow crm --state failed,pending"), [1]);
    assert_eq!(log.listed(&format!("--attempt {}", key(2).hash())), [1]);
    assert_eq!(log.listed(&format!("--attempt {}", key(3).hash().attempt_id())), [2]);
}

#[tokio::test]
async fn a_table_is_aligned_and_harmless() {
    let log = Log::new().await;
    let table = log.command("list").expect("lists");
    let columns: Vec<_> = table.lines().map(|line| line.find("support@default").or(line.find("QUEUE"))).collect();
    assert!(columns.len() == 4 && columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    assert!(table.contains("\\u{1b}[2Jcleared"), "{table}");
}

#[tokio::test]
async fn a_run_is_shown_with_its_payload() {
    let log = Log::new().await;
    let run = log.runs[1].id;
    let shown = log.command(&format!("show {run}")).expect("shows");
    for part in ["failed", "support@default/hook", "\"customer_id\": \"CUST-00042\"", "\\u{1b}[2Jcleared"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let json = log.command(&format!("show --json whr_{run}_0")).expect("shows");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["payload"]["event"], "missed");
    let brief = run.to_string()[..12].to_owned();
    assert_eq!(log.command(&format!("show {brief}")), Ok(shown));
    let unknown = "0".repeat(32);
    assert_eq!(log.command(&format!("show {unknown}")), Err(format!("there is no run {unknown}")));
}

#[tokio::test]
async fn a_run_is_shown_with_its_steps() {
    let mut log = Log::new().await;
    let crm = flow("crm", vec![log_step("x"), log_step("y")]);
    log.opened.outbox.commit(entry(4, 0, &[crm])).await.expect("commits");
    let mut run = log.opened.runs.recv().await.expect("a run");
    let entry = |path: &str, error: Option<&str>, saved: Option<&str>| JournalEntry {
        path: path.into(),
        kind: "http",
        error: error.map(Into::into),
        saved: saved.map(Into::into),
    };
    let journal = vec![entry("0", None, Some(r#"{"crm":{"status":200}}"#)), entry("1/then/0", Some("404\u{1b}"), None)];
    let report = run.report(None, Progress::Next { step: 1 }).with_journal(journal);
    log.opened.outbox.record(report).await.expect("records");
    let shown = log.command(&format!("show {}", run.id)).expect("shows");
    for part in ["\nsteps\n  0  http  2", r#"saved: {"crm":{"status":200}}"#, "1/then/0  http", r"failed: 404\u{1b}"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let json = log.command(&format!("show --json {}", run.id)).expect("shows");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["steps"][0]["saved"]["crm"]["status"], 200);
}

#[tokio::test]
async fn failed_runs_are_done_again() {
    let mut log = Log::new().await;
    assert_eq!(log.command("retry --since 2h --flow pop"), Ok("No run is meant.\n".into()));
    let again = "1 run is done again, now or when the daemon runs.\n";
    assert_eq!(log.command("retry --since 2h --flow crm --state failed").as_deref(), Ok(again));
    assert_eq!(log.opened.runs.recv().await.expect("the run").id, log.runs[1].id);
    let pending = log.runs[2].id;
    assert_eq!(log.command(&format!("retry {pending}")).as_deref(), Ok(again));
    assert_eq!(log.opened.runs.recv().await.expect("the run").id, pending);
}

#[tokio::test]
async fn what_cannot_be_done_again_is_told_and_stays() {
    let log = Log::new().await;
    let path = log.directory.path().join("outbox.db");
    let [delivered, failed, _] = &log.runs;
    let (printed, is_done) = outcome(&path, &format!("retry {} {}", delivered.id, failed.id)).expect("retries");
    let expected = "1 run is done again, now or when the daemon runs.\n1 run stays as it is: 1 delivered.\n";
    assert_eq!((printed.as_str(), is_done), (expected, false));
    for command in ["retry", "cancel"] {
        assert!(log.command(command).expect_err("refused").contains("say which runs"), "{command}");
    }
    assert!(log.command("retry --state expired").expect_err("refused").contains("only with --expired"));
    assert!(log.command("retry 12").is_err());
}

#[tokio::test]
async fn filters_combine_and_all_means_all() {
    let log = Log::new().await;
    let run = log.runs[1].id;
    assert_eq!(log.command(&format!("retry {run} --flow pop")), Ok("No run is meant.\n".into()));
    let all = log.command("cancel --all --dry-run").expect("rehearses");
    assert!(all.ends_with("Nothing was changed. Without --dry-run:\n1 run is cancelled.\n"), "{all}");
    assert_eq!(all.lines().count(), 4, "{all}");
    assert_eq!(log.listed("--state pending"), [2], "a rehearsal changes nothing");
    let json = log.command("cancel --all --json").expect("cancels");
    let json: serde_json::Value = serde_json::from_str(&json).expect("one line of JSON");
    let expected = serde_json::json!({ "run": log.runs[2].id, "was": "pending", "effect": { "became": "cancelled" } });
    assert_eq!(json, expected);
    assert_eq!(log.listed("--state cancelled"), [2]);
}

#[test]
fn without_an_outbox_there_is_a_clear_error() {
    let error = deliveries(Path::new("/nowhere/outbox.db"), "list").expect_err("refused");
    assert_eq!(error, "there is no outbox at /nowhere/outbox.db");
}
