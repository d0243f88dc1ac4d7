//! Whether a job waits so long for a store that a second connection is worth its cost.
//!
//! It is where the network or the store limits each connection. Where they do not, ranges only
//! cost: SeaweedFS reads a chunk of its own twice where a range ends within, a tenth of its
//! processor time. Only the answers tell which it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bytes per second: more than one request brings from Amazon S3, whose guide to its performance
/// counts one for each 85 to 90 MB/s, and less than a store on the same network does.
const FAST: f64 = 100e6;

/// What an answer brought, and how long nothing of it was there to be taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Came {
    pub bytes: u64,
    pub waited: Duration,
}

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

    /// Notes an answer that was read as it came: of one that was asked for ahead, what lay ready
    /// in buffers would look as if it had come fast.
    pub(super) fn note(&self, came: Came) {
        let is_fast = came.waited.as_secs_f64() * FAST < came.bytes as f64;
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
            pace.note(Came {
                bytes: 100_000_000,
                waited: Duration::from_millis(waited_ms),
            });
            assert_eq!(pace.is_fast(), is_fast, "{waited_ms} ms");
        }
    }
}
