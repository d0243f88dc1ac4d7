//! An object's bytes as a plain reader for a blocking thread.
//!
//! Small objects come in one request, large ones in several side by side ([`ranges`]); an answer
//! that breaks off is resumed ([`source`]). Always true: at most a few chunks of each request wait
//! in memory, and a stream that fails or ends before the object's size is an error, never a short
//! read.

mod incoming;
mod pace;
mod ranges;
mod source;

use std::fs::File;
use std::io::{self, Read};

use object_store::GetResultPayload;

pub use incoming::{Incoming, Watch};
pub use pace::Pace;

use crate::store::{Bucket, StoreError};
use ranges::{Ranges, side_by_side};
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

/// An object as a listing has it.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    pub key: &'a str,
    pub size_bytes: u64,
    /// How many of its ranges may be on their way at the same time, the one being read among them;
    /// with one, the whole object comes in a single request.
    pub requests: usize,
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

/// Begins to read an object of that size from its start; must be called within a runtime.
///
/// # Errors
/// When the store does not have the object or refuses.
pub async fn open_in_ranges(
    bucket: &Bucket,
    object: Object<'_>,
    watch: &Watch,
) -> Result<Download, StoreError> {
    let key = object.key;
    let (_, range_bytes) = side_by_side(object.requests, watch);
    if object.requests <= 1 || object.size_bytes <= range_bytes {
        return open_download(bucket, key, watch).await;
    }
    let source = Source {
        bucket: bucket.clone(),
        key: key.to_owned(),
        watch: watch.clone(),
    };
    let first = match source.get(Some(0..range_bytes)).await {
        Ok(first) => first,
        Err(error) if error.is_not_found() => return Err(error),
        // Not every store knows ranges; what else it was shows again.
        Err(_) => return open_download(bucket, key, watch).await,
    };
    let is_file = matches!(first.payload, GetResultPayload::File(..));
    // Without a tag, answers of two objects could not be told apart.
    if is_file || first.meta.e_tag.is_none() {
        return open_download(bucket, key, watch).await;
    }
    let ranges = Ranges::begin(source, first, object.requests);
    Ok(Download::Ranges(ranges))
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
