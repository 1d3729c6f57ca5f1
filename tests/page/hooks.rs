//! The mission's sentence, by hand: hooks are configured on the Hooks tab of a queue, and a button adds one.

use crate::browser::Browser;
use crate::stage::{HOSTILE, Stage};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver, which tests/run installs"]
async fn a_hook_is_added_fires_fails_is_retried_and_delivered() {
    let stage = Stage::start("").await;
    let browser = Browser::start().await;
    browser.go(&stage.url("/")).await;
    browser.press("chat").await;
    browser.press("Hooks").await;
    let before = stage.text();
    browser.press("Add hook").await;
    browser.choose("[name=event]", "joined").await;
    browser.fill("[name=when]", "queue_nam == 'chat'").await;
    browser.reads("there is no field `queue_nam`").await;
    browser.fill("[name=when]", "queue_name == 'chat'").await;
    browser.reads("It holds for a sample of joined").await;
    browser.fill("[name=name]", "second").await;
    browser.press("Add hook").await;
    browser.reads("The hook is added.").await;
    let new = "  { name = \"second\", event = \"joined\", flow = \"tell\", when = \"queue_name == 'chat'\" },\n]";
    assert_eq!(stage.text(), before.replace("# all of them\n]", &format!("# all of them\n{new}")));

    stage.answer(500);
    browser.press("Live").await;
    stage.join("k1", None).await;
    browser.reads("joined").await;
    browser.press("Hooks").await;
    let failed = "tr[data-key='chat/second'] .state.bad";
    browser.find(failed).await;
    browser.find("tr[data-key='chat/second'] a[href^='/deliveries/']").await.click().await.expect("leads on");
    browser.reads("the receiver is broken").await;
    browser.reads("failed").await;

    stage.answer(204);
    browser.press("Retry").await;
    browser.reads("1 run is retried.").await;
    browser.reads("delivered").await;
    browser.go(&stage.url("/deliveries?queue=chat&state=failed")).await;
    browser.press("Retry all that match").await;
    browser.client.accept_alert().await.expect("asks");
    browser.reads("1 run is retried.").await;
    browser.go(&stage.url("/changes")).await;
    let changes = browser.text().await;
    assert!(
        changes.contains("added hook") && changes.contains("chat/second") && changes.contains("retried"),
        "{changes}"
    );
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver, which tests/run installs"]
async fn a_hook_is_changed_paused_tested_and_deleted_and_a_file_that_has_changed_is_not_overwritten() {
    let stage = Stage::start("").await;
    let browser = Browser::start().await;
    let tab = stage.url("/queues/chat/hooks");
    browser.go(&tab).await;
    browser.press("Pause came").await;
    browser.reads("The hook came is paused.").await;
    assert!(stage.text().contains("flow = \"tell\", enabled = false }, # all of them"), "{}", stage.text());
    browser.press("Resume came").await;
    browser.reads("The hook came is enabled again.").await;

    browser.press("Test came").await;
    browser.press("Test").await;
    browser.reads("delivered").await;
    browser.reads("Try 1 of step 0").await;

    browser.go(&tab).await;
    browser.press("Edit came").await;
    browser.fill("[name=when]", "member_name").await;
    let meanwhile = stage.text() + "\n# Somebody was here.\n";
    std::fs::write(stage.config(), &meanwhile).expect("writes");
    browser.press("Save").await;
    browser.reads("has been changed meanwhile, so nothing was written").await;
    assert_eq!(stage.text(), meanwhile);
    browser.press("Save").await;
    browser.reads("The hook is changed.").await;
    assert!(stage.text().contains("when = \"member_name\"") && stage.text().contains("# Somebody was here."));

    browser.press("Delete came").await;
    browser.client.accept_alert().await.expect("asks");
    browser.reads("This queue has no hooks yet.").await;
    assert!(!stage.text().contains("came"), "{}", stage.text());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver, which tests/run installs"]
async fn what_a_caller_is_named_is_text_everywhere() {
    let stage = Stage::start("").await;
    let attempt = stage.join("k1", None).await;
    let browser = Browser::start().await;
    let runs = stage.client.get(stage.url("/api/deliveries?queue=chat")).send().await.expect("answers");
    let runs: serde_json::Value = runs.json().await.expect("JSON");
    let run = runs[0]["id"].as_str().expect("a run");
    let paths = [
        "/queues/chat".to_owned(),
        "/queues/chat/live".into(),
        "/live".into(),
        format!("/attempts/{attempt}"),
        format!("/deliveries/{run}"),
        format!("/queues/chat/hooks/test?hook=chat%2Fcame&run={run}"),
        "/deliveries?number=%7B%7B+7777*7777+%7D%7D&queue=%3Cscript%3Ealert(1)%3C/script%3E".into(),
    ];
    for path in paths {
        browser.go(&stage.url(&path)).await;
        browser.run("for (const details of document.querySelectorAll('details')) details.open = true").await;
        let text = browser.text().await;
        assert!(!text.contains("60481729"), "{path}");
        if path.starts_with("/attempts") || path.ends_with("/live") {
            assert!(text.contains(HOSTILE[0]) && text.contains(HOSTILE[1]), "{path}: {text}");
        }
        assert_eq!(browser.run("return document.querySelectorAll('main script').length").await, 0, "{path}");
    }
    browser.close().await;
}
