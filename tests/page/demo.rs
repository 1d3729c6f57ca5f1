//! The page of `hookswitch demo`, as a newcomer finds it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::browser::Browser;

/// The demonstration; it ends with this.
struct Demo {
    process: Child,
    page: String,
    config: String,
}

impl Demo {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_hookswitch"))
            .args(["demo", "--for", "10m", "--history", "2h"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let mut told = |what: &str| {
            let value = lines.find_map(|line| Some(line.trim().strip_prefix(what)?.trim().to_owned()));
            value.unwrap_or_else(|| panic!("it tells its {what}"))
        };
        let (page, config) = (told("the page"), told("configuration"));
        // It goes on writing, and somebody must read.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, page, config }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.config).expect("is there")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.process),
            // So that it takes its directory away.
            rustix::process::Signal::INT,
        );
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver, which tests/run installs"]
async fn a_newcomer_sees_a_full_day_and_adds_a_hook() {
    let demo = tokio::task::spawn_blocking(Demo::start).await.expect("starts");
    let browser = Browser::start().await;
    let deadline = std::time::Instant::now() + crate::stage::PATIENCE;
    // The hours before it are made up first.
    while browser.client.goto(&demo.page).await.is_err() {
        assert!(std::time::Instant::now() < deadline, "the page comes");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    browser.reads("support@default").await;
    browser.press("support@default").await;
    browser.reads("Answered").await;
    let drawn = "return document.querySelectorAll('.chart rect.answered').length";
    loop {
        let (count, now) = (browser.run(drawn).await.as_u64().expect("a number"), jiff::Zoned::now());
        // Just after midnight there is nothing of today before these minutes, and of these come some with time.
        if count > u64::from(now.hour() > 0 || now.minute() >= 30) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "more than these ten minutes are drawn, not {count}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }

    let before = demo.text();
    browser.press("Hooks").await;
    browser.press("Add hook").await;
    browser.choose("[name=event]", "joined").await;
    browser.fill("[name=when]", "wait_sec >= 0").await;
    browser.reads("Good.").await;
    browser.fill("[name=name]", "newcomer").await;
    browser.press("Add hook").await;
    browser.reads("The hook is added.").await;
    let after = demo.text();
    assert!(after.contains("name = \"newcomer\""), "{after}");
    let kept = before.lines().filter(|line| after.lines().any(|other| other == *line)).count();
    assert_eq!(kept, before.lines().count(), "comments and all else are kept: {after}");

    // Callers come by themselves.
    browser.find("tr[data-key='support@default/newcomer'] .state.good").await;
    browser
        .find("tr[data-key='support@default/newcomer'] a[href^='/deliveries/']")
        .await
        .click()
        .await
        .expect("leads on");
    browser.reads("delivered").await;
    browser.reads("support@default/newcomer").await;
    browser.close().await;
}
