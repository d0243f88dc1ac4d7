//! `backup_label` and its archived sibling, the backup history file `<segment>.<offset>.backup`.
//!
//! PostgreSQL writes both when a backup ends (manual, "Making a Base Backup Using the Low Level
//! API"); a restored server reads `backup_label` to learn where recovery begins. We hand the
//! server's bytes on unchanged and read them only for the facts: there is no rendering here.

use std::str::FromStr;

use thiserror::Error;

use crate::wal::lsn::Lsn;
use crate::wal::name::SegmentName;
use crate::wal::timeline::TimelineId;

/// What a backup's label says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupLabel {
    /// Where recovery begins: the redo position of the backup's checkpoint.
    pub start_lsn: Lsn,
    /// The segment that holds `start_lsn`, and so the first one the backup needs.
    pub start_wal: SegmentName,
    /// Where the checkpoint record itself begins.
    pub checkpoint_lsn: Lsn,
    /// The timeline on which the backup began, always that of `start_wal`.
    pub start_timeline: TimelineId,
    /// `streamed` for every backup since PostgreSQL 15.
    pub method: String,
    /// The kind of server the backup was taken from.
    pub source: BackupSource,
    /// When the backup began, in the server's `log_timezone`: `2026-11-21 10:36:44 UTC`.
    pub start_time: String,
    /// The text given by whoever took the backup.
    pub label: String,
    /// For an incremental backup (17 and later), the start of the one before.
    pub incremental_from: Option<(TimelineId, Lsn)>,
    /// Where the backup ended; only in a backup history file.
    pub stop: Option<BackupStop>,
}

/// The kind of server a backup was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupSource {
    /// A server that accepts writes.
    Primary,
    /// A server in recovery.
    Standby,
}

/// Where a backup ended, as its history file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupStop {
    /// The position from which the copied files are consistent.
    pub lsn: Lsn,
    /// The segment the server names for that position.
    pub wal: SegmentName,
    /// When, in the server's `log_timezone`.
    pub time: String,
    /// The timeline on which the backup ended.
    pub timeline: TimelineId,
}

/// Text that is not a backup label.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadBackupLabel {
    /// A line that every label has is missing.
    #[error("backup label has no line {field:?}")]
    Missing {
        /// The words before the colon.
        field: &'static str,
    },
    /// A line's value cannot be read.
    #[error("backup label: {value:?} is no value for {field:?}")]
    Value {
        /// The words before the colon.
        field: &'static str,
        /// The words after it.
        value: String,
    },
    /// The label contradicts itself.
    #[error("backup label names timeline {}, but segment {segment}", timeline.number())]
    Timeline {
        /// From "START TIMELINE".
        timeline: TimelineId,
        /// From "START WAL LOCATION".
        segment: SegmentName,
    },
}

/// Reads a `backup_label` or a backup history file; lines that are unknown are passed over.
pub fn parse(text: &str) -> Result<BackupLabel, BadBackupLabel> {
    let lines = Lines(text);
    let (start_lsn, start_wal) = lines.location("START WAL LOCATION")?;
    let start_timeline = match lines.find("START TIMELINE") {
        Some(_) => lines.timeline("START TIMELINE")?,
        None => start_wal.timeline(),
    };
    if start_timeline != start_wal.timeline() {
        let (timeline, segment) = (start_timeline, start_wal);
        return Err(BadBackupLabel::Timeline { timeline, segment });
    }
    Ok(BackupLabel {
        start_lsn,
        start_wal,
        checkpoint_lsn: lines.value("CHECKPOINT LOCATION")?,
        start_timeline,
        method: lines.text("BACKUP METHOD")?.to_owned(),
        source: lines.source()?,
        start_time: lines.text("START TIME")?.to_owned(),
        label: lines.text("LABEL")?.to_owned(),
        incremental_from: lines.incremental_from()?,
        stop: lines.stop()?,
    })
}

struct Lines<'a>(&'a str);

impl<'a> Lines<'a> {
    fn find(&self, field: &str) -> Option<&'a str> {
        // The first wins: a label with a line break in it cannot hide what stands before it.
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(": "))
    }

    fn text(&self, field: &'static str) -> Result<&'a str, BadBackupLabel> {
        self.find(field).ok_or(BadBackupLabel::Missing { field })
    }

    fn value<T: FromStr>(&self, field: &'static str) -> Result<T, BadBackupLabel> {
        let text = self.text(field)?;
        text.parse().map_err(|_| bad_value(field, text))
    }

    fn timeline(&self, field: &'static str) -> Result<TimelineId, BadBackupLabel> {
        self.value(field).map(TimelineId::new)
    }

    /// `0/2000028 (file 000000010000000000000002)`
    fn location(&self, field: &'static str) -> Result<(Lsn, SegmentName), BadBackupLabel> {
        let text = self.text(field)?;
        parse_location(text).ok_or_else(|| bad_value(field, text))
    }

    fn source(&self) -> Result<BackupSource, BadBackupLabel> {
        match self.text("BACKUP FROM")? {
            "primary" | "master" => Ok(BackupSource::Primary),
            "standby" => Ok(BackupSource::Standby),
            other => Err(bad_value("BACKUP FROM", other)),
        }
    }

    fn incremental_from(&self) -> Result<Option<(TimelineId, Lsn)>, BadBackupLabel> {
        if self.find("INCREMENTAL FROM LSN").is_none() {
            return Ok(None);
        }
        let timeline = self.timeline("INCREMENTAL FROM TLI")?;
        Ok(Some((timeline, self.value("INCREMENTAL FROM LSN")?)))
    }

    fn stop(&self) -> Result<Option<BackupStop>, BadBackupLabel> {
        if self.find("STOP WAL LOCATION").is_none() {
            return Ok(None);
        }
        let (lsn, wal) = self.location("STOP WAL LOCATION")?;
        let time = self.text("STOP TIME")?.to_owned();
        Ok(Some(BackupStop {
            lsn,
            wal,
            time,
            timeline: self.timeline("STOP TIMELINE")?,
        }))
    }
}

fn bad_value(field: &'static str, value: &str) -> BadBackupLabel {
    BadBackupLabel::Value {
        field,
        value: value.to_owned(),
    }
}

fn parse_location(text: &str) -> Option<(Lsn, SegmentName)> {
    let (lsn, file) = text.split_once(" (file ")?;
    Some((lsn.parse().ok()?, file.strip_suffix(')')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LABEL: &str = include_str!("../../fixtures/backup_label-15");

    fn tli(number: u32) -> TimelineId {
        TimelineId::new(number)
    }

    #[test]
    fn a_label_of_pg_basebackup_is_read() {
        let expected = BackupLabel {
            start_lsn: Lsn::new(0x200_0028),
            start_wal: "000000010000000000000002".parse().unwrap(),
            checkpoint_lsn: Lsn::new(0x200_0060),
            start_timeline: tli(1),
            method: "streamed".to_owned(),
            source: BackupSource::Primary,
            start_time: "2026-11-21 10:36:44 UTC".to_owned(),
            label: "the label: \"quoted\"".to_owned(),
            incremental_from: None,
            stop: None,
        };
        assert_eq!(parse(LABEL), Ok(expected));
    }

    #[test]
    fn a_history_file_also_tells_the_end() {
        let history = parse(include_str!("../../fixtures/backup_history-15")).unwrap();
        let stop = BackupStop {
            lsn: Lsn::new(0x200_0100),
            wal: "000000010000000000000002".parse().unwrap(),
            time: "2026-11-21 10:36:44 UTC".to_owned(),
            timeline: tli(1),
        };
        assert_eq!(history.stop, Some(stop));
        assert_eq!(
            BackupLabel {
                stop: None,
                ..history
            },
            parse(LABEL).unwrap()
        );
    }

    #[test]
    fn an_incremental_label_names_the_backup_before() {
        let label = parse(include_str!("../../fixtures/backup_label-17-incremental")).unwrap();
        assert_eq!(label.incremental_from, Some((tli(1), Lsn::new(0x200_0028))));
    }

    #[test]
    fn every_missing_line_is_named() {
        for (field, _) in LABEL.lines().filter_map(|line| line.split_once(": ")) {
            let cut: Vec<&str> = LABEL
                .lines()
                .filter(|line| !line.starts_with(field))
                .collect();
            let parsed = parse(&cut.join("\n"));
            // Servers before 11 do not write the timeline; the segment's name has it.
            if field == "START TIMELINE" {
                assert_eq!(parsed, parse(LABEL));
            } else {
                assert!(matches!(parsed, Err(BadBackupLabel::Missing { field: f }) if f == field));
            }
        }
    }

    #[test]
    fn a_damaged_line_is_named() {
        for (good, bad, field) in [
            ("0/2000028 (file", "0-2000028 (file", "START WAL LOCATION"),
            (
                "000000010000000000000002)",
                "000000010000000000000002",
                "START WAL LOCATION",
            ),
            ("0/2000060", "x", "CHECKPOINT LOCATION"),
            ("primary", "somewhere", "BACKUP FROM"),
            ("TIMELINE: 1", "TIMELINE: one", "START TIMELINE"),
        ] {
            let refused = parse(&LABEL.replace(good, bad));
            let named =
                matches!(&refused, Err(BadBackupLabel::Value { field: f, .. }) if *f == field);
            assert!(named, "{refused:?}");
        }
    }

    #[test]
    fn a_label_that_contradicts_itself_is_refused() {
        let refused = parse(&LABEL.replace("TIMELINE: 1", "TIMELINE: 2"));
        assert!(matches!(refused, Err(BadBackupLabel::Timeline { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text: String, place in 0..LABEL.len()) {
            let _ = parse(&text);
            let _ = parse(&LABEL.replace(&LABEL[place..=place], &text));
        }
    }
}
