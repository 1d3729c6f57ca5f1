//! Somebody who tells the daemon over HTTP what happens in a queue outside FreeSWITCH, and who looks at its page.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What follows the opening of an attempt.
pub(crate) const STORY: [&str; 4] = [
    r#"{"id":"1","signal":{"offering":{"agent":"anna"}}}"#,
    r#"{"id":"2","signal":{"answered":{"agent":"anna"}}}"#,
    r#"{"id":"3","signal":{"bridged":{"agent":"anna"}}}"#,
    r#"{"id":"4","signal":{"leaving":{}}}"#,
];

/// A connection to the daemon.
pub(crate) struct Teller {
    address: String,
    stream: TcpStream,
}

impl Teller {
    pub(crate) async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("connects");
        stream.set_nodelay(true).expect("sets");
        Self { address: address.to_owned(), stream }
    }

    /// Opens an attempt.
    pub(crate) async fn open(&mut self, path: &str, body: &str) {
        self.tell("PUT", path, body).await;
    }

    /// Tells the step of that place in the story.
    pub(crate) async fn signal(&mut self, path: &str, step: usize) {
        self.tell("POST", &format!("{path}/signals"), STORY[step]).await;
    }

    /// Loads a page.
    pub(crate) async fn load(&mut self, path: &str) -> String {
        let (status, body) = self.exchange("GET", path, "").await;
        assert_eq!(status, 200, "{path}");
        body
    }

    async fn tell(&mut self, method: &str, path: &str, body: &str) {
        let (status, _) = self.exchange(method, path, body).await;
        assert!(matches!(status, 200 | 201), "{path}: {status}");
    }

    /// Sends a request and reads its answer to the end: the status and the body.
    async fn exchange(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let (address, length) = (&self.address, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await.expect("is taken");
        let mut read = Vec::with_capacity(4_096);
        let head = loop {
            assert!(self.stream.read_buf(&mut read).await.expect("reads") > 0, "the connection was closed");
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
        };
        let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let length = length.unwrap_or_else(|| panic!("the answer has no length: {text}"));
        while read.len() < head + 4 + length {
            assert!(self.stream.read_buf(&mut read).await.expect("reads") > 0, "the connection was closed");
        }
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, String::from_utf8(read.split_off(head + 4)).expect("text"))
    }
}
