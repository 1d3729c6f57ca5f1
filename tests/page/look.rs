//! How every page looks: pictures in both themes, axe's findings, and what the browser complains of.

use std::path::Path;

use serde_json::Value;

use crate::browser::Browser;
use crate::stage::Stage;

/// What makes the page wider than the window: nothing where it is not.
const WIDER: &str = "
    const { clientWidth, scrollWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const wider = (element) => !element.closest('.scroll') && element.getBoundingClientRect().right > clientWidth;
    const told = (element) => `${element.tagName}.${element.className}: ${element.textContent.slice(0, 80)}`;
    return [`${scrollWidth} of ${clientWidth}`, ...[...document.querySelectorAll('main *')].filter(wider).map(told)]";

/// Has the page show a large number wherever it shows one, but for the hours of a drawing.
const MANY: &str = "
    const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const { currentNode } = texts;
        if (currentNode.parentElement.closest('.hours, svg')) continue;
        currentNode.data = currentNode.data.replace(/[0-9][0-9\\u202f]*/g, '88\\u202f888\\u202f888');
    }";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, chromedriver and axe-core, which tests/run installs"]
async fn every_page_can_be_used_by_everybody() {
    let hooks = "[agents.'*']\nhooks = [{ name = 'presence', event = 'agent_status', flow = 'tell' }]";
    let stage = Stage::start(&format!("\n{hooks}\n")).await;
    stage.answer(500);
    let attempt = stage.join("k1", None).await;
    let browser = Browser::start().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let axe = std::fs::read_to_string(root.join("axe/node_modules/axe-core/axe.min.js")).expect("axe-core");
    let pictures = root.join("page");
    std::fs::create_dir_all(&pictures).expect("makes");
    // Enough of the simulated day that there is something to see.
    browser.go(&stage.url("/queues/sales%40default")).await;
    browser.reads("leaving").await;
    browser.go(&stage.url("/agents")).await;
    browser.reads("presence").await;
    // Somebody has changed something.
    browser.go(&stage.url("/queues/chat/hooks")).await;
    browser.press("Pause came").await;
    browser.press("Resume came").await;
    let list = |path: &str| stage.client.get(stage.url(path)).send();
    let json: Value = list("/api/deliveries?queue=chat").await.expect("answers").json().await.expect("JSON");
    let run = json[0]["id"].as_str().expect("a run").to_owned();
    let lives: Value = list("/api/attempts").await.expect("answers").json().await.expect("JSON");
    let live = lives[0]["id"].as_str().unwrap_or(&attempt);
    let pages = [
        ("queues", "/queues".to_owned()),
        ("queue", "/queues/sales%40default".into()),
        ("queue-live", "/queues/sales%40default/live".into()),
        ("hooks", "/queues/chat/hooks".into()),
        ("hook-new", "/queues/chat/hooks/new".into()),
        ("hook-edit", "/queues/chat/hooks/edit?hook=chat%2Fcame".into()),
        ("hook-test", "/queues/chat/hooks/test?hook=chat%2Fcame".into()),
        ("queue-deliveries", "/queues/chat/deliveries".into()),
        ("live", "/live".into()),
        ("attempt", format!("/attempts/{live}")),
        ("deliveries", "/deliveries".into()),
        ("delivery", format!("/deliveries/{run}")),
        ("flows", "/flows".into()),
        ("flow", "/flows/tell".into()),
        ("agents", "/agents".into()),
        ("nodes", "/nodes".into()),
        ("changes", "/changes".into()),
        ("sign-in", "/sign-in".into()),
        ("problem", "/flows/none".into()),
    ];
    let mut findings = Vec::new();
    for (name, path) in pages {
        browser.go(&stage.url(&path)).await;
        for theme in ["light", "dark"] {
            browser.run(&format!("document.documentElement.dataset.theme = '{theme}'")).await;
            // Colours take a tenth of a second to become others.
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            let picture = browser.client.screenshot().await.expect("a picture");
            std::fs::write(pictures.join(format!("{name}-{theme}.png")), picture).expect("writes");
            browser.run(&axe).await;
            let script = "const done = arguments[arguments.length - 1]; axe.run().then((found) => done(found.violations
                .filter((violation) => ['serious', 'critical'].includes(violation.impact))
                .map((violation) => [violation.id, violation.nodes.map((node) => node.html + ' ' + node.failureSummary)])))";
            let found = browser.client.execute_async(script, vec![]).await.expect("runs");
            if found.as_array().is_none_or(|found| !found.is_empty()) {
                findings.push(format!("{name} {theme}: {found:#}"));
            }
        }
        browser.client.set_window_size(390, 844).await.expect("can be narrow");
        assert_eq!(browser.run(WIDER).await, Value::Array(Vec::new()), "{path} fits on a phone");
        let picture = browser.client.screenshot().await.expect("a picture");
        std::fs::write(pictures.join(format!("{name}-phone.png")), picture).expect("writes");
        // What is counted and measured depends on the hour and on how long the tests before took: it fits however much it is.
        browser.run(MANY).await;
        assert_eq!(browser.run(WIDER).await, Value::Array(Vec::new()), "{path} fits on a phone with large numbers");
        browser.client.set_window_size(1280, 900).await.expect("can be wide");
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    browser.close().await;
}
