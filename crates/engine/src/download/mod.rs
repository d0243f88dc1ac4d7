//! An object's bytes as a plain reader for a blocking thread.
//!
//! Small objects come in one request, large ones in several side by side ([`ranges`]); an answer
//! that breaks off is resumed ([`source`]). Always true: at most a few chunks of each request wait
//! in memory, and a stream that fails or ends before the object's size is an error, never a short
//! read.

mod pace;
mod ranges;
mod source;

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};
use object_store::GetResultPayload;
use tokio::sync::mpsc;

pub use pace::Pace;
pub use ranges::{Object, open_in_ranges};

use crate::stages::{Stage, Stages};
use crate::stop::StopFlag;
use crate::store::{Bucket, StoreError};
use ranges::Ranges;
use source::Source;

/// An object being read.
pub enum Download {
    /// A local file: no detour.
    File(File),
    /// The whole object, from one request.
    Whole(Incoming),
    /// One part of the object after another.
    Ranges(Ranges),
}

/// What a download looks at, and tells.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Raised, it ends the stream with an error, whatever the store is doing.
    pub stop: StopFlag,
    pub stages: Arc<Stages>,
    /// Of the store that it is from.
    pub pace: Arc<Pace>,
}

/// Begins to read an object from its start; must be called within a runtime.
///
/// # Errors
/// When the store does not have the object or refuses.
pub async fn open_download(
    bucket: &Bucket,
    key: &str,
    watch: &Watch,
) -> Result<Download, StoreError> {
    let source = Source {
        bucket: bucket.clone(),
        key: key.to_owned(),
        watch: watch.clone(),
    };
    let got = source.get(None).await?;
    if let GetResultPayload::File(file, _) = got.payload {
        return Ok(Download::File(file));
    }
    let (sender, incoming) = source.channel(got.range.end - got.range.start);
    tokio::spawn(async move { source.feed_at_once(got, sender).await });
    Ok(Download::Whole(incoming))
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Download::File(file) => file.read(buffer),
            Download::Whole(incoming) => incoming.read(buffer),
            Download::Ranges(ranges) => ranges.read(buffer),
        }
    }
}

/// The bytes of one answer, as they come.
pub struct Incoming {
    queue: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    missing_bytes: u64,
    stages: Arc<Stages>,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let began = Instant::now();
            let chunk = self.queue.blocking_recv();
            self.stages.waited(Stage::Unpack, began);
            match chunk {
                Some(chunk) => self.current = chunk?,
                None if self.missing_bytes == 0 => return Ok(0),
                None => return Err(ends_early(self.missing_bytes)),
            }
            let count = self.current.len() as u64;
            let missing = self.missing_bytes.checked_sub(count);
            self.missing_bytes = missing.ok_or_else(too_long)?;
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the store's answer is longer than it said",
    )
}

fn ends_early(missing_bytes: u64) -> io::Error {
    let text = format!("the store's answer ended {missing_bytes} bytes early");
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}
