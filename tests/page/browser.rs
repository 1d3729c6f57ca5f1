//! A Chromium, driven by its own driver.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

use crate::stage::PATIENCE;

/// A browser with one window, until it is dropped.
pub(crate) struct Browser {
    driver: Child,
    pub(crate) client: Client,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver, which tests/run installs");
        let mut lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            line.split("successfully on port ").nth(1).map(|port| port.trim_end_matches('.').to_owned())
        });
        let port: u16 = port.and_then(|port| port.parse().ok()).expect("it says where it listens");
        // It goes on writing, and somebody must read.
        std::thread::spawn(move || lines.for_each(drop));
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--js-flags=--expose-gc",
            "--enable-precise-memory-info",
            "--window-size=1280,900",
        ];
        let capabilities =
            json!({ "goog:chromeOptions": { "args": arguments }, "goog:loggingPrefs": { "browser": "ALL" } });
        let client = ClientBuilder::rustls()
            .expect("a client")
            .capabilities(capabilities.as_object().expect("an object").clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser");
        Self { driver, client }
    }

    pub(crate) async fn go(&self, url: &str) {
        self.client.goto(url).await.expect("loads");
    }

    /// An element, once it is there.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        match found {
            Ok(found) => found,
            Err(error) => panic!("{css}: {error}: {}", self.text().await),
        }
    }

    /// A link or a button with that text, once it is there.
    pub(crate) async fn press(&self, text: &str) {
        let path = format!("//main//*[self::a or self::button][normalize-space()='{text}' or @aria-label='{text}']");
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => panic!("{text}: {error}: {}", self.text().await),
        };
        found.click().await.expect("can be pressed");
    }

    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.expect("is emptied");
        field.send_keys(text).await.expect("is typed");
    }

    pub(crate) async fn choose(&self, css: &str, value: &str) {
        self.find(css).await.select_by_value(value).await.expect("is chosen");
    }

    /// What somebody reads on the page; nothing while another one comes.
    pub(crate) async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until somebody reads that, without the page being loaded again.
    pub(crate) async fn reads(&self, wanted: &str) {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let text = self.text().await;
            if text.contains(wanted) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "no `{wanted}` in {text}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.expect("runs")
    }

    /// Ends it, in good order.
    pub(crate) async fn close(self) {
        self.client.clone().close().await.expect("closes");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
