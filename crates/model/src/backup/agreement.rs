//! Whether a record agrees with itself.
//!
//! Where a backup begins is recorded three times: by `begin_xlog`, by `begin_wal` with
//! `begin_offset`, and in `backup_label`. Records are text in a bucket: somebody edits one, a bit
//! flips, a tool writes one field of another backup. What follows from a contradiction is decided
//! by whoever reads the record. Always true: of the records that Barman and we write, none
//! contradicts itself.

use std::fmt;

use crate::backup::BackupInfo;
use crate::format::backup_label::{self, BackupLabel};
use crate::wal::lsn::Lsn;
use crate::wal::name::SegmentName;
use crate::wal::timeline::TimelineId;

/// A field, or two that belong together, and where the backup begins by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    pub by: &'static str,
    pub lsn: Lsn,
}

/// Two fields of a record that cannot both be right. The first is the one to doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    pub doubted: &'static str,
    pub says: String,
    pub against: &'static str,
    pub which_says: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Contradiction {
            doubted,
            says,
            against,
            which_says,
        } = self;
        write!(f, "{doubted} says {says}, {against} {which_says}")
    }
}

const XLOG: &str = "begin_xlog";
const WAL: &str = "begin_wal with begin_offset";
const LABEL: &str = "backup_label";

/// Where the backup begins, by each field that says so.
pub fn begins(info: &BackupInfo) -> Vec<Begin> {
    let xlog = info.begin_xlog.map(|lsn| Begin { by: XLOG, lsn });
    let named = begin_wal(info).zip(info.begin_offset);
    let wal = named.map(|(segment, offset)| {
        let first = segment.first_lsn(info.xlog_segment_size).value();
        let lsn = Lsn::new(first.saturating_add(offset));
        Begin { by: WAL, lsn }
    });
    let label = label(info).map(|label| Begin {
        by: LABEL,
        lsn: label.start_lsn,
    });
    // The label first: it is what PostgreSQL goes by.
    [label, xlog, wal].into_iter().flatten().collect()
}

/// What in the record contradicts what else in it.
pub fn contradictions(info: &BackupInfo) -> Vec<Contradiction> {
    let mut found = of_begins(info);
    found.extend(of_timelines(info));
    found.extend(of_names(info));
    found.extend(of_ends(info));
    found
}

fn of_begins(info: &BackupInfo) -> Vec<Contradiction> {
    let begins = begins(info);
    let votes = |begin: &Begin| begins.iter().filter(|other| other.lsn == begin.lsn).count();
    // Of as many votes the first counts, and `max_by_key` takes the last.
    let Some(believed) = begins.iter().rev().max_by_key(|begin| votes(begin)) else {
        return Vec::new();
    };
    let others = begins.iter().filter(|begin| begin.lsn != believed.lsn);
    let contradiction = |begin: &Begin| Contradiction {
        doubted: begin.by,
        says: begin.lsn.to_string(),
        against: believed.by,
        which_says: believed.lsn.to_string(),
    };
    others.map(contradiction).collect()
}

/// A standby's backup may end on a later timeline than it began on, and be recorded with either.
fn of_timelines(info: &BackupInfo) -> Vec<Contradiction> {
    let Some(segment) = begin_wal(info) else {
        return Vec::new();
    };
    let began = segment.timeline();
    let ended = end_wal(info).map_or(began, |end| end.timeline());
    let told = |doubted, timeline: TimelineId| Contradiction {
        doubted,
        says: format!("timeline {}", timeline.number()),
        against: "begin_wal",
        which_says: segment.to_string(),
    };
    let recorded = info
        .timeline
        .filter(|timeline| *timeline != began && *timeline != ended);
    let label = label(info).map(|label| label.start_timeline);
    let labelled = label.filter(|timeline| *timeline != began);
    let recorded = recorded.map(|timeline| told("timeline", timeline));
    recorded
        .into_iter()
        .chain(labelled.map(|timeline| told(LABEL, timeline)))
        .collect()
}

/// Names that no cluster with segments of the recorded size has.
fn of_names(info: &BackupInfo) -> Vec<Contradiction> {
    let size = info.xlog_segment_size;
    let named = [("begin_wal", begin_wal(info)), ("end_wal", end_wal(info))];
    let named = named
        .into_iter()
        .filter_map(|(field, name)| Some((field, name?)));
    let unfit = named.filter(|(_, name)| !name.fits(size));
    let contradiction = |(field, name): (_, SegmentName)| Contradiction {
        doubted: field,
        says: name.to_string(),
        against: "xlog_segment_size",
        which_says: size.to_string(),
    };
    unfit.map(contradiction).collect()
}

fn of_ends(info: &BackupInfo) -> Vec<Contradiction> {
    let mut found = Vec::new();
    let Some(end) = info.end_xlog else {
        return found;
    };
    let told = |doubted, says: String| Contradiction {
        doubted,
        says,
        against: "end_xlog",
        which_says: end.to_string(),
    };
    let size = info.xlog_segment_size;
    if let Some(segment) = end_wal(info) {
        // An end between two segments belongs to either, as PostgreSQL and Barman name them.
        let last_byte = Lsn::new(end.value().saturating_sub(1));
        let numbers = [end, last_byte].map(|lsn| lsn.segment_number(size));
        if !numbers.contains(&segment.number(size)) {
            found.push(told("end_wal", segment.to_string()));
        }
    }
    let begin = info.begin_xlog.filter(|begin| *begin > end);
    found.extend(begin.map(|begin| told(XLOG, begin.to_string())));
    found
}

fn begin_wal(info: &BackupInfo) -> Option<SegmentName> {
    info.begin_wal.as_deref()?.parse().ok()
}

fn end_wal(info: &BackupInfo) -> Option<SegmentName> {
    info.end_wal.as_deref()?.parse().ok()
}

fn label(info: &BackupInfo) -> Option<BackupLabel> {
    backup_label::parse(info.backup_label.as_deref()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::backup_info;
    use jiff::tz::TimeZone;

    /// A record that Barman 3.20.1 wrote: see crates/model/fixtures/README.md.
    fn record() -> BackupInfo {
        let text = include_str!(
            "../../fixtures/barman-3.20.1/backup_info/main-20261121T082128-backup.info"
        );
        backup_info::parse(text, &TimeZone::UTC).unwrap()
    }

    fn told(change: impl FnOnce(&mut BackupInfo)) -> Vec<String> {
        let mut info = record();
        change(&mut info);
        contradictions(&info)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn no_record_of_barman_contradicts_itself() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/fixtures/barman-3.20.1/backup_info"
        );
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let info = backup_info::parse(&text, &TimeZone::UTC).unwrap();
            assert_eq!(contradictions(&info), [], "{}", path.display());
            count += usize::from(!begins(&info).is_empty());
        }
        assert!(count >= 8, "{count}");
        assert_eq!(contradictions(&BackupInfo::default()), []);
    }

    #[test]
    fn the_field_that_two_others_contradict_is_the_one_to_doubt() {
        let other: Lsn = "0/2C000028".parse().unwrap();
        assert_eq!(
            told(|info| info.begin_xlog = Some(other)),
            [
                "begin_xlog says 0/2C000028, backup_label 0/2B000028",
                "begin_xlog says 0/2C000028, end_xlog 0/2B000100",
            ]
        );
        let expected = ["begin_wal with begin_offset says 0/2F000028, backup_label 0/2B000028"];
        let name = "00000001000000000000002F";
        assert_eq!(
            told(|info| info.begin_wal = Some(name.to_owned())),
            expected
        );
        let expected = ["begin_wal with begin_offset says 0/2B000029, backup_label 0/2B000028"];
        assert_eq!(told(|info| info.begin_offset = Some(41)), expected);
        let label = |info: &mut BackupInfo| {
            let label = info.backup_label.take().unwrap();
            info.backup_label = Some(label.replace("0/2B000028", "0/2A000028"));
        };
        assert_eq!(
            told(label),
            ["backup_label says 0/2A000028, begin_xlog 0/2B000028"]
        );
    }

    #[test]
    fn of_two_fields_that_differ_the_label_is_believed() {
        let told = told(|info| {
            info.begin_offset = None;
            info.begin_xlog = Some("0/2A000028".parse().unwrap());
        });
        assert_eq!(
            told,
            ["begin_xlog says 0/2A000028, backup_label 0/2B000028"]
        );
    }

    #[test]
    fn timelines_names_and_ends_are_compared_too() {
        let expected = ["timeline says timeline 2, begin_wal 00000001000000000000002B"];
        assert_eq!(
            told(|info| info.timeline = Some(TimelineId::new(2))),
            expected
        );
        let expected = ["end_wal says 00000001000000000000002D, end_xlog 0/2B000100"];
        let name = "00000001000000000000002D";
        assert_eq!(told(|info| info.end_wal = Some(name.to_owned())), expected);
        let unfit = "0000000100000000000001FF";
        let told = told(|info| info.end_wal = Some(unfit.to_owned()));
        assert_eq!(
            told[0],
            format!("end_wal says {unfit}, xlog_segment_size 16777216")
        );
    }

    #[test]
    fn a_backup_that_ends_on_a_later_timeline_may_be_recorded_with_either() {
        for timeline in [1, 2] {
            let told = told(|info| {
                info.timeline = Some(TimelineId::new(timeline));
                info.end_wal = Some("00000002000000000000002B".to_owned());
            });
            assert_eq!(told, [] as [&str; 0]);
        }
    }
}
