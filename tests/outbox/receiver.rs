//! A receiver of webhooks that answers as it is told, also badly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status line with headers, and a short body.
    Status(&'static str, String),
    /// 200 with this JSON.
    Json(String),
    /// A body without end.
    Endless,
    /// A head, and then nothing more.
    Stalled,
    /// Nothing at all.
    Silence,
    /// A connection that breaks off.
    Reset,
}

/// The receiver; it ends when it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) requests: mpsc::UnboundedReceiver<Received>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The field of the moment's payload.
    pub(crate) fn field(&self, name: &str) -> serde_json::Value {
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        body["data"][name].clone()
    }
}

impl Answer {
    pub(crate) fn ok() -> Self {
        Self::Status("200 OK", String::new())
    }
}

impl Receiver {
    /// Listens, and answers each request as `answer` says.
    pub(crate) async fn start(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("an address");
        let (sender, requests) = mpsc::unbounded_channel();
        let answer = Arc::new(answer);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone(), answer.clone()));
            }
        });
        Self { address, requests, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Received {
        tokio::time::timeout(Duration::from_secs(60), self.requests.recv()).await.expect("in time").expect("listening")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A port of the loopback on which nothing listens.
pub(crate) async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    listener.local_addr().expect("an address")
}

async fn serve<A: Fn(&Received) -> Answer>(
    mut stream: TcpStream,
    requests: mpsc::UnboundedSender<Received>,
    answer: Arc<A>,
) {
    let mut buffer = Vec::new();
    while let Some(received) = read_request(&mut stream, &mut buffer).await {
        let answer = answer(&received);
        let _ = requests.send(received);
        match answer {
            Answer::Status(status, headers) => {
                let text = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 6\r\n\r\nanswer");
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Answer::Json(body) => {
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
                if stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.is_err() {
                    return;
                }
            }
            Answer::Endless => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    sent = stream.write_all(&[b'x'; 4_096]).await;
                }
                return;
            }
            Answer::Stalled => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning").await;
                return std::future::pending().await;
            }
            Answer::Silence => return std::future::pending().await,
            Answer::Reset => {
                // Closing with a reset, not in order.
                let _ = stream.set_zero_linger();
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let (method, rest) = lines.next()?.split_once(' ')?;
    let (method, path) = (method.to_owned(), rest.split(' ').next()?.to_owned());
    let headers = HeaderMap::from_iter(lines.filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
    }));
    let length: usize =
        headers.get("content-length").map_or(0, |value| value.to_str().unwrap_or("0").parse().unwrap_or(0));
    let mut body = buffer.split_off(end + 4);
    buffer.clear();
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    *buffer = body.split_off(length);
    Some(Received { method, path, headers, body })
}
