//! How a cloud wants its requests, and what its answers mean: one implementation for each cloud.

use std::fmt;

use async_trait::async_trait;
use object_store::client::{HttpError, HttpRequest, HttpResponse};

use super::answer::{Asked, StoreAnswer};

/// What an answer means.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// Good, or bad in a way that the storage client knows.
    Answer(HttpResponse),
    /// Will probably pass.
    Passing(StoreAnswer),
    /// Sent again at once, as [`Dialect::prepare`] will make it, it may be answered well.
    Corrected(StoreAnswer),
    /// "Not there", without the words that would prove it: a read tells.
    Unproven(HttpResponse),
    /// Nothing helps.
    Final(StoreAnswer),
}

/// How a cloud wants its requests, and what its answers mean.
#[async_trait]
pub(crate) trait Dialect: fmt::Debug + Send + Sync {
    /// Makes a request ready to be sent; `again` is whether it was sent before.
    async fn prepare(&self, request: &mut HttpRequest, again: Again) -> Result<(), HttpError>;

    /// Judges an answer.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    async fn judge(&self, asked: &Asked, answer: HttpResponse) -> Result<Judgement, HttpError>;
}

/// Whether a request, as it is, was signed for this very moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    First,
    /// It was sent before, or changed since.
    Anew,
}
