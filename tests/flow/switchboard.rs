//! A FreeSWITCH that takes commands, writes them down, and answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookswitch::esl::command::{Password, Subscription};
use hookswitch::esl::link::connect;
use hookswitch::esl::{Link, NodeAddress};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// It ends when it is dropped.
pub(crate) struct Switchboard {
    pub(crate) address: SocketAddr,
    commands: Arc<Mutex<Vec<(Timestamp, String)>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Switchboard {
    /// Listens, and answers each `api` command as `answer` says.
    pub(crate) async fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("an address");
        let (commands, answer) = (Arc::new(Mutex::default()), Arc::new(answer));
        let heard = Arc::clone(&commands);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&heard), Arc::clone(&answer)));
            }
        });
        Self { address, commands, accepting }
    }

    /// The `api` commands that came, each with its time; what else came, but for signing in, stands among them as it is.
    pub(crate) fn commands(&self) -> Vec<(Timestamp, String)> {
        self.commands.lock().expect("is not poisoned").clone()
    }

    /// Their texts.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.commands().into_iter().map(|(_, line)| line).collect()
    }
}

impl Drop for Switchboard {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A link to the FreeSWITCH at that address.
pub(crate) fn link(address: &str) -> Link {
    connect(NodeAddress {
        name: "fs1".into(),
        address: address.to_owned(),
        password: Password::new("ClueCon").expect("can be sent"),
        connect_timeout: Duration::from_secs(30),
        silence_timeout: Duration::from_secs(600),
        subscription: Subscription::default(),
    })
}

async fn serve<A: Fn(&str) -> String>(
    mut stream: TcpStream,
    commands: Arc<Mutex<Vec<(Timestamp, String)>>>,
    answer: Arc<A>,
) -> Option<()> {
    stream.write_all(b"Content-Type: auth/request\n\n").await.ok()?;
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(2).position(|window| window == b"\n\n") {
                break at;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let line = String::from_utf8(buffer.drain(..end + 2).collect()).ok()?;
        let reply = match line.trim_end().strip_prefix("api ") {
            None => {
                if !line.starts_with("auth ") && !line.starts_with("event ") {
                    commands.lock().expect("is not poisoned").push((Timestamp::now(), line.clone()));
                }
                "Content-Type: command/reply\nReply-Text: +OK accepted\n\n".to_owned()
            }
            Some(command) => {
                commands.lock().expect("is not poisoned").push((Timestamp::now(), command.to_owned()));
                let answer = answer(command);
                format!("Content-Type: api/response\nContent-Length: {}\n\n{answer}", answer.len())
            }
        };
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
}
