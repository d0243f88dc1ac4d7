//! An object's bytes as a plain reader for a blocking thread.
//!
//! The store's stream retries and resumes by itself; here is only the bridge. Always true: at most
//! a few chunks wait in memory, and a stream that fails is an error, never a short read.

use std::fs::File;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use object_store::{GetResultPayload, ObjectStoreExt};
use tokio::sync::mpsc;

use crate::store::{Bucket, StoreError};
use crate::upload::StopFlag;

const WAITING_CHUNKS: usize = 16;

/// An object being read.
pub enum Download {
    /// A local file: no detour.
    File(File),
    /// Chunks from the wire.
    Chunks {
        queue: mpsc::Receiver<io::Result<Bytes>>,
        current: Bytes,
    },
}

/// Begins to read an object from its start; must be called within a runtime.
///
/// # Errors
/// When the store does not have the object or refuses.
pub async fn open_download(bucket: &Bucket, key: &str) -> Result<Download, StoreError> {
    open_download_until(bucket, key, &StopFlag::default()).await
}

/// The same, but a raised `stop` ends the stream with an error, whatever the store is doing.
///
/// # Errors
/// As [`open_download`].
pub async fn open_download_until(
    bucket: &Bucket,
    key: &str,
    stop: &StopFlag,
) -> Result<Download, StoreError> {
    let got = bucket.objects.get(&bucket.path(key)?).await;
    let got = got.map_err(bucket.error("read", key))?;
    if let GetResultPayload::File(file, _) = got.payload {
        return Ok(Download::File(file));
    }
    let (sender, queue) = mpsc::channel(WAITING_CHUNKS);
    let mut stream = got.into_stream();
    let bucket = bucket.clone();
    let key = key.to_owned();
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            let chunk = tokio::select! {
                biased;
                () = stop.raised() => {
                    // The reader may have gone already.
                    let _ = sender.send(stop.check().map(|()| Bytes::new())).await;
                    return;
                }
                chunk = stream.next() => chunk,
            };
            let Some(chunk) = chunk else { return };
            let failed = chunk.is_err();
            let chunk =
                chunk.map_err(|source| io::Error::other(bucket.error("read", &key)(source)));
            // The reader may have gone: it has what it wanted, or failed.
            if sender.send(chunk).await.is_err() || failed {
                return;
            }
        }
    });
    Ok(Download::Chunks {
        queue,
        current: Bytes::new(),
    })
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (queue, current) = match self {
            Download::File(file) => return file.read(buffer),
            Download::Chunks { queue, current } => (queue, current),
        };
        while current.is_empty() {
            match queue.blocking_recv() {
                Some(chunk) => *current = chunk?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(current.len());
        current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
