//! The bytes of an object from the store to its reader's queue, past lost connections.
//!
//! The store's client resumes an answer that breaks off, but only so many times for each request,
//! and not when that has taken long (`object_store::RetryConfig`): too little for an archive of
//! many gigabytes. An answer that has brought something is therefore asked for anew from there on.
//! Always true: what follows is of the same object, or reading ends with an error.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore};
use tokio::sync::mpsc;

use super::incoming::{Incoming, RANGE_BYTES, Watch};
use super::pace::Came;
use crate::stages::Stage;
use crate::store::{Bucket, StoreError};

/// Of some hundred KiB each; two ranges of every job have as many.
const WAITING_CHUNKS: usize = 8;

/// An answer that broke off for good before it brought as much is not worth another request.
const LEAST_PROGRESS_BYTES: u64 = 1024 * 1024;

pub(super) type Sender = mpsc::Sender<io::Result<Bytes>>;

/// The object that is read.
#[derive(Clone)]
pub(super) struct Source {
    pub bucket: Bucket,
    pub key: String,
    pub watch: Watch,
}

/// What became of an answer.
enum Fed {
    /// It has come to its end.
    Ended(Came),
    /// It broke off, although the client had tried to resume it.
    BrokeOff { bytes: u64, error: io::Error },
    /// Nobody wants it any more.
    Unwanted,
}

impl Source {
    /// The way of an answer of so many bytes from the task that gets it to the reader.
    pub fn channel(&self, bytes: u64) -> (Sender, Incoming) {
        let (sender, queue) = mpsc::channel(WAITING_CHUNKS);
        let incoming = Incoming {
            queue,
            current: Bytes::new(),
            missing_bytes: bytes,
            stages: Arc::clone(&self.watch.stages),
        };
        (sender, incoming)
    }

    /// Hands on what an answer brings that is read as it comes, and notes its pace.
    pub async fn feed_at_once(&self, got: GetResult, sender: Sender) {
        let came = self.feed(got, &sender).await;
        // Most of a small answer may lie in buffers before it is looked at.
        if let Some(came) = came.filter(|came| came.bytes >= RANGE_BYTES) {
            self.watch.pace.note(came);
        }
    }

    /// Hands on what an answer brings, or the last error; what came if it was a single answer.
    pub async fn feed(&self, got: GetResult, sender: &Sender) -> Option<Came> {
        let (mut missing, e_tag) = (got.range.clone(), got.meta.e_tag.clone());
        let mut fed = self.feed_answer(got, sender).await;
        if let Fed::Ended(came) = fed {
            return Some(came);
        }
        while let Fed::BrokeOff { bytes, error } = fed {
            missing.start += bytes;
            // All of it has come.
            if missing.is_empty() {
                return None;
            }
            let resumed = if bytes >= LEAST_PROGRESS_BYTES && e_tag.is_some() {
                self.get_range(missing.clone(), e_tag.as_deref()).await
            } else {
                Err(error)
            };
            fed = match resumed {
                Ok(got) => self.feed_answer(got, sender).await,
                Err(error) => {
                    // The reader may have gone.
                    let _ = sender.send(Err(error)).await;
                    return None;
                }
            };
        }
        None
    }

    async fn feed_answer(&self, got: GetResult, sender: &Sender) -> Fed {
        let Watch { stop, stages, .. } = &self.watch;
        let mut came = Came::default();
        let mut stream = got.into_stream();
        loop {
            let began = Instant::now();
            let chunk = tokio::select! {
                biased;
                () = stop.raised() => {
                    // The reader may have gone.
                    let _ = sender.send(Err(stopped())).await;
                    return Fed::Unwanted;
                }
                chunk = stream.next() => chunk,
            };
            came.waited += began.elapsed();
            let chunk = match chunk {
                None => return Fed::Ended(came),
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => {
                    let error = self.bucket.error("read the rest of", &self.key)(error);
                    return Fed::BrokeOff {
                        bytes: came.bytes,
                        error: io::Error::other(error),
                    };
                }
            };
            came.bytes += chunk.len() as u64;
            stages.worked(Stage::Download, began);
            stages.moved(Stage::Download, chunk.len());
            let began = Instant::now();
            // The reader may have gone: it has what it wanted, or failed.
            if sender.send(Ok(chunk)).await.is_err() {
                return Fed::Unwanted;
            }
            stages.waited(Stage::Download, began);
        }
    }

    /// The answer for a range of the object, or for all of it.
    pub async fn get(&self, range: Option<Range<u64>>) -> Result<GetResult, StoreError> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let path = self.bucket.path(&self.key)?;
        let began = Instant::now();
        let got = self.bucket.objects.get_opts(&path, options).await;
        self.watch.stages.worked(Stage::Download, began);
        got.map_err(self.bucket.error("read", &self.key))
    }

    /// The same for a range of an object that has answered before.
    pub async fn get_range(&self, range: Range<u64>, e_tag: Option<&str>) -> io::Result<GetResult> {
        let expected = range.clone();
        let got = tokio::select! {
            biased;
            () = self.watch.stop.raised() => Err(stopped()),
            got = self.get(Some(range)) => got.map_err(io::Error::other),
        };
        same_object(got?, &expected, e_tag)
    }
}

fn same_object(
    got: GetResult,
    expected: &Range<u64>,
    e_tag: Option<&str>,
) -> io::Result<GetResult> {
    let found = got.meta.e_tag.as_deref();
    let cause = if found.is_some() && found != e_tag {
        "the object was replaced by another while it was read"
    } else if found != e_tag {
        "the store does not say any more which version of the object it sends (ETag)"
    } else if got.range != *expected {
        "the store sends another range of the object than it was asked for"
    } else {
        return Ok(got);
    };
    Err(io::Error::other(cause))
}

fn stopped() -> io::Error {
    io::Error::other("stopped")
}
