//! A limit on how long an answer's body may be silent.
//!
//! The HTTP client has such a limit of its own, but one for all requests, which a long upload would
//! hit. Always true: only time in which the reader waits and nothing comes counts, so that one that
//! is slow itself never breaks its own download.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpResponseBody};
use tokio::time::{Sleep, sleep};

/// The other side said nothing for so long.
#[derive(Debug, thiserror::Error)]
#[error("nothing came for {} s", limit.as_secs())]
pub(crate) struct NothingCame {
    pub(crate) limit: Duration,
}

impl NothingCame {
    /// As the storage clients' errors have it.
    pub(crate) fn after(limit: Duration) -> HttpError {
        HttpError::new(HttpErrorKind::Timeout, NothingCame { limit })
    }
}

/// A body that ends with an error when nothing comes for `limit`.
pub(crate) fn limited(body: HttpResponseBody, limit: Duration) -> HttpResponseBody {
    HttpResponseBody::new(TimedBody {
        body,
        limit,
        waiting: None,
    })
}

struct TimedBody {
    body: HttpResponseBody,
    limit: Duration,
    /// Since nothing came.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            return Poll::Ready(frame);
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        waiting
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(NothingCame::after(limit))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
