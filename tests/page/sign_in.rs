//! Signing in and out, and what a role does not see.

use crate::browser::Browser;
use crate::stage::{PASSWORD, Stage};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver, which tests/run installs"]
async fn somebody_signs_in_sees_what_the_role_permits_and_signs_out() {
    let stage = Stage::start(&Stage::users()).await;
    let browser = Browser::start().await;
    browser.go(&stage.url("/queues/chat/hooks")).await;
    browser.fill("[name=name]", "read").await;
    browser.fill("[name=password]", "wrong").await;
    browser.press("Sign in").await;
    browser.reads("do not belong together").await;
    browser.fill("[name=password]", PASSWORD).await;
    browser.press("Sign in").await;
    browser.reads("A hook starts a flow").await;
    assert!(!browser.text().await.contains("Add hook"));
    browser.go(&stage.url("/queues/chat/hooks/new")).await;
    browser.reads("and this needs `admin`").await;
    browser.go(&stage.url("/live")).await;
    browser.reads("•").await;
    browser.find("form[action='/sign-out'] button").await.click().await.expect("signs out");
    browser.find("form.sign-in").await;
    browser.go(&stage.url("/live")).await;
    browser.find("form.sign-in").await;
    browser.close().await;
}
