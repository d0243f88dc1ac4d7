//! In which order backups happened: one order for `latest`, retention and deletion.
//!
//! Ids are local times, which go back by an hour once a year, and clocks are set; the WAL of one
//! timeline only grows. So backups of one system and timeline are in the order in which they ended
//! in its WAL, whatever the clock said; between timelines and systems time decides, where what
//! ended later in the same WAL corrects a time that lies ahead. Always true: the order is total and
//! does not depend on the order in which the backups are given.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::backup::BackupInfo;
use crate::backup::id::BackupId;
use crate::postgres::SystemId;
use crate::wal::lsn::Lsn;
use crate::wal::timeline::TimelineId;

/// The WAL in which a backup ended, and where.
type Place = (Option<SystemId>, TimelineId, Lsn);

/// Sorts backups, the one that happened first to the front.
pub fn sort(backups: &mut [(&BackupId, &BackupInfo)]) {
    let times = times(backups);
    backups.sort_by_key(|(id, info)| (times[*id], place(info), **id));
}

/// Where a backup ended; one that did not end is only placed by time.
fn place(info: &BackupInfo) -> Option<Place> {
    Some((info.systemid, info.timeline?, info.end_xlog?))
}

/// The end of a backup by the clock; else its beginning, and what its id says if nothing else does.
fn clock(id: &BackupId, info: &BackupInfo) -> Timestamp {
    let moment = info.end_time.or(info.begin_time);
    moment.map_or_else(|| named_time(id), |moment| moment.timestamp())
}

/// About when a backup was asked for: its id is a local time of some zone.
pub(crate) fn named_time(id: &BackupId) -> Timestamp {
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", id.as_str()).ok();
    let zoned = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC).ok());
    zoned.map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

/// When each backup ended at the latest, judged by those that ended after it in the same WAL.
fn times(backups: &[(&BackupId, &BackupInfo)]) -> BTreeMap<BackupId, Timestamp> {
    let mut placed: Vec<(Place, BackupId, Timestamp)> = Vec::new();
    let mut times = BTreeMap::new();
    for (id, info) in backups {
        let time = clock(id, info);
        times.insert(**id, time);
        if let Some(place) = place(info).filter(|_| info.end_time.is_some()) {
            placed.push((place, **id, time));
        }
    }
    placed.sort_unstable();
    let mut later: Option<(Option<SystemId>, TimelineId, Timestamp)> = None;
    for ((system, timeline, _), id, time) in placed.into_iter().rev() {
        let time = match later {
            Some((same, wal, earliest)) if (same, wal) == (system, timeline) => time.min(earliest),
            _ => time,
        };
        later = Some((system, timeline, time));
        times.insert(id, time);
    }
    times
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backup::BackupStatus;

    fn info(timeline: u32, lsn: u64, end: &str) -> BackupInfo {
        let end: Timestamp = end.parse().unwrap();
        BackupInfo {
            status: BackupStatus::Done,
            timeline: Some(TimelineId::new(timeline)),
            end_xlog: Some(Lsn::new(lsn)),
            end_time: Some(end.into()),
            ..BackupInfo::default()
        }
    }

    fn sorted(backups: &[(&str, BackupInfo)]) -> Vec<String> {
        let ids: Vec<BackupId> = backups.iter().map(|(id, _)| id.parse().unwrap()).collect();
        let infos = backups.iter().map(|(_, info)| info);
        let mut pairs: Vec<_> = ids.iter().zip(infos).collect();
        sort(&mut pairs);
        pairs
            .iter()
            .map(|(id, _)| id.as_str()[..4].to_owned())
            .collect()
    }

    #[test]
    fn wal_tells_the_order_where_the_clock_was_set() {
        let found = sorted(&[
            ("20400101T000000", info(1, 200, "2040-01-01T00:10:00Z")),
            ("20250101T000000", info(1, 100, "2025-01-01T00:10:00Z")),
            ("20260101T000000", info(1, 300, "2026-01-01T00:10:00Z")),
            ("20240101T000000", info(1, 400, "2024-01-01T00:10:00Z")),
        ]);
        assert_eq!(found, ["2025", "2040", "2026", "2024"]);
    }

    #[test]
    fn between_timelines_time_decides() {
        // Recovered to a position before the last backup of the first timeline.
        let found = sorted(&[
            ("20260103T000000", info(2, 150, "2026-01-03T00:00:00Z")),
            ("20250101T000000", info(1, 100, "2025-01-01T00:00:00Z")),
            ("20400101T000000", info(1, 180, "2026-01-02T00:00:00Z")),
        ]);
        assert_eq!(found, ["2025", "2040", "2026"]);
    }

    #[test]
    fn what_did_not_end_is_where_it_began() {
        let mut started = info(1, 0, "2026-01-01T00:00:00Z");
        started.end_xlog = None;
        started.begin_time = started.end_time.take();
        let found = sorted(&[
            ("20250101T000000", BackupInfo::default()),
            ("20270101T000000", info(1, 300, "2026-06-01T00:00:00Z")),
            ("20280101T000000", started),
        ]);
        assert_eq!(found, ["2025", "2028", "2027"]);
    }

    proptest! {
        #[test]
        fn the_order_does_not_depend_on_how_the_backups_are_given(
            rows in prop::collection::vec((1_u32..3, 0_u64..6, 0_i64..6, any::<bool>()), 0..9),
        ) {
            let made: Vec<(BackupId, BackupInfo)> = rows.iter().enumerate().map(|(at, row)| {
                let id = format!("202601{:02}T000000", at + 1).parse().unwrap();
                let end = Timestamp::from_second(row.2 * 86_400).unwrap();
                let mut info = info(row.0, row.1, "2026-01-01T00:00:00Z");
                info.end_time = row.3.then(|| end.into());
                (id, info)
            }).collect();
            let mut there: Vec<_> = made.iter().map(|(id, info)| (id, info)).collect();
            let mut back: Vec<_> = made.iter().rev().map(|(id, info)| (id, info)).collect();
            sort(&mut there);
            sort(&mut back);
            let ids = |pairs: &[(&BackupId, &BackupInfo)]| {
                pairs.iter().map(|(id, _)| **id).collect::<Vec<_>>()
            };
            prop_assert_eq!(ids(&there), ids(&back));
            // One timeline's backups that ended stand in the order of its WAL.
            for timeline in [1, 2] {
                let of = |(_, info): &&(&BackupId, &BackupInfo)| {
                    info.timeline == Some(TimelineId::new(timeline)) && info.end_time.is_some()
                };
                let ends: Vec<_> = there.iter().filter(of).map(|(_, i)| i.end_xlog).collect();
                prop_assert!(ends.is_sorted(), "{ends:?}");
            }
        }
    }
}
