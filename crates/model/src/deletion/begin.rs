//! Where a backup begins and ends in the WAL, by all that its record says about it.
//!
//! A record has it several times: the name of the segment, the position, and PostgreSQL's own
//! label. Always true: where they disagree, the earliest beginning and the latest end count, so
//! that no WAL goes which any of them asks for.

use crate::backup::BackupInfo;
use crate::backup::id::BackupId;
use crate::format::backup_label;
use crate::postgres::SegmentSize;
use crate::wal::name::SegmentName;
use crate::wal::timeline::TimelineId;

/// A place in the WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) id: BackupId,
    pub(super) timeline: TimelineId,
    pub(super) number: u64,
}

/// The segments that a record names as the first one, each with what it is called there.
fn beginnings(info: &BackupInfo) -> Option<Vec<(&'static str, Option<TimelineId>, u64)>> {
    let size = info.xlog_segment_size;
    let mut found = Vec::new();
    if let Some(segment) = named(info.begin_wal.as_deref(), size)? {
        found.push(("begin_wal", Some(segment.timeline()), segment.number(size)));
    }
    if let Some(lsn) = info.begin_xlog {
        found.push(("begin_xlog", info.timeline, lsn.segment_number(size)));
    }
    let label = info.backup_label.as_deref().map(backup_label::parse);
    if let Some(Ok(label)) = label {
        let timeline = Some(label.start_timeline);
        found.push((
            "backup_label",
            timeline,
            label.start_lsn.segment_number(size),
        ));
    }
    Some(found)
}

/// `Some(None)` without a name, `None` for one that no segment of the cluster has.
fn named(text: Option<&str>, size: SegmentSize) -> Option<Option<SegmentName>> {
    let Some(text) = text else {
        return Some(None);
    };
    let name: SegmentName = text.parse().ok()?;
    name.fits(size).then_some(Some(name))
}

/// Where a backup begins; `None` if its record does not say it, or says what cannot be.
pub(super) fn start_of(id: &BackupId, info: &BackupInfo) -> Option<Start> {
    let beginnings = beginnings(info)?;
    let number = beginnings.iter().map(|(_, _, number)| *number).min()?;
    let timelines = beginnings.iter().filter_map(|(_, timeline, _)| *timeline);
    Some(Start {
        id: *id,
        // Without a timeline it may be any.
        timeline: timelines.min().unwrap_or(TimelineId::new(0)),
        number,
    })
}

/// The entries of a record that disagree about where its backup begins; none if they agree.
pub(super) fn disagreeing(info: &BackupInfo) -> Vec<&'static str> {
    let beginnings = beginnings(info).unwrap_or_default();
    let first = beginnings.first().map(|(_, _, number)| *number);
    if beginnings
        .iter()
        .any(|(_, _, number)| Some(*number) != first)
    {
        beginnings.iter().map(|(name, _, _)| *name).collect()
    } else {
        Vec::new()
    }
}

/// Where a backup ends.
pub(super) fn end_of(id: &BackupId, info: &BackupInfo) -> Option<Start> {
    let size = info.xlog_segment_size;
    let segment = named(info.end_wal.as_deref(), size)??;
    let by_position = info.end_xlog.map(|lsn| lsn.segment_number(size));
    Some(Start {
        id: *id,
        timeline: segment.timeline(),
        number: segment.number(size).max(by_position.unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> BackupInfo {
        BackupInfo {
            begin_wal: Some("000000020000000000000005".to_owned()),
            begin_xlog: Some("0/5000028".parse().unwrap()),
            timeline: Some(TimelineId::new(2)),
            end_wal: Some("000000020000000000000006".to_owned()),
            end_xlog: Some("0/6000100".parse().unwrap()),
            ..BackupInfo::default()
        }
    }

    fn start(info: &BackupInfo) -> Option<(u32, u64)> {
        let start = start_of(&"20261121T081044".parse().unwrap(), info)?;
        Some((start.timeline.number(), start.number))
    }

    #[test]
    fn the_earliest_of_the_entries_counts() {
        assert_eq!(start(&record()), Some((2, 5)));
        assert!(disagreeing(&record()).is_empty());
        let later = BackupInfo {
            begin_wal: Some("000000020000000000000015".to_owned()),
            ..record()
        };
        assert_eq!(start(&later), Some((2, 5)));
        assert_eq!(disagreeing(&later), ["begin_wal", "begin_xlog"]);
        let label = "START WAL LOCATION: 0/4000028 (file 000000020000000000000004)\n\
                     CHECKPOINT LOCATION: 0/4000060\nBACKUP METHOD: streamed\n\
                     BACKUP FROM: primary\nSTART TIME: 2026-11-21 08:10:44 UTC\n\
                     LABEL: x\nSTART TIMELINE: 2\n";
        let labelled = BackupInfo {
            backup_label: Some(label.to_owned()),
            ..record()
        };
        assert_eq!(start(&labelled), Some((2, 4)));
    }

    #[test]
    fn what_cannot_be_is_not_known() {
        let misnamed = BackupInfo {
            begin_wal: Some("nonsense".to_owned()),
            ..record()
        };
        assert_eq!(start(&misnamed), None);
        assert_eq!(start(&BackupInfo::default()), None);
    }

    #[test]
    fn the_latest_end_counts() {
        let id = "20261121T081044".parse().unwrap();
        let end = |info: &BackupInfo| end_of(&id, info).map(|end| end.number);
        assert_eq!(end(&record()), Some(6));
        let later = BackupInfo {
            end_xlog: Some("0/9000000".parse().unwrap()),
            ..record()
        };
        assert_eq!(end(&later), Some(9));
    }
}
