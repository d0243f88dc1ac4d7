//! A large object read in several requests side by side.
//!
//! One connection to an object store has a speed of its own, often a fraction of the network's.
//! While one range is read the next is on its way, kept back by its queue and by TCP. Always true:
//! all ranges are of the same object, or reading ends with an error.

use std::collections::VecDeque;
use std::io::{self, Read};

use object_store::GetResultPayload;
use tokio::runtime::Handle;

use super::source::Source;
use super::{Download, Incoming, Watch, open_download};
use crate::store::{Bucket, StoreError};

/// Bytes of a range where several come side by side. Of the next one only what fits into queues and
/// sockets comes while this one is read: the larger they are, the less two connections are ahead of
/// one.
pub(super) const RANGE_BYTES: u64 = 32 * 1024 * 1024;

/// Bytes of a range that comes alone; after each, the pace is judged again.
const LONG_RANGE_BYTES: u64 = 8 * RANGE_BYTES;

/// The ranges of an object, in order.
pub struct Ranges {
    source: Source,
    /// What the first answer called this version of the object.
    e_tag: Option<String>,
    size_bytes: u64,
    asked_bytes: u64,
    requests: usize,
    open: VecDeque<Incoming>,
    runtime: Handle,
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
    let mut ranges = Ranges {
        e_tag: first.meta.e_tag.clone(),
        size_bytes: first.meta.size,
        asked_bytes: first.range.end,
        requests: object.requests,
        open: VecDeque::new(),
        runtime: Handle::current(),
        source,
    };
    let (sender, incoming) = ranges.source.channel(first.range.end);
    let source = ranges.source.clone();
    tokio::spawn(async move { source.feed_at_once(first, sender).await });
    ranges.open.push_back(incoming);
    ranges.ask();
    Ok(Download::Ranges(ranges))
}

impl Ranges {
    /// Asks for further ranges, as many as may be on their way.
    fn ask(&mut self) {
        let (requests, range_bytes) = side_by_side(self.requests, &self.source.watch);
        while self.open.len() < requests && self.asked_bytes < self.size_bytes {
            let end = (self.asked_bytes + range_bytes).min(self.size_bytes);
            let range = self.asked_bytes..end;
            let (sender, incoming) = self.source.channel(end - range.start);
            let (source, e_tag) = (self.source.clone(), self.e_tag.clone());
            let is_ahead = !self.open.is_empty();
            self.runtime.spawn(async move {
                match source.get_range(range, e_tag.as_deref()).await {
                    Ok(got) if is_ahead => drop(source.feed(got, &sender).await),
                    Ok(got) => source.feed_at_once(got, sender).await,
                    // The reader may have gone.
                    Err(error) => drop(sender.send(Err(error)).await),
                }
            });
            self.open.push_back(incoming);
            self.asked_bytes = end;
        }
    }
}

/// How many ranges are on their way at the same time where so many may, and their size: a fast
/// store is not asked for two.
fn side_by_side(requests: usize, watch: &Watch) -> (usize, u64) {
    match watch.pace.is_fast() {
        true => (1, LONG_RANGE_BYTES),
        false => (requests, RANGE_BYTES),
    }
}

impl Read for Ranges {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(incoming) = self.open.front_mut() {
            let count = incoming.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.open.pop_front();
            self.ask();
        }
        Ok(0)
    }
}
