//! What others' tools say of the interface. `tests/run` installs them and runs these tests.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::signals::chat;
use crate::stage::{Stage, TOKENS, token};

/// Runs a tool that is asked of the daemon meanwhile.
async fn run(mut command: Command, input: String) -> Output {
    let asked = tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = command.get_program().to_owned();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        // One that wants no input may have closed it.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("ends")
    });
    asked.await.expect("runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
#[ignore = "needs promtool, which tests/run installs"]
async fn promtool_finds_nothing_wrong_with_the_figures() {
    let stage = Stage::start("", &chat("")).await;
    stage.until("/api/attempts", |attempts| attempts.as_array().is_some_and(|attempts| attempts.len() > 1)).await;
    let page = stage.get("/metrics", "").await.text().await.expect("a text");
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]);
    let output = run(command, page).await;
    assert!(output.status.success() && said(&output).trim().is_empty(), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs schemathesis, which tests/run installs"]
async fn schemathesis_finds_no_answer_that_is_not_described() {
    let stage = Stage::start(
        TOKENS,
        &format!("{}[queues.\"*\"]\nhooks = [{{ event = \"joined\", flow = \"tell\" }}]\n", chat("processing = true")),
    )
    .await;
    stage.until("/api/attempts", |attempts| attempts.as_array().is_some_and(|attempts| !attempts.is_empty())).await;
    let runs = stage.until("/api/deliveries", |runs| !runs[0].is_null()).await;
    let attempts = stage.json("/api/attempts").await;
    let configuration = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
    let text = format!(
        "[parameters]\n\"path.queue\" = \"chat\"\n\"path.key\" = \"k1\"\n\
         [[operations]]\ninclude-name = \"GET /api/deliveries/{{id}}\"\nparameters = {{ \"path.id\" = {} }}\n\
         [[operations]]\ninclude-name = \"GET /api/attempts/{{id}}\"\nparameters = {{ \"path.id\" = {} }}\n",
        runs[0]["id"], attempts[0]["id"],
    );
    std::fs::write(configuration.path(), text).expect("writes");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/schemathesis");
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(configuration.path())
        .args(["run", &format!("http://{}/openapi.json", stage.address()), "--checks", "all"])
        .args(["--header", &format!("Authorization: Bearer {}", token("admin"))])
        .args(["--max-examples", "100", "--workers", "1", "--no-color"])
        .current_dir(std::env::temp_dir());
    let output = run(command, String::new()).await;
    assert!(output.status.success(), "{}", said(&output));
    let page = stage.get("/metrics", "read").await.text().await.expect("a text");
    let none = |answer| page.contains(&format!("hookswitch_signals_total{{answer=\"{answer}\"}} 0\n"));
    assert!(!["accepted", "repeated", "refused"].into_iter().any(none), "it has told all sorts of things: {page}");
}

/// The examples of a language in the documentation.
fn examples(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).expect("is there");
    let fence = format!("```{language}\n");
    let examples = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    examples.map(str::to_owned).collect()
}

/// Runs an example as it stands there, with the token of a role.
async fn run_example(stage: &Stage, (program, argument): (&str, &str), example: &str, role: &str) -> Output {
    let mut command = Command::new(program);
    command.arg(argument).arg(example);
    command.env("HOOKSWITCH", format!("http://{}", stage.address())).env("TOKEN", token(role)).env("NO_PROXY", "*");
    let output = run(command, String::new()).await;
    assert!(output.status.success(), "{}", said(&output));
    output
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl, which tests/run installs"]
async fn the_examples_for_curl_tell_what_they_say() {
    let stage = Stage::start(TOKENS, &chat("processing = true")).await;
    let [intervening, telling] = <[String; 2]>::try_from(examples("sh")).expect("two examples");
    run_example(&stage, ("sh", "-ec"), &telling, "ingest").await;
    let runs = stage
        .until("/api/deliveries?state=delivered&queue=chat", |runs| runs.as_array().is_some_and(|runs| runs.len() == 2))
        .await;
    assert_eq!((&runs[0]["event"], &runs[1]["event"]), (&"leaving".into(), &"joined".into()));
    let output = run_example(&stage, ("sh", "-ec"), &intervening, "operate").await;
    let nothing = r#"{"changed":{},"stayed":{},"too_late":0}"#;
    assert_eq!(String::from_utf8_lossy(&output.stdout), nothing.repeat(2));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3, which tests/run installs"]
async fn the_client_for_python_tells_what_it_says() {
    let stage = Stage::start(TOKENS, &chat("processing = true")).await;
    let output = run_example(&stage, ("python3", "-c"), &examples("python")[0], "ingest").await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "6\n");
    stage
        .until("/api/deliveries?state=delivered&queue=chat", |runs| runs.as_array().is_some_and(|runs| runs.len() == 6))
        .await;
}
