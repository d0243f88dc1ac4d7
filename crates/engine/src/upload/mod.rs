//! A stream of bytes written on a blocking thread becomes a multipart upload.
//!
//! [`PartWriter`] cuts what is written into parts, [`upload`] sends them ([`wire`] has both ends).
//! Always true: an object appears only after [`PartWriter::finish`] and after the store has
//! confirmed every part; in every other case the upload is aborted.

mod buffers;
mod wire;

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutMultipartOptions, TagSet};

pub use wire::{PartQueue, PartWire, PartWriter};

use crate::stages::Stage;
use crate::stop::StopFlag;
use crate::store::{Bucket, StoreError};
use wire::QueuedPart;

/// How long the store may take to begin an upload that is to be aborted, and to abort it.
const ABORT_PATIENCE: Duration = Duration::from_secs(3);

/// How long the store may take to say whether an object is there after all.
const LOOK_PATIENCE: Duration = Duration::from_secs(30);

/// How an upload ended when no store error was in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// The object is there, with this many bytes.
    Complete { bytes: u64 },
    /// The writer went away before its end mark: nothing is there.
    Abandoned,
}

/// Where an upload goes, and what it carries.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    pub key: &'a str,
    pub tags: &'a TagSet,
}

/// Sends everything from the queue to its destination, then makes the object visible.
///
/// A raised `stop` ends it at once, whatever the store is doing.
///
/// # Errors
/// When the store refuses a part or the completion; the upload is then aborted.
pub async fn upload(
    bucket: &Bucket,
    destination: Destination<'_>,
    mut queue: PartQueue,
    stop: &StopFlag,
) -> Result<Uploaded, StoreError> {
    let key = destination.key;
    let path = bucket.path(key)?;
    let options = PutMultipartOptions::from(destination.tags.clone());
    // Only an upload whose id is known can be aborted: its beginning gets a moment to finish.
    let out_of_patience = async {
        stop.raised().await;
        tokio::time::sleep(ABORT_PATIENCE).await;
    };
    let began = Instant::now();
    let started = tokio::select! {
        started = bucket.objects.put_multipart_opts(&path, options) => started,
        () = out_of_patience => return Ok(Uploaded::Abandoned),
    };
    let mut upload = started.map_err(bucket.error("upload", key))?;
    queue.stages.worked(Stage::Upload, began);
    let outcome = tokio::select! {
        biased;
        () = stop.raised() => Ok(Uploaded::Abandoned),
        outcome = send_all(upload.as_mut(), &mut queue, Whole { bucket, path: &path }) => outcome,
    };
    // The writer must not wait for a queue that nobody empties any more.
    drop(queue);
    if !matches!(outcome, Ok(Uploaded::Complete { .. })) {
        // The parts are garbage already; a failed abort leaves only what the store expires.
        drop(tokio::time::timeout(ABORT_PATIENCE, upload.abort()).await);
    }
    outcome.map_err(bucket.error("upload", key))
}

/// Where the object will be.
struct Whole<'a> {
    bucket: &'a Bucket,
    path: &'a Path,
}

async fn send_all(
    upload: &mut dyn MultipartUpload,
    queue: &mut PartQueue,
    whole: Whole<'_>,
) -> object_store::Result<Uploaded> {
    let Some(bytes) = send_parts(upload, queue).await? else {
        return Ok(Uploaded::Abandoned);
    };
    let began = Instant::now();
    if let Err(error) = upload.complete().await
        && !whole.is_there_with(bytes).await
    {
        return Err(error);
    }
    queue.stages.worked(Stage::Upload, began);
    Ok(Uploaded::Complete { bytes })
}

impl Whole<'_> {
    /// A completion may be done although its answer says otherwise: the first answer was lost, and
    /// the second one knows no such upload any more. An object appears whole or not at all.
    async fn is_there_with(&self, bytes: u64) -> bool {
        let head = self.bucket.objects.head(self.path);
        let head = tokio::time::timeout(LOOK_PATIENCE, head).await;
        matches!(head, Ok(Ok(found)) if found.size == bytes)
    }
}

/// The bytes sent, or `None` when the queue closed without an end mark.
async fn send_parts(
    upload: &mut dyn MultipartUpload,
    queue: &mut PartQueue,
) -> object_store::Result<Option<u64>> {
    let mut in_flight = FuturesUnordered::new();
    let mut bytes = 0;
    loop {
        let began = Instant::now();
        let idle = in_flight.is_empty();
        tokio::select! {
            biased;
            Some(sent) = in_flight.next(), if !idle => sent?,
            part = queue.parts.recv() => match part {
                Some(QueuedPart::Content(content, place)) => {
                    bytes += content.len() as u64;
                    queue.stages.moved(Stage::Upload, content.len());
                    let sending = upload.put_part(content.into());
                    in_flight.push(async move {
                        let sent = sending.await;
                        drop(place);
                        sent
                    });
                }
                Some(QueuedPart::End) => {
                    queue.has_ended = true;
                    break;
                }
                None => return Ok(None),
            },
        }
        if idle {
            queue.stages.waited(Stage::Upload, began);
        } else {
            queue.stages.worked(Stage::Upload, began);
        }
    }
    let began = Instant::now();
    while let Some(sent) = in_flight.next().await {
        sent?;
    }
    queue.stages.worked(Stage::Upload, began);
    Ok(Some(bytes))
}
