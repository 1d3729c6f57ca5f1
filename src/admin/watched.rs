//! What a connection's bytes tell of its client: whether it sends, and whether it reads.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::connections::Activity;

/// How long a client may read nothing of what is there for it. One that reads slowly is waited for.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A socket that fails when its client reads nothing for too long.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Activity,
    limit: Duration,
    /// When the client has read nothing for too long; none while nothing waits to be read.
    late: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Activity, limit: Duration) -> Self {
        Self { stream, activity, limit, late: None }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.late = None;
            self.activity.progress();
            return polled;
        }
        let limit = self.limit;
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(limit)));
        let unread = || io::Error::new(io::ErrorKind::TimedOut, format!("nothing was read for {limit:?}"));
        late.as_mut().poll(cx).map(|()| Err(unread()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.watch(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // A socket has nothing to flush: to have flushed is no sign of a client that reads.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// A request's body; when it is there whole, the request is worked on.
#[derive(Debug)]
pub(super) struct Received {
    body: Incoming,
    activity: Activity,
}

impl Received {
    pub(super) fn new(body: Incoming, activity: Activity) -> Self {
        if body.is_end_stream() {
            activity.work();
        }
        Self { body, activity }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || this.body.is_end_stream() {
            this.activity.work();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::super::connections::Connections;
    use super::*;

    fn watched(limit: Duration) -> (Watched<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (ours, theirs) = duplex(16);
        let open = Arc::new(Connections::default());
        let permit = open.admit(Ipv4Addr::LOCALHOST.into(), std::time::Instant::now()).expect("room");
        (Watched::new(ours, permit.activity.clone(), limit), theirs)
    }

    #[tokio::test]
    async fn a_client_that_never_reads_is_given_up() {
        let (mut ours, _theirs) = watched(Duration::from_millis(50));
        let error = ours.write_all(&[0; 1_000]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_is_waited_for() {
        let limit = Duration::from_secs(2);
        let (mut ours, mut theirs) = watched(limit);
        let (began, bytes) = (std::time::Instant::now(), 16 + 30);
        let writing = tokio::spawn(async move { ours.write_all(&vec![7; bytes]).await });
        for _ in 0..bytes {
            tokio::time::sleep(Duration::from_millis(100)).await;
            theirs.read_u8().await.expect("is written");
        }
        writing.await.expect("goes on").expect("all is written");
        assert!(began.elapsed() > limit);
    }
}
