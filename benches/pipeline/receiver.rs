//! The receiver: notes when each request's first byte came, says 200 and keeps the connection.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A receiver, on a thread of its own.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shelf: Arc<Shelf>,
}

#[derive(Default)]
struct Shelf {
    count: AtomicU64,
    /// When the first byte came, by the first `id` in the body.
    first_bytes: Mutex<HashMap<String, Instant>>,
}

impl Receiver {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let (address, shelf) = (listener.local_addr()?, Arc::new(Shelf::default()));
        let kept = shelf.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        thread::spawn(move || runtime.block_on(accept(listener, kept)));
        Ok(Self { address, shelf })
    }

    /// How many requests have come.
    pub(crate) fn count(&self) -> u64 {
        self.shelf.count.load(Ordering::Acquire)
    }

    /// When each request's first byte came that came since this was last asked.
    pub(crate) fn take(&self) -> HashMap<String, Instant> {
        std::mem::take(&mut self.shelf.first_bytes.lock().expect("nobody panics with it"))
    }
}

async fn accept(listener: std::net::TcpListener, shelf: Arc<Shelf>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let shelf = shelf.clone();
        tokio::spawn(async move { serve(stream, &shelf).await });
    }
}

async fn serve(mut stream: TcpStream, shelf: &Shelf) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    while stream.read_buf(&mut buffer).await? > 0 {
        let first_byte = Instant::now();
        let length = loop {
            match length(&buffer) {
                Some(length) if buffer.len() >= length => break length,
                _ if stream.read_buf(&mut buffer).await? == 0 => return Ok(()),
                _ => {}
            }
        };
        let id = memmem::find(&buffer[..length], b"\"id\":\"").map(|at| &buffer[at + 6..at + 38]);
        let id = String::from_utf8_lossy(id.unwrap_or_default()).into_owned();
        shelf.first_bytes.lock().expect("nobody panics with it").entry(id).or_insert(first_byte);
        shelf.count.fetch_add(1, Ordering::Release);
        buffer.advance(length);
        assert!(buffer.is_empty(), "a client waits for the answer");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
    Ok(())
}

/// The length of the request that begins the buffer, once its head is there.
fn length(buffer: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let head = memmem::find(buffer, b"\r\n\r\n")? + 4;
    let at = memmem::find(&buffer[..head], NAME)? + NAME.len();
    let digits = buffer[at..head].iter().take_while(|byte| byte.is_ascii_digit());
    Some(head + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}
