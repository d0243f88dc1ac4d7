//! A large object read in several requests side by side.
//!
//! One connection to an object store has a speed of its own, often a fraction of the network's.
//! While one range is read the next is on its way, kept back by its queue and by TCP. Always true:
//! all ranges are of the same object, or reading ends with an error.

use std::collections::VecDeque;
use std::io::{self, Read};

use object_store::GetResult;
use tokio::runtime::Handle;

use super::incoming::{Incoming, RANGE_BYTES, Watch};
use super::source::Source;

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

impl Ranges {
    /// All of the object of which the first range has come.
    pub(super) fn begin(source: Source, first: GetResult, requests: usize) -> Ranges {
        let mut ranges = Ranges {
            e_tag: first.meta.e_tag.clone(),
            size_bytes: first.meta.size,
            asked_bytes: first.range.end,
            requests,
            open: VecDeque::new(),
            runtime: Handle::current(),
            source,
        };
        let (sender, incoming) = ranges.source.channel(first.range.end);
        let source = ranges.source.clone();
        tokio::spawn(async move { source.feed_at_once(first, sender).await });
        ranges.open.push_back(incoming);
        ranges.ask();
        ranges
    }

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
pub(super) fn side_by_side(requests: usize, watch: &Watch) -> (usize, u64) {
    if watch.pace.is_fast() {
        (1, LONG_RANGE_BYTES)
    } else {
        (requests, RANGE_BYTES)
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
