//! Is a segment that the archive does not have a hole in the log, or does the log end before it?
//!
//! Pure: the caller says what the archive has. Always true: a segment is called missing only if a
//! later one of the same timeline is there, and the timeline had begun by then; a history, only if
//! a later one is there or a segment of its own timeline.

use std::time::Duration;

use crate::postgres::SegmentSize;
use crate::wal::name::SegmentName;
use crate::wal::timeline::TimelineHistory;

/// Something that was stored so recently may have overtaken what comes before it: several segments
/// are uploaded at a time, and one that failed is sent again.
const YOUNG: Duration = Duration::from_secs(120);

/// The most that [`patience`] asks for.
pub const LONGEST_PATIENCE: Duration = Duration::from_secs(20);

/// Histories are archived before anything else of their timeline, long before the next one's.
pub const HISTORY_PATIENCE: Duration = Duration::from_secs(4);

/// How long to look again for a segment, when a later one is there that was stored so long ago.
/// `None` where the store's clock is ahead of ours.
pub fn patience(age: Option<Duration>) -> Duration {
    match age {
        Some(age) if age > YOUNG => Duration::from_secs(4),
        _ => LONGEST_PATIENCE,
    }
}

/// Whether this segment lies on its timeline, whose history this is, and not on an ancestor.
pub fn is_on_its_timeline(
    segment: &SegmentName,
    history: &TimelineHistory,
    size: SegmentSize,
) -> bool {
    let fork = history.switches().last();
    fork.is_none_or(|fork| segment.number(size) >= fork.at.segment_number(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::timeline::TimelineId;

    #[test]
    fn a_timeline_begins_in_the_segment_of_its_fork() {
        let history = "1\t0/2000000\tx\n2\t0/5000100\tno recovery target specified\n";
        let history = TimelineHistory::parse(TimelineId::new(3), history).unwrap();
        let lies =
            |name: &str| is_on_its_timeline(&name.parse().unwrap(), &history, SegmentSize::DEFAULT);
        assert!(!lies("000000030000000000000004"));
        assert!(lies("000000030000000000000005"));
        assert!(lies("000000030000000000000006"));
        let first = TimelineHistory::without_ancestors(TimelineId::new(1));
        let name = "000000010000000000000000".parse().unwrap();
        assert!(is_on_its_timeline(&name, &first, SegmentSize::DEFAULT));
    }

    #[test]
    fn an_archive_that_is_being_written_is_given_more_time() {
        let old = patience(Some(Duration::from_secs(3600)));
        assert!(patience(Some(Duration::from_secs(1))) > old);
        assert!(patience(None) > old);
    }
}
