//! How a server's WAL leaves it, and how far its archiver has come.
//!
//! What the server says about itself; whether the WAL is in the bucket is asked there.

use model::postgres::SegmentSize;
use model::wal::lsn::Lsn;
use model::wal::name::{SegmentName, WalName};
use postgres::Row;

/// The server's settings about its WAL.
#[derive(Debug, Clone, Default)]
pub struct Archiving {
    /// `off`, `on` or `always`.
    pub mode: String,
    /// Empty when there is none.
    pub command: String,
    /// Empty when there is none.
    pub library: String,
    /// Standbys, WAL receivers, and the physical slots that wait for one.
    pub receivers: u64,
}

impl Archiving {
    pub(super) fn of(row: &Row) -> Archiving {
        let text = |column| row.get(column).unwrap_or_default().to_owned();
        let mode = text("archive_mode");
        // PostgreSQL shows a word in place of a command that it does not run.
        let command = match mode.as_str() {
            "off" => String::new(),
            _ => text("archive_command"),
        };
        Archiving {
            mode,
            command: command.trim().to_owned(),
            library: text("archive_library"),
            receivers: row
                .get("receivers")
                .map_or(0, |text| text.parse().unwrap_or(0)),
        }
    }

    /// Whether no file is ever archived.
    pub fn is_off(&self) -> bool {
        self.mode == "off"
    }

    /// Whether there is something to archive with.
    pub fn has_archiver(&self) -> bool {
        !self.is_off() && (!self.command.is_empty() || !self.library.is_empty())
    }
}

/// How far the server and its archiver are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiverState {
    /// How many files were archived since the statistics began.
    pub archived_count: u64,
    /// The last file that was archived.
    pub last_archived: Option<String>,
    /// The file that could not be archived last, if nothing was archived since.
    pub failing: Option<String>,
    /// The end of the WAL that the server has.
    pub position: Lsn,
}

impl ArchiverState {
    /// Whether the archiver has done this segment, or a later one.
    pub fn has_archived(&self, segment: SegmentName, size: SegmentSize) -> bool {
        let last = self.last_archived.as_deref();
        let last: Option<WalName> = last.and_then(|text| text.parse().ok());
        let last = last.and_then(|name| name.segment());
        last.is_some_and(|last| {
            last.timeline() >= segment.timeline() && last.number(size) >= segment.number(size)
        })
    }

    /// Whether the server has not written the segment to its end yet: it cannot be archived then.
    pub fn is_writing(&self, segment: SegmentName, size: SegmentSize) -> bool {
        self.position.segment_number(size) <= segment.number(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(last: Option<&str>, position: u64) -> ArchiverState {
        ArchiverState {
            archived_count: 1,
            last_archived: last.map(str::to_owned),
            failing: None,
            position: Lsn::new(position),
        }
    }

    #[test]
    fn a_segment_is_archived_when_it_or_a_later_file_was_the_last() {
        let segment: SegmentName = "000000010000000000000005".parse().unwrap();
        let size = SegmentSize::DEFAULT;
        for (last, expected) in [
            (None, false),
            (Some("000000010000000000000004"), false),
            (Some("000000010000000000000005"), true),
            (Some("000000010000000000000005.00000028.backup"), true),
            (Some("000000010000000100000000"), true),
            (Some("00000002.history"), false),
        ] {
            assert_eq!(
                state(last, 0).has_archived(segment, size),
                expected,
                "{last:?}"
            );
        }
    }

    #[test]
    fn a_segment_is_written_until_the_server_is_in_the_next() {
        let segment: SegmentName = "000000010000000000000005".parse().unwrap();
        for (position, expected) in [(0x05ff_ffff, true), (0x0600_0000, false)] {
            let state = state(None, position);
            assert_eq!(state.is_writing(segment, SegmentSize::DEFAULT), expected);
        }
    }
}
