//! A large object read in several requests side by side.
//!
//! One connection to an object store has a speed of its own, often a fraction of the network's.
//! While one range is read the next is on its way, kept back by its queue and by TCP. Always true:
//! all ranges are of the same object, or reading ends with an error.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::time::Instant;

use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore};
use tokio::runtime::Handle;

use super::{Download, Incoming, Sender, Source, Watch, open_download, stopped};
use crate::stages::Stage;
use crate::store::{Bucket, StoreError};

/// Bytes of a range, until the store turns out to be fast: then the rest of the object comes in
/// one. Of the next range only some megabytes come while this one is read: the larger they are, the
/// less two connections are ahead of one.
pub(super) const RANGE_BYTES: u64 = 32 * 1024 * 1024;

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
    /// with one, or where the store is fast, the whole object comes in one request.
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
    if object.size_bytes <= RANGE_BYTES || object.requests <= 1 || watch.pace.is_fast() {
        return open_download(bucket, key, watch).await;
    }
    let source = Source {
        bucket: bucket.clone(),
        key: key.to_owned(),
        watch: watch.clone(),
    };
    let first = source.get(0..RANGE_BYTES).await?;
    let is_file = matches!(first.payload, GetResultPayload::File(..));
    // Without a tag, answers of two objects could not be told apart.
    if is_file || first.meta.e_tag.is_none() {
        return open_download(bucket, key, watch).await;
    }
    let mut ranges = Ranges {
        e_tag: first.meta.e_tag.clone(),
        size_bytes: first.meta.size,
        asked_bytes: RANGE_BYTES,
        requests: object.requests,
        open: VecDeque::new(),
        runtime: Handle::current(),
        source,
    };
    let (sender, incoming) = ranges.source.channel(RANGE_BYTES);
    let source = ranges.source.clone();
    tokio::spawn(async move { source.feed(first, sender).await });
    ranges.open.push_back(incoming);
    ranges.ask();
    Ok(Download::Ranges(ranges))
}

impl Ranges {
    /// Asks for further ranges, as many as may be on their way.
    fn ask(&mut self) {
        while self.open.len() < self.requests && self.asked_bytes < self.size_bytes {
            let end = match self.source.watch.pace.is_fast() {
                true => self.size_bytes,
                false => (self.asked_bytes + RANGE_BYTES).min(self.size_bytes),
            };
            let range = self.asked_bytes..end;
            let (sender, incoming) = self.source.channel(end - range.start);
            let (source, e_tag) = (self.source.clone(), self.e_tag.clone());
            self.runtime
                .spawn(async move { source.feed_range(range, e_tag, sender).await });
            self.open.push_back(incoming);
            self.asked_bytes = end;
        }
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

impl Source {
    async fn get(&self, range: Range<u64>) -> Result<GetResult, StoreError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let path = self.bucket.path(&self.key)?;
        let began = Instant::now();
        let got = self.bucket.objects.get_opts(&path, options).await;
        self.watch.stages.worked(Stage::Download, began);
        got.map_err(self.bucket.error("read", &self.key))
    }

    async fn feed_range(&self, range: Range<u64>, e_tag: Option<String>, sender: Sender) {
        let expected = range.clone();
        let got = tokio::select! {
            biased;
            () = self.watch.stop.raised() => Err(stopped()),
            got = self.get(range) => got.map_err(io::Error::other),
        };
        match got.and_then(|got| same_object(got, &expected, e_tag.as_deref())) {
            Ok(got) => self.feed(got, sender).await,
            // The reader may have gone.
            Err(error) => drop(sender.send(Err(error)).await),
        }
    }
}

fn same_object(
    got: GetResult,
    expected: &Range<u64>,
    e_tag: Option<&str>,
) -> io::Result<GetResult> {
    if got.meta.e_tag.as_deref() == e_tag && got.range == *expected {
        return Ok(got);
    }
    Err(io::Error::other(
        "the object was replaced by another while it was read",
    ))
}
