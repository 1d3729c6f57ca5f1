//! A mail server that takes everything, and can hold its breath.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A mail as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Header and body, with the dots of the wire taken away.
    pub(crate) data: String,
}

pub(crate) struct MailServer {
    pub(crate) address: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
    /// Whether it does nothing just now.
    frozen: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl MailServer {
    /// Starts. It refuses whoever is called `refused@…` for good, and `busy@…` for now.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (mails, frozen) = (Arc::default(), watch::Sender::new(false));
        let task = tokio::spawn(serve(listener, Arc::clone(&mails), frozen.subscribe()));
        Self { address, mails, frozen, task }
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().expect("not poisoned").clone()
    }

    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.frozen.send_replace(is_frozen);
    }

    /// Breaks off every connection and listens no more; then listens again.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.task.abort();
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("is allowed");
        socket.bind(self.address).expect("the port is ours");
        let listener = socket.listen(64).expect("listens");
        self.task = tokio::spawn(serve(listener, Arc::clone(&self.mails), self.frozen.subscribe()));
    }
}

async fn serve(listener: TcpListener, mails: Arc<Mutex<Vec<Mail>>>, frozen: watch::Receiver<bool>) {
    // All end with this task.
    let mut sessions = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        sessions.spawn(session(stream, Arc::clone(&mails), frozen.clone()));
    }
}

async fn session(stream: TcpStream, mails: Arc<Mutex<Vec<Mail>>>, mut frozen: watch::Receiver<bool>) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut mail = Mail { from: String::new(), to: Vec::new(), data: String::new() };
    writer.write_all(b"220 mail.test\r\n").await.ok()?;
    while let Some(line) = lines.next_line().await.ok()? {
        frozen.wait_for(|is_frozen| !is_frozen).await.ok()?;
        let upper = line.to_uppercase();
        let answer = match () {
            () if upper.starts_with("EHLO") => "250-mail.test\r\n250 8BITMIME\r\n",
            () if upper.starts_with("MAIL FROM:") => {
                mail = Mail { from: line[10..].to_owned(), to: Vec::new(), data: String::new() };
                "250 ok\r\n"
            }
            () if upper.starts_with("RCPT TO:<REFUSED") => "550 nobody of that name\r\n",
            () if upper.starts_with("RCPT TO:<BUSY") => "450 not now\r\n",
            () if upper.starts_with("RCPT TO:") => {
                mail.to.push(line[8..].to_owned());
                "250 ok\r\n"
            }
            () if upper == "DATA" => {
                writer.write_all(b"354 go on\r\n").await.ok()?;
                loop {
                    let line = lines.next_line().await.ok()??;
                    if line == "." {
                        break;
                    }
                    mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.data.push('\n');
                }
                mails.lock().expect("not poisoned").push(mail.clone());
                "250 queued as 17\r\n"
            }
            () if upper == "QUIT" => "221 bye\r\n",
            () => "250 ok\r\n",
        };
        writer.write_all(answer.as_bytes()).await.ok()?;
    }
    Some(())
}
