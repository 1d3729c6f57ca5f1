//! Answers: how much of them is held in memory for clients that have not read them yet.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::app::App;
use super::problem::Problem;

/// How many bytes of answers may be held at once.
pub const HELD: usize = 128 * 1_024 * 1_024;

/// What is held of each answer beside, which is less than a connection takes anyway.
const SMALL: u64 = 64 * 1_024;

/// How much is given on at once, so that the rest is held here, and counted, until the client has read.
const SLICE: usize = 16 * 1_024;

/// Counts what is held of an answer, or says that there is too much already.
pub(super) async fn bounded(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = next.run(request).await.into_parts();
    let size = body.size_hint().exact().unwrap_or(0);
    if size <= SMALL {
        return Response::from_parts(parts, body);
    }
    match take(app.answers(), size) {
        Some(permit) => Response::from_parts(parts, Body::new(Held { body, rest: Bytes::new(), _permit: permit })),
        None => Problem::unavailable("too much is answered just now, and was not read yet").into_response(),
    }
}

fn take(answers: &Arc<Semaphore>, size: u64) -> Option<OwnedSemaphorePermit> {
    // One that is larger than all that may be held waits until nothing else is.
    let permits = u32::try_from(size.min(HELD as u64)).ok()?;
    answers.clone().try_acquire_many_owned(permits).ok()
}

/// An answer's body, in slices.
struct Held {
    body: Body,
    rest: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return other,
            }
        }
        let slice = this.rest.split_to(this.rest.len().min(SLICE));
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest + body.lower());
        if let Some(upper) = body.upper() {
            hint.set_upper(rest + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_the_same_in_slices_and_counts_until_it_is_read() {
        let answers = Arc::new(Semaphore::new(HELD));
        let text: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        let permit = take(&answers, 100_000).expect("room");
        let held = Held { body: Body::from(text.clone()), rest: Bytes::new(), _permit: permit };
        assert_eq!(held.size_hint().exact(), Some(100_000));
        assert!(take(&answers, u64::MAX).is_none(), "there is no room for more than all");
        assert_eq!(axum::body::to_bytes(Body::new(held), usize::MAX).await.expect("reads"), text);
        assert!(take(&answers, u64::MAX).is_some(), "all of it is free again");
    }
}
