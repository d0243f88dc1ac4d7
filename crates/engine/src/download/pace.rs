//! Whether one connection to a store is as good as several.
//!
//! A second one beside it pays where the network or the store limits each. Where they do not,
//! ranges cost: SeaweedFS reads a chunk of its own twice where a range ends within, a tenth of its
//! processor time. Only the answers tell which it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bytes per second: more than one request brings from Amazon S3, whose guide to its performance
/// counts one for each 85 to 90 MB/s, and less than a store on the same network does.
const FAST: f64 = 100e6;

/// What the answers so far have told; until one has come, the store counts as slow.
#[derive(Debug, Default)]
pub struct Pace {
    is_fast: AtomicBool,
}

impl Pace {
    /// Whether the last answer came fast.
    pub fn is_fast(&self) -> bool {
        self.is_fast.load(Ordering::Relaxed)
    }

    /// Notes an answer that has come, and how long nothing was there of it to be taken.
    pub fn note(&self, bytes: u64, waited: Duration) {
        let is_fast = waited.as_secs_f64() * FAST < bytes as f64;
        self.is_fast.store(is_fast, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_fast_from_a_hundred_megabytes_in_a_second_on() {
        let pace = Pace::default();
        assert!(!pace.is_fast());
        for (waited_ms, is_fast) in [(0, true), (990, true), (1010, false), (90_000, false)] {
            pace.note(100_000_000, Duration::from_millis(waited_ms));
            assert_eq!(pace.is_fast(), is_fast, "{waited_ms} ms");
        }
    }
}
