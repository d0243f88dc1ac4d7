//! Plans worked out by hand; `histories` has random ones.

mod histories;

use jiff::Timestamp;

use super::*;
use crate::backup::mark::mark;
use crate::backup::{BackupInfo, BackupStatus};
use crate::codec::Codec;
use crate::keep::KeepTarget;
use crate::moment::Moment;
use crate::wal::name::SegmentName;
use crate::wal::name::WalName;

fn id(number: usize) -> BackupId {
    let (day, hour) = (1 + number / 24, number % 24);
    format!("202611{day:02}T{hour:02}0000").parse().unwrap()
}

fn segment(timeline: u32, number: u32) -> SegmentName {
    format!("{timeline:08X}{:08X}{:08X}", number / 256, number % 256)
        .parse()
        .unwrap()
}

fn time(hours: usize) -> Timestamp {
    let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    start + jiff::SignedDuration::from_hours(hours as i64)
}

fn done(timeline: u32, begin: u32, end: u32) -> BackupInfo {
    BackupInfo {
        status: BackupStatus::Done,
        begin_wal: Some(segment(timeline, begin).to_string()),
        end_wal: Some(segment(timeline, end).to_string()),
        end_time: Some(Moment::from(time(0))),
        ..BackupInfo::default()
    }
}

fn facts(backups: Vec<BackupInfo>, wal: &[&str]) -> Facts {
    let named = |(number, info): (usize, BackupInfo)| (id(number), Entry::from(info));
    let objects = ["annotations/damage", "backup.info", "data.tar"].map(str::to_owned);
    Facts {
        objects: (0..backups.len())
            .map(|n| (id(n), objects.to_vec()))
            .collect(),
        backups: backups.into_iter().enumerate().map(named).collect(),
        wal: wal
            .iter()
            .map(|name| (name.parse().unwrap(), Codec::Gzip))
            .collect(),
        ..Facts::default()
    }
}

fn delete(number: usize) -> DeletionRequest {
    request(Choice::Backup(id(number)), 0)
}

fn request(choice: Choice, minimum_redundancy: u32) -> DeletionRequest {
    DeletionRequest {
        choice,
        minimum_redundancy,
        now: time(100),
    }
}

#[test]
fn the_plan_says_of_everything_why_it_goes_or_stays() {
    let mut facts = facts(
        vec![done(1, 2, 3), done(1, 5, 6), done(2, 9, 9)],
        &[
            "000000010000000000000001",
            "000000010000000000000002",
            "000000010000000000000002.00000028.backup",
            "000000010000000000000003",
            "000000010000000000000004",
            "000000010000000000000005",
            "000000010000000000000008.partial",
            "00000002.history",
            "000000020000000000000008",
            "000000030000000000000001",
        ],
    );
    let plan = plan_delete(&delete(1), &facts).unwrap();
    assert_eq!(
        plan.to_string(),
        "backup 20261101T000000 stays: another one is to be deleted\n\
         backup 20261101T010000 goes (3 objects): it is the one to delete\n\
         backup 20261101T020000 stays: another one is to be deleted\n\
         WAL 000000010000000000000001 stays (1 file): backup 20261101T000000, which stays, is \
         older than what goes\n\
         WAL 000000010000000000000002 to 000000010000000000000008.partial stays (6 files): backup \
         20261101T000000 needs it\n\
         WAL 00000002.history stays (1 file): timeline histories are never deleted\n\
         WAL 000000020000000000000008 stays (1 file): backup 20261101T000000 needs it\n\
         WAL 000000030000000000000001 stays (1 file): backup 20261101T000000, which stays, is \
         older than what goes\n"
    );
    facts.kept.insert(id(0), KeepTarget::Standalone);
    let policy = Choice::Policy("REDUNDANCY 1".parse().unwrap());
    let plan = plan_delete(&request(policy, 0), &facts).unwrap();
    assert_eq!(
        plan.to_string(),
        "backup 20261101T000000 stays: it is kept (standalone)\n\
         backup 20261101T010000 goes (3 objects): a newer complete backup suffices\n\
         backup 20261101T020000 stays: number 1 of the newest 1 complete backups\n\
         WAL 000000010000000000000001 stays (1 file): backup 20261101T000000, which stays, is on \
         this timeline\n\
         WAL 000000010000000000000002 to 000000010000000000000003 stays (3 files): standalone \
         backup 20261101T000000 needs it\n\
         WAL 000000010000000000000004 to 000000010000000000000008.partial stays (3 files): backup \
         20261101T000000, which stays, is on this timeline\n\
         WAL 00000002.history stays (1 file): timeline histories are never deleted\n\
         WAL 000000020000000000000008 goes (1 file): older than backup 20261101T020000, where the \
         oldest need begins\n\
         WAL 000000030000000000000001 stays (1 file): it is not older than backup \
         20261101T020000\n"
    );
}

#[test]
fn data_goes_first_then_wal_annotations_and_records() {
    let facts = facts(
        vec![done(1, 2, 3), done(1, 5, 6)],
        &["000000010000000000000004"],
    );
    let plan = plan_delete(&delete(0), &facts).unwrap();
    let object = |name: &str| vec![Target::Object(id(0), name.to_owned())];
    let wal = Target::Wal("000000010000000000000004".parse().unwrap(), Codec::Gzip);
    assert_eq!(
        plan.groups(),
        [
            object("data.tar"),
            vec![wal],
            object("annotations/damage"),
            object("backup.info")
        ]
    );
}

#[test]
fn what_is_unclear_stops_everything() {
    let mut unclear = facts(vec![done(1, 2, 3)], &[]);
    unclear.unreadable_keeps.insert(id(0), "empty".to_owned());
    assert!(matches!(
        plan_delete(&delete(0), &unclear),
        Err(CannotDelete::UnreadableKeep { .. })
    ));
    let reason = "line 1".to_owned();
    unclear.backups.insert(id(1), Entry::Unreadable { reason });
    assert!(matches!(
        plan_delete(&delete(0), &unclear),
        Err(CannotDelete::UnreadableRecord { .. })
    ));
}

#[test]
fn what_must_stay_is_refused_by_name() {
    let child = BackupInfo {
        parent_backup_id: Some(id(1)),
        ..done(1, 7, 7)
    };
    let snapshots = BackupInfo {
        snapshots_info: Some(crate::format::python_literal::Value::None),
        ..done(1, 8, 8)
    };
    let mut facts = facts(vec![done(1, 2, 3), done(1, 5, 6), child, snapshots], &[]);
    facts.kept.insert(id(0), KeepTarget::Full);
    let refusal = |number| {
        plan_delete(&delete(number), &facts)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(0),
        "backup 20261101T000000 is not deleted: it is kept (full)"
    );
    assert_eq!(
        refusal(1),
        "backup 20261101T010000 is not deleted: backup 20261101T020000 builds on it"
    );
    assert_eq!(
        refusal(3),
        "backup 20261101T030000 is not deleted: deleting disk snapshots is not there yet"
    );
    assert_eq!(refusal(9), "backup 20261101T090000 does not exist");
    facts.backups = [(id(0), done(1, 2, 3).into())].into_iter().collect();
    facts.kept.clear();
    let last = plan_delete(&request(Choice::Backup(id(0)), 1), &facts);
    assert_eq!(
        last.unwrap_err().to_string(),
        "backup 20261101T000000 is not deleted: there are 1 complete backups, and 1 must stay"
    );
}

#[test]
fn a_backup_that_is_still_going_on_keeps_its_wal() {
    let wal = ["000000010000000000000003", "000000010000000000000005"];
    let going_on = |begin_xlog| BackupInfo {
        status: BackupStatus::Started,
        begin_xlog,
        ..BackupInfo::default()
    };
    let fates = |begin| {
        let facts = facts(vec![done(1, 4, 4), going_on(begin)], &wal);
        let plan = plan_delete(&delete(0), &facts).unwrap();
        plan.wal.iter().map(|run| run.fate).collect::<Vec<_>>()
    };
    let lsn = Some("0/5000028".parse().unwrap());
    let needed = WalFate::NeededBy(id(1));
    assert_eq!(fates(lsn), [WalFate::OlderThanLast(id(0)), needed]);
    assert_eq!(fates(None), [WalFate::UnknownBegin(id(1))]);
}

#[test]
fn a_backup_that_never_ended_holds_wal_and_the_plan_says_so() {
    let wal: Vec<String> = (1..=9).map(|n| segment(1, n).to_string()).collect();
    let wal: Vec<&str> = wal.iter().map(String::as_str).collect();
    let started = BackupInfo {
        status: BackupStatus::Started,
        ..done(1, 4, 4)
    };
    let facts = facts(vec![done(1, 2, 3), started, done(1, 8, 9)], &wal);
    let plan = plan_delete(&delete(0), &facts).unwrap();
    let fates: Vec<(usize, WalFate)> = plan.wal.iter().map(|run| (run.count, run.fate)).collect();
    let expected = [
        (3, WalFate::OlderThan(id(2))),
        (4, WalFate::HeldBy(id(1))),
        (2, WalFate::NeededBy(id(2))),
    ];
    assert_eq!(fates, expected);
    assert_eq!(plan.held().into_iter().collect::<Vec<_>>(), [(id(1), 4)]);
    let plan = plan_delete(&delete(1), &facts).unwrap();
    assert!(plan.held().is_empty(), "it goes itself");
}

/// The WAL that goes, as `timeline:segment`.
fn wal_that_goes(request: &DeletionRequest, facts: &Facts) -> Vec<String> {
    let plan = plan_delete(request, facts).unwrap();
    let goes = plan.wal.into_iter().flat_map(|run| run.goes);
    let text = |(name, _): (WalName, Codec)| {
        let name = name.to_string();
        format!("{}:{}", &name[7..8], &name[22..])
    };
    goes.map(text).collect()
}

/// Segments 1 to 4 of timeline 1, 3 to 8 of timeline 2 and 7 to 9 of timeline 3.
fn three_timelines() -> Vec<String> {
    let spans = [(1, 1..=4), (2, 3..=8), (3, 7..=9)];
    let all = spans.into_iter().flat_map(|(timeline, numbers)| {
        numbers.map(move |number| segment(timeline, number).to_string())
    });
    all.collect()
}

#[test]
fn wal_of_a_timeline_that_a_backup_is_on_stays() {
    let wal = three_timelines();
    let wal: Vec<&str> = wal.iter().map(String::as_str).collect();
    let newest = request(Choice::Policy("REDUNDANCY 1".parse().unwrap()), 0);
    let failed = BackupInfo {
        status: BackupStatus::Failed,
        ..done(1, 2, 2)
    };
    // What Barman 3.20.1 deletes of the same.
    for (request, backups, goes) in [
        (&newest, vec![done(1, 1, 1), done(2, 5, 5)], "2:03 2:04"),
        (
            &newest,
            vec![done(2, 4, 4), done(2, 5, 5)],
            "1:01 1:02 1:03 1:04 2:03 2:04",
        ),
        (
            &newest,
            vec![done(2, 4, 4), failed, done(2, 5, 5)],
            "2:03 2:04",
        ),
        (
            &delete(0),
            vec![done(1, 2, 2), done(1, 4, 4), done(3, 9, 9)],
            "1:01 1:02 1:03",
        ),
        (
            &delete(0),
            vec![done(1, 2, 2), done(2, 4, 4), done(1, 4, 4)],
            "2:03",
        ),
    ] {
        assert_eq!(
            wal_that_goes(request, &facts(backups, &wal)).join(" "),
            goes
        );
    }
}

#[test]
fn wal_of_a_timeline_that_went_goes_with_the_next_backup() {
    let wal = three_timelines();
    let wal: Vec<&str> = wal.iter().map(String::as_str).collect();
    let newest = request(Choice::Policy("REDUNDANCY 1".parse().unwrap()), 0);
    let backups = vec![done(1, 1, 1), done(2, 5, 5), done(3, 8, 8)];
    let facts = facts(backups, &wal);
    let goes = wal_that_goes(&newest, &facts).join(" ");
    assert_eq!(goes, "1:01 1:02 1:03 1:04 3:07");
    let plan = plan_delete(&newest, &facts).unwrap();
    let stays = plan.wal.iter().find(|run| run.goes.is_empty()).unwrap();
    assert_eq!(stays.fate, WalFate::TimelineOfGoing(id(1)));
}

#[test]
fn wal_stays_while_an_older_backup_is_kept_with_all_that_follows() {
    let wal = three_timelines();
    let wal: Vec<&str> = wal.iter().map(String::as_str).collect();
    let newest = request(Choice::Policy("REDUNDANCY 1".parse().unwrap()), 0);
    let backups = vec![done(2, 4, 4), done(2, 5, 5), done(2, 8, 8)];
    let mut facts = facts(backups, &wal);
    facts.kept.insert(id(0), KeepTarget::Full);
    assert!(wal_that_goes(&newest, &facts).is_empty());
    facts.kept.insert(id(0), KeepTarget::Standalone);
    let goes = wal_that_goes(&newest, &facts).join(" ");
    assert_eq!(goes, "1:01 1:02 1:03 1:04 2:03 2:05 2:06 2:07");
    // By name it takes none along: Barman looks past standalone backups by policy only.
    assert!(wal_that_goes(&delete(1), &facts).is_empty());
}

#[test]
fn when_no_backup_stays_the_wal_since_the_last_one_does() {
    let wal = ["000000010000000000000003", "000000010000000000000004"];
    let plan = plan_delete(&delete(0), &facts(vec![done(1, 4, 4)], &wal)).unwrap();
    let fates: Vec<WalFate> = plan.wal.iter().map(|run| run.fate).collect();
    assert_eq!(
        fates,
        [WalFate::OlderThanLast(id(0)), WalFate::NotOlderThan(id(0))]
    );
}

#[test]
fn segments_of_different_sizes_are_not_compared() {
    let small = BackupInfo {
        xlog_segment_size: crate::postgres::SegmentSize::new(1 << 20).unwrap(),
        ..done(1, 9, 9)
    };
    let facts = facts(vec![done(1, 4, 4), small], &["000000010000000000000001"]);
    let plan = plan_delete(&delete(0), &facts).unwrap();
    assert_eq!(plan.wal[0].fate, WalFate::MixedSizes);
}

#[test]
fn wal_stays_from_the_earliest_place_that_a_record_names() {
    let wal = ["000000010000000000000003", "000000010000000000000004"];
    let contradicting = BackupInfo {
        begin_xlog: Some("0/4000028".parse().unwrap()),
        ..done(1, 0x14, 0x14)
    };
    let facts = facts(vec![done(1, 2, 2), contradicting], &wal);
    let plan = plan_delete(&delete(0), &facts).unwrap();
    let fates: Vec<WalFate> = plan.wal.iter().map(|run| run.fate).collect();
    assert_eq!(fates, [WalFate::OlderThan(id(1)), WalFate::NeededBy(id(1))]);
    let said: Vec<String> = plan.notes.iter().map(Note::to_string).collect();
    assert_eq!(
        said,
        [
            "the record of backup 20261101T010000 contradicts itself: begin_wal, begin_xlog name \
             different segments; no WAL goes that any of them asks for"
        ]
    );
}

#[test]
fn a_backup_that_is_dead_goes_by_policy_and_lets_its_wal_go() {
    let wal: Vec<String> = (4..=9).map(|n| segment(1, n).to_string()).collect();
    let wal: Vec<&str> = wal.iter().map(String::as_str).collect();
    let dead = BackupInfo {
        status: BackupStatus::WaitingForWals,
        ..done(1, 2, 2)
    };
    let facts = facts(vec![dead, done(1, 8, 8)], &wal);
    let newest = request(Choice::Policy("REDUNDANCY 2".parse().unwrap()), 0);
    let plan = plan_delete(&newest, &facts).unwrap();
    assert_eq!(
        plan.notes,
        [Note::Useless(id(0), BackupStatus::WaitingForWals)]
    );
    let going: Vec<BackupId> = plan.going().map(|(id, _)| *id).collect();
    assert_eq!(going, [id(0)]);
    assert_eq!(
        wal_that_goes(&newest, &facts).join(" "),
        "1:04 1:05 1:06 1:07"
    );
}

#[test]
fn whoever_deletes_a_backup_that_is_started_is_told() {
    let started = BackupInfo {
        status: BackupStatus::Started,
        ..done(1, 4, 4)
    };
    let facts = facts(vec![done(1, 2, 2), started], &[]);
    let plan = plan_delete(&delete(1), &facts).unwrap();
    assert_eq!(plan.notes, [Note::MayBeGoingOn(id(1))]);
    assert!(plan_delete(&delete(0), &facts).unwrap().notes.is_empty());
}

#[test]
fn a_deletion_that_is_going_on_elsewhere_may_give_way_so_its_wal_stays() {
    let wal = ["000000010000000000000001", "000000010000000000000003"];
    let marked = mark(&done(1, 2, 2), "words", "another run");
    let facts = facts(vec![done(1, 1, 1), marked, done(1, 4, 4)], &wal);
    let plan = plan_delete(&delete(0), &facts).unwrap();
    let fates: Vec<WalFate> = plan.wal.iter().map(|run| run.fate).collect();
    assert_eq!(fates, [WalFate::OlderThan(id(2)), WalFate::NeededBy(id(1))]);
}

#[test]
fn a_clock_that_is_far_ahead_deletes_nothing_by_a_window() {
    let window = |days: u32| {
        let policy = format!("RECOVERY WINDOW OF {days} DAYS");
        request(Choice::Policy(policy.parse().unwrap()), 0)
    };
    let mut facts = facts(vec![done(1, 1, 1), done(1, 2, 2)], &[]);
    facts.newest_object = Some(time(0));
    let plan = |hours, days| {
        let request = DeletionRequest {
            now: time(hours),
            ..window(days)
        };
        plan_delete(&request, &facts).map(|plan| plan.notes)
    };
    assert_eq!(plan(48, 0), Ok(vec![]));
    let quiet = Ok(vec![Note::NothingSince { newest: time(0) }]);
    assert_eq!(plan(24 * 8, 7), quiet);
    assert_eq!(plan(24 * 8, 9), Ok(vec![]));
    assert_eq!(plan(24 * 366, 7), quiet);
    let refused = plan(24 * 367, 7).unwrap_err();
    assert!(
        matches!(refused, CannotDelete::ClockFarAhead { .. }),
        "{refused}"
    );
    assert_eq!(plan(24 * 367, 400), Ok(vec![]));
    let by_number = request(Choice::Policy("REDUNDANCY 1".parse().unwrap()), 0);
    let by_number = DeletionRequest {
        now: time(24 * 3_670),
        ..by_number
    };
    assert!(plan_delete(&by_number, &facts).is_ok());
}
