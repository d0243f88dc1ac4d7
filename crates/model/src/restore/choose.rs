//! Which backup to restore, when the user leaves the choice to us.
//!
//! Only records are asked, no WAL: that the WAL between the backup and the target is there is a
//! question of its own. Always true: the chosen backup is complete and ends at or before the
//! target, so recovery can reach the target from it.

use std::fmt;

use jiff::Timestamp;

use crate::backup::catalogue::{Catalogue, ResolveError};
use crate::backup::id::BackupId;
use crate::backup::reference::BackupRef;
use crate::backup::{BackupInfo, BackupStatus};
use crate::restore::target::{AutoTarget, TimelineChoice};
use crate::wal::lsn::Lsn;
use crate::wal::timeline::TimelineId;

/// No backup serves a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "none of {complete} complete backups {}{}",
    wording(target),
    on(timeline)
)]
pub struct NoBackup {
    /// What was asked for.
    pub target: AutoTarget,
    /// Along which timeline.
    pub timeline: TimelineChoice,
    /// How many complete backups there are at all.
    pub complete: usize,
}

/// A backup that was named and ended after the target: recovery cannot stop before a backup's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("backup {id} ended {}, after the target {}", ended.at(target), ended.target(target))]
pub struct EndedTooLate {
    /// The backup.
    pub id: BackupId,
    /// What was asked for.
    pub target: AutoTarget,
    /// When and where the backup ended.
    pub ended: End,
}

/// When and where a backup ended, as far as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    time: Option<Timestamp>,
    lsn: Option<Lsn>,
}

impl End {
    fn at(&self, target: &AutoTarget) -> String {
        match (target, self.time, self.lsn) {
            (AutoTarget::Lsn(_), _, Some(lsn)) => format!("at {lsn}"),
            (_, Some(time), _) => format!("at {time}"),
            _ => "some time".to_owned(),
        }
    }

    fn target(&self, target: &AutoTarget) -> String {
        match target {
            AutoTarget::Latest => "latest".to_owned(),
            AutoTarget::Time(time) => time.to_string(),
            AutoTarget::Lsn(lsn) => lsn.to_string(),
        }
    }
}

/// Which backup is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupChoice {
    /// This one, if it serves the target.
    Named(BackupRef, AutoTarget),
    /// The best one for a target.
    Best(AutoTarget, TimelineChoice),
}

/// Why no backup is chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotChoose {
    #[error(transparent)]
    Unresolved(#[from] ResolveError),
    #[error(transparent)]
    EndedTooLate(#[from] EndedTooLate),
    #[error(transparent)]
    NoBackup(#[from] NoBackup),
}

impl BackupChoice {
    /// The backup that is meant.
    ///
    /// # Errors
    /// When there is none, or recovery cannot reach the target from it.
    pub fn choose<'a>(
        &self,
        catalogue: &'a Catalogue,
    ) -> Result<(BackupId, &'a BackupInfo), CannotChoose> {
        let (id, info) = match self {
            BackupChoice::Named(wanted, target) => {
                let (id, info) = catalogue.resolve(wanted)?;
                check_target(*id, info, target)?;
                (id, info)
            }
            BackupChoice::Best(target, timeline) => {
                let id = choose_backup(catalogue, target, *timeline)?;
                catalogue.resolve(&BackupRef::Id(id))?
            }
        };
        Ok((*id, info))
    }
}

/// Whether recovery can reach the target from a backup that was named.
///
/// # Errors
/// When the backup ended after it. One that does not record its end may serve.
pub fn check_target(
    id: BackupId,
    info: &BackupInfo,
    target: &AutoTarget,
) -> Result<(), EndedTooLate> {
    let ended = End {
        time: info.end_time.map(|end| end.timestamp()),
        lsn: info.end_xlog,
    };
    let is_too_late = match target {
        AutoTarget::Latest => false,
        AutoTarget::Time(time) => ended.time.is_some_and(|end| end > *time),
        AutoTarget::Lsn(lsn) => ended.lsn.is_some_and(|end| end > *lsn),
    };
    if is_too_late {
        let target = *target;
        return Err(EndedTooLate { id, target, ended });
    }
    Ok(())
}

/// The backup that ended last among those that ended at or before the target.
///
/// One that still waits for WAL is taken only where no complete one serves: its WAL may never come.
///
/// A timeline's number takes only backups made on that very timeline, as Barman does; `Latest`
/// stands for the highest timeline of any complete backup (in Barman: of any archived WAL, where a
/// promotion after the last backup leaves no candidate); `Current` takes backups of any timeline,
/// each to be recovered along its own. Failed backups are never chosen; Barman takes them.
/// A backup that does not record its end serves no target but `AutoTarget::Latest`.
pub fn choose_backup(
    catalogue: &Catalogue,
    target: &AutoTarget,
    timeline: TimelineChoice,
) -> Result<BackupId, NoBackup> {
    let copied = catalogue.by_end();
    let is_done = |info: &BackupInfo| info.status == BackupStatus::Done;
    let complete = copied.iter().filter(|(_, info)| is_done(info));
    let highest = || complete.clone().filter_map(|(_, info)| info.timeline).max();
    let wanted = match timeline {
        TimelineChoice::Current => None,
        TimelineChoice::Latest => {
            highest().or_else(|| copied.iter().filter_map(|(_, info)| info.timeline).max())
        }
        TimelineChoice::Id(number) => Some(TimelineId::new(number)),
    };
    let serving = |is_wanted: fn(BackupStatus) -> bool| {
        let mut newest_first = copied.iter().rev();
        newest_first.find(|(_, info)| {
            let is_there = wanted.is_none() || info.timeline == wanted;
            is_there && is_wanted(info.status) && serves(info, target)
        })
    };
    serving(|status| status == BackupStatus::Done)
        .or_else(|| serving(|_| true))
        .map(|(id, _)| **id)
        .ok_or_else(|| NoBackup {
            target: *target,
            timeline,
            complete: complete.clone().count(),
        })
}

fn serves(info: &BackupInfo, target: &AutoTarget) -> bool {
    match target {
        AutoTarget::Latest => true,
        AutoTarget::Time(time) => info.end_time.is_some_and(|end| end.timestamp() <= *time),
        AutoTarget::Lsn(lsn) => info.end_xlog.is_some_and(|end| end <= *lsn),
    }
}

fn wording(target: &AutoTarget) -> String {
    match target {
        AutoTarget::Latest => "can be taken".to_owned(),
        AutoTarget::Time(time) => format!("ended by {time}"),
        AutoTarget::Lsn(lsn) => format!("ended at or before {lsn}"),
    }
}

fn on(timeline: &TimelineChoice) -> impl fmt::Display + use<> {
    match timeline {
        TimelineChoice::Current => String::new(),
        TimelineChoice::Latest => " on the latest timeline".to_owned(),
        TimelineChoice::Id(number) => format!(" on timeline {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::catalogue::Entry;
    use crate::moment::Moment;

    struct Made {
        day: u32,
        timeline: u32,
        status: BackupStatus,
    }

    fn id(day: u32) -> BackupId {
        format!("202601{day:02}T000000").parse().unwrap()
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn entry(made: &Made) -> (BackupId, Entry) {
        let end = time(&format!("2026-01-{:02}T10:00:00Z", made.day));
        let info = BackupInfo {
            status: made.status,
            timeline: Some(TimelineId::new(made.timeline)),
            end_time: Some(Moment::from(end)),
            end_xlog: Some(Lsn::new(u64::from(made.day) << 24)),
            ..BackupInfo::default()
        };
        (id(made.day), info.into())
    }

    /// `barman-cloud-restore` 3.20.1 was run with `auto` on such a catalogue; it chose as expected
    /// below, but took the failed backup, too.
    fn catalogue() -> Catalogue {
        use BackupStatus::{Done, Failed};
        let made = [
            (1, 1, Done),
            (2, 2, Done),
            (3, 2, Done),
            (4, 1, Done),
            (5, 3, Failed),
        ];
        let entries = made.map(|(day, timeline, status)| {
            entry(&Made {
                day,
                timeline,
                status,
            })
        });
        Catalogue::from_iter(entries)
    }

    fn chosen(target: AutoTarget, timeline: TimelineChoice) -> Option<BackupId> {
        choose_backup(&catalogue(), &target, timeline).ok()
    }

    #[test]
    fn the_newest_backup_that_ended_by_the_target_is_taken() {
        use TimelineChoice::Current;
        let times = [
            ("2026-01-03T10:00:00Z", Some(3)),
            ("2026-01-03T09:59:59Z", Some(2)),
            ("2026-12-01T00:00:00Z", Some(4)),
            ("2025-01-01T00:00:00Z", None),
        ];
        for (text, day) in times {
            assert_eq!(
                chosen(AutoTarget::Time(time(text)), Current),
                day.map(id),
                "{text}"
            );
        }
        let positions = [
            ("0/3000000", Some(3)),
            ("0/2FFFFFF", Some(2)),
            ("0/0", None),
        ];
        for (text, day) in positions {
            let target = AutoTarget::Lsn(text.parse().unwrap());
            assert_eq!(chosen(target, Current), day.map(id), "{text}");
        }
        assert_eq!(chosen(AutoTarget::Latest, Current), Some(id(4)));
    }

    #[test]
    fn the_newest_is_the_one_that_ended_last_though_the_clock_went_back() {
        let ended = |text: &str| {
            let info = BackupInfo {
                status: BackupStatus::Done,
                end_time: Some(Moment::from(time(text))),
                ..BackupInfo::default()
            };
            Entry::from(info)
        };
        // Central European time: 02:50 in summer is before 02:10 in winter.
        let catalogue = Catalogue::from_iter([
            (
                "20261025T025000".parse().unwrap(),
                ended("2026-10-25T00:55:00Z"),
            ),
            (
                "20261025T021000".parse().unwrap(),
                ended("2026-10-25T01:15:00Z"),
            ),
        ]);
        let chosen = choose_backup(&catalogue, &AutoTarget::Latest, TimelineChoice::Current);
        assert_eq!(chosen.unwrap().as_str(), "20261025T021000");
        let latest = catalogue.resolve(&crate::backup::reference::BackupRef::Latest);
        assert_eq!(latest.unwrap().0.as_str(), "20261025T021000");
    }

    #[test]
    fn a_backup_that_is_named_must_have_ended_by_the_target() {
        let catalogue = catalogue();
        let wanted = crate::backup::reference::BackupRef::Id(id(3));
        let (_, info) = catalogue.resolve(&wanted).unwrap();
        let check = |target| check_target(id(3), info, &target).map_err(|error| error.to_string());
        assert_eq!(check(AutoTarget::Latest), Ok(()));
        assert_eq!(
            check(AutoTarget::Time(time("2026-01-03T10:00:00Z"))),
            Ok(())
        );
        assert_eq!(check(AutoTarget::Lsn("0/3000000".parse().unwrap())), Ok(()));
        let told = "backup 20260103T000000 ended at 2026-01-03T10:00:00Z, after the target \
                    2026-01-03T09:59:59Z";
        let early = AutoTarget::Time(time("2026-01-03T09:59:59Z"));
        assert_eq!(check(early), Err(told.to_owned()));
        let told = "backup 20260103T000000 ended at 0/3000000, after the target 0/2FFFFFF";
        let early = AutoTarget::Lsn("0/2FFFFFF".parse().unwrap());
        assert_eq!(check(early), Err(told.to_owned()));
        let unknown = BackupInfo::default();
        assert_eq!(check_target(id(3), &unknown, &early), Ok(()));
    }

    #[test]
    fn one_that_waits_for_its_wal_is_taken_only_where_no_complete_one_serves() {
        let mut catalogue = catalogue();
        let waiting = Made {
            day: 6,
            timeline: 1,
            status: BackupStatus::WaitingForWals,
        };
        let (waits, entry) = entry(&waiting);
        catalogue.insert(waits, entry.clone());
        let newest = choose_backup(&catalogue, &AutoTarget::Latest, TimelineChoice::Current);
        assert_eq!(newest, Ok(id(4)));
        let alone = Catalogue::from_iter([(waits, entry)]);
        let newest = choose_backup(&alone, &AutoTarget::Latest, TimelineChoice::Latest);
        assert_eq!(newest, Ok(waits));
        let early = AutoTarget::Time(time("2025-01-01T00:00:00Z"));
        let none = choose_backup(&alone, &early, TimelineChoice::Current).unwrap_err();
        assert_eq!(none.complete, 0);
    }

    #[test]
    fn a_timeline_takes_only_backups_made_on_it() {
        use TimelineChoice::{Id, Latest};
        let noon = AutoTarget::Time(time("2026-01-03T12:00:00Z"));
        let cases = [
            (AutoTarget::Latest, Id(1), Some(4)),
            (AutoTarget::Latest, Id(2), Some(3)),
            (AutoTarget::Latest, Id(3), None),
            (AutoTarget::Latest, Latest, Some(3)),
            (noon, Id(1), Some(1)),
            (noon, Id(2), Some(3)),
            (noon, Latest, Some(3)),
        ];
        for (target, timeline, day) in cases {
            assert_eq!(
                chosen(target, timeline),
                day.map(id),
                "{target:?} {timeline}"
            );
        }
    }

    #[test]
    fn a_backup_that_does_not_record_its_end_serves_no_target() {
        let info = BackupInfo {
            status: BackupStatus::Done,
            ..BackupInfo::default()
        };
        let catalogue = Catalogue::from_iter([(id(1), info.into())]);
        let far = [
            AutoTarget::Time(Timestamp::MAX),
            AutoTarget::Lsn(Lsn::new(u64::MAX)),
        ];
        for target in far {
            assert!(choose_backup(&catalogue, &target, TimelineChoice::Current).is_err());
        }
        let any = choose_backup(&catalogue, &AutoTarget::Latest, TimelineChoice::Latest);
        assert_eq!(any, Ok(id(1)));
    }

    #[test]
    fn the_error_says_what_was_asked_and_how_many_there_are() {
        let target = AutoTarget::Time(time("2025-01-01T00:00:00Z"));
        let error = choose_backup(&catalogue(), &target, TimelineChoice::Id(2)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "none of 4 complete backups ended by 2025-01-01T00:00:00Z on timeline 2"
        );
        let empty = Catalogue::new();
        let error = choose_backup(&empty, &AutoTarget::Latest, TimelineChoice::Current);
        assert_eq!(
            error.unwrap_err().to_string(),
            "none of 0 complete backups can be taken"
        );
    }
}
