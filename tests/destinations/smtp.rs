//! A mail server that takes everything, and can hold its breath.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, split};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A mail as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Header and body, with the dots of the wire taken away.
    pub(crate) data: String,
}

/// How a connection is encrypted.
#[derive(Clone)]
pub(crate) enum Encryption {
    None,
    Implicit(TlsAcceptor),
    StartTls(TlsAcceptor),
}

pub(crate) struct MailServer {
    pub(crate) address: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
    /// Whether it does nothing just now.
    frozen: watch::Sender<bool>,
    encryption: Encryption,
    task: JoinHandle<()>,
}

impl MailServer {
    /// Starts. It refuses whoever is called `refused@…` for good, and `busy@…` for now.
    pub(crate) async fn start() -> Self {
        Self::start_with(Encryption::None).await
    }

    pub(crate) async fn start_with(encryption: Encryption) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (mails, frozen) = (Arc::default(), watch::Sender::new(false));
        let task = tokio::spawn(serve(listener, Arc::clone(&mails), frozen.subscribe(), encryption.clone()));
        Self { address, mails, frozen, encryption, task }
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
        let encryption = self.encryption.clone();
        self.task = tokio::spawn(serve(listener, Arc::clone(&self.mails), self.frozen.subscribe(), encryption));
    }
}

async fn serve(
    listener: TcpListener,
    mails: Arc<Mutex<Vec<Mail>>>,
    frozen: watch::Receiver<bool>,
    encryption: Encryption,
) {
    // All end with this task.
    let mut sessions = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (mails, frozen) = (Arc::clone(&mails), frozen.clone());
        let encryption = encryption.clone();
        sessions.spawn(async move {
            let (phase, acceptor) = match encryption {
                Encryption::None => return session(stream, mails, frozen, Phase::Whole).await.map(drop),
                Encryption::Implicit(acceptor) => (Phase::Whole, acceptor),
                Encryption::StartTls(acceptor) => (Phase::AfterTls, acceptor),
            };
            let stream = match phase {
                Phase::AfterTls => session(stream, Arc::clone(&mails), frozen.clone(), Phase::BeforeTls).await??,
                _ => stream,
            };
            session(acceptor.accept(stream).await.ok()?, mails, frozen, phase).await.map(drop)
        });
    }
}

/// Which part of a connection a session is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Whole,
    /// It takes nothing before it is encrypted.
    BeforeTls,
    /// It was greeted before.
    AfterTls,
}

/// One connection, or a part of it. Gives the stream back that is to be encrypted now.
async fn session<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mails: Arc<Mutex<Vec<Mail>>>,
    mut frozen: watch::Receiver<bool>,
    phase: Phase,
) -> Option<Option<S>> {
    let (reader, mut writer) = split(stream);
    let mut lines = BufReader::new(reader).lines();
    let mut mail = Mail { from: String::new(), to: Vec::new(), data: String::new() };
    if phase != Phase::AfterTls {
        writer.write_all(b"220 mail.test\r\n").await.ok()?;
    }
    while let Some(line) = lines.next_line().await.ok()? {
        frozen.wait_for(|is_frozen| !is_frozen).await.ok()?;
        let upper = line.to_uppercase();
        let answer = match () {
            () if upper.starts_with("EHLO") && phase == Phase::BeforeTls => "250-mail.test\r\n250 STARTTLS\r\n",
            () if upper == "STARTTLS" && phase == Phase::BeforeTls => {
                writer.write_all(b"220 go on\r\n").await.ok()?;
                return Some(Some(lines.into_inner().into_inner().unsplit(writer)));
            }
            () if phase == Phase::BeforeTls => "530 encrypt first\r\n",
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
    Some(None)
}
