//! A live page while much happens.

use std::time::{Duration, Instant};

use crate::browser::Browser;
use crate::stage::Stage;

/// How long it is watched: `HOOKSWITCH_PAGE_SECONDS`, or half a minute.
fn seconds() -> u64 {
    std::env::var("HOOKSWITCH_PAGE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver, which tests/run installs"]
async fn a_live_page_keeps_its_size_at_fifty_moments_a_second() {
    let stage = Stage::start("").await;
    let browser = Browser::start().await;
    browser.go(&stage.url("/queues/chat/live")).await;
    let script = "gc(); return [performance.memory.usedJSHeapSize, document.querySelectorAll('*').length]";
    let (began, mut sizes) = (Instant::now(), Vec::new());
    for second in 0..seconds() {
        for i in 0..50 {
            stage.join(&format!("k{second}-{i}"), None).await;
        }
        if second >= 5 && second % 5 == 0 {
            let size = browser.run(script).await;
            sizes.push((size[0].as_u64().expect("bytes"), size[1].as_u64().expect("elements")));
        }
        let next = Duration::from_secs(second + 1);
        tokio::time::sleep(next.saturating_sub(began.elapsed())).await;
    }
    println!("bytes and elements: {sizes:?}");
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    // A leak of one row for each moment would be many times that.
    assert!(last.0 < first.0 + 4_000_000, "{sizes:?}");
    assert!(last.1 < 2_500, "{sizes:?}");
    browser.close().await;
}
