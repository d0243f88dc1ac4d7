//! Verdicts on small catalogues, worked out by hand from the rules.

use super::*;
use crate::backup::BackupInfo;
use crate::moment::Moment;

const NOW: &str = "2026-11-21T12:00:00Z";

/// One backup: the day of November 2026 on which it ended at noon, what it is, and the annotation.
struct Row(u32, BackupInfo, Option<KeepTarget>);

fn id(day: u32) -> BackupId {
    format!("202611{day:02}T120000").parse().unwrap()
}

fn done(day: u32) -> Row {
    let end: Timestamp = format!("2026-11-{day:02}T12:00:00Z").parse().unwrap();
    let info = BackupInfo {
        status: BackupStatus::Done,
        end_time: Some(Moment::from(end)),
        ..BackupInfo::default()
    };
    Row(day, info, None)
}

fn kept(day: u32, target: KeepTarget) -> Row {
    Row(day, done(day).1, Some(target))
}

fn with(day: u32, change: impl FnOnce(&mut BackupInfo)) -> Row {
    let mut row = done(day);
    change(&mut row.1);
    row
}

fn judged(policy: &str, minimum_redundancy: u32, rows: &[Row]) -> Vec<Verdict> {
    let ids: Vec<BackupId> = rows.iter().map(|row| id(row.0)).collect();
    let backups = rows.iter().zip(&ids).map(|(row, id)| Judged {
        id,
        info: &row.1,
        kept: row.2,
    });
    let rules = RetentionRules {
        policy: policy.parse().unwrap(),
        minimum_redundancy,
    };
    judge(&rules, &backups.collect::<Vec<_>>(), NOW.parse().unwrap())
}

fn words(policy: &str, minimum_redundancy: u32, rows: &[Row]) -> Vec<&'static str> {
    let verdicts = judged(policy, minimum_redundancy, rows);
    verdicts
        .iter()
        .map(|verdict| verdict.standing.word())
        .collect()
}

#[test]
fn redundancy_leaves_the_newest_complete_backups() {
    let failed = with(20, |info| info.status = BackupStatus::Failed);
    let rows = [done(10), done(12), done(14), failed];
    assert_eq!(
        words("REDUNDANCY 2", 0, &rows),
        ["OBSOLETE", "VALID", "VALID", "-"]
    );
    assert_eq!(
        words("REDUNDANCY 1", 3, &rows),
        ["VALID", "VALID", "VALID", "-"]
    );
    assert_eq!(
        words("REDUNDANCY 0", 0, &rows),
        ["OBSOLETE", "OBSOLETE", "OBSOLETE", "-"]
    );
}

#[test]
fn a_window_needs_the_newest_backup_before_its_beginning() {
    let rows = [done(1), done(5), done(12), done(16), done(20)];
    let week = "RECOVERY WINDOW OF 1 WEEKS";
    assert_eq!(
        words(week, 0, &rows),
        ["OBSOLETE", "OBSOLETE", "VALID", "VALID", "VALID"]
    );
    assert_eq!(
        words(week, 4, &rows),
        ["OBSOLETE", "OBSOLETE*", "VALID", "VALID", "VALID"]
    );
}

#[test]
fn a_backup_that_ended_when_the_window_begins_is_within_it() {
    let rows = [done(10), done(14)];
    assert_eq!(
        words("RECOVERY WINDOW OF 7 DAYS", 0, &rows),
        ["VALID", "VALID"]
    );
    assert_eq!(
        words("RECOVERY WINDOW OF 6 DAYS", 0, &rows),
        ["OBSOLETE", "VALID"]
    );
}

#[test]
fn kept_backups_count_and_are_never_obsolete() {
    let rows = [
        kept(1, KeepTarget::Standalone),
        done(10),
        kept(12, KeepTarget::Full),
    ];
    let expected = ["KEEP:STANDALONE", "OBSOLETE", "KEEP:FULL"];
    assert_eq!(words("REDUNDANCY 1", 0, &rows), expected);
}

#[test]
fn a_standalone_backup_does_not_cover_the_beginning_of_a_window() {
    let rows = [
        done(8),
        done(10),
        kept(12, KeepTarget::Standalone),
        done(18),
    ];
    let expected = ["OBSOLETE", "VALID", "KEEP:STANDALONE", "VALID"];
    assert_eq!(words("RECOVERY WINDOW OF 7 DAYS", 0, &rows), expected);
}

#[test]
fn a_backup_whose_end_is_unknown_is_not_old() {
    let rows = [done(1), with(2, |info| info.end_time = None), done(20)];
    assert_eq!(
        words("RECOVERY WINDOW OF 7 DAYS", 0, &rows),
        ["VALID", "VALID", "VALID"]
    );
}

#[test]
fn a_deletion_that_was_begun_is_obsolete_whatever_the_policy() {
    let half_gone = with(20, |info| {
        *info = crate::backup::mark::mark(info, "words", "a run")
    });
    let verdicts = judged("REDUNDANCY 9", 0, &[done(1), half_gone]);
    assert_eq!(verdicts[1].standing, Standing::Obsolete);
    assert_eq!(verdicts[1].reason, Reason::DeletionBegun);
    let kept = with(20, |info| {
        *info = crate::backup::mark::mark(info, "words", "a run")
    });
    let kept = Row(20, kept.1, Some(KeepTarget::Full));
    assert_eq!(
        words("REDUNDANCY 9", 0, &[done(1), kept]),
        ["VALID", "KEEP:FULL"]
    );
}

#[test]
fn a_backup_that_builds_on_another_shares_its_lot() {
    let child = |day, parent| with(day, |info| info.parent_backup_id = Some(id(parent)));
    let rows = [
        done(1),
        child(2, 1),
        child(3, 2),
        done(10),
        child(11, 10),
        child(12, 9),
    ];
    let expected = [
        "OBSOLETE", "OBSOLETE", "OBSOLETE", "OBSOLETE", "OBSOLETE", "VALID",
    ];
    assert_eq!(words("REDUNDANCY 1", 0, &rows), expected);
    let expected = [
        "OBSOLETE", "OBSOLETE", "OBSOLETE", "VALID", "VALID", "VALID",
    ];
    assert_eq!(words("REDUNDANCY 2", 0, &rows), expected);
}

#[test]
fn a_ring_of_parents_comes_to_an_end() {
    let rows = [
        with(1, |info| info.parent_backup_id = Some(id(2))),
        with(2, |info| info.parent_backup_id = Some(id(1))),
    ];
    assert_eq!(words("REDUNDANCY 1", 0, &rows).len(), 2);
}

#[test]
fn every_verdict_says_why() {
    let rows = [
        done(1),
        done(12),
        with(15, |info| info.status = BackupStatus::Started),
        done(20),
    ];
    let said = judged("RECOVERY WINDOW OF 7 DAYS", 0, &rows);
    let said: Vec<String> = said
        .iter()
        .map(|verdict| verdict.reason.to_string())
        .collect();
    assert_eq!(
        said,
        [
            "a newer backup covers the window, which begins 2026-11-14T12:00:00Z",
            "the beginning of the window, 2026-11-14T12:00:00Z, needs it",
            "its status is STARTED, not DONE",
            "it ended within the window, which begins 2026-11-14T12:00:00Z",
        ]
    );
}

#[test]
fn what_nobody_can_restore_is_swept_once_a_newer_backup_is_complete() {
    use BackupStatus::{Empty, Failed, Started, WaitingForWals};
    let of = |day, status| with(day, |info| info.status = status);
    // Now is noon of the 21st.
    let rows = [
        of(1, Failed),
        of(2, WaitingForWals),
        of(3, Started),
        of(4, Empty),
        kept(5, KeepTarget::Full),
        of(16, Started),
        with(20, |info| {
            info.status = WaitingForWals;
            info.end_time = Some(Moment::from(
                "2026-11-20T12:00:01Z".parse::<Timestamp>().unwrap(),
            ));
        }),
    ];
    let expected = [
        "OBSOLETE",
        "OBSOLETE",
        "OBSOLETE",
        "OBSOLETE",
        "KEEP:FULL",
        "-",
        "-",
    ];
    assert_eq!(words("REDUNDANCY 9", 0, &rows), expected);
    let alone = [of(1, Failed), of(2, WaitingForWals), of(3, Started)];
    assert_eq!(words("REDUNDANCY 9", 0, &alone), ["-", "-", "-"]);
    let before = [done(1), of(2, Failed), of(3, WaitingForWals)];
    assert_eq!(words("REDUNDANCY 9", 0, &before), ["VALID", "-", "-"]);
    let with_annotation = [Row(1, of(1, Failed).1, Some(KeepTarget::Full)), done(2)];
    assert_eq!(words("REDUNDANCY 9", 0, &with_annotation), ["-", "VALID"]);
    let verdicts = judged("REDUNDANCY 9", 0, &[of(1, Failed), done(2)]);
    assert_eq!(
        verdicts[0].reason.to_string(),
        "its status is FAILED, nobody can restore it, and backup 20261102T120000 is newer"
    );
}

#[test]
fn the_newest_is_the_one_that_ended_last_in_the_wal_whatever_the_clock_said() {
    let at = |day, lsn, end: &str| {
        with(day, |info| {
            info.timeline = Some(crate::wal::timeline::TimelineId::new(1));
            info.end_xlog = Some(crate::wal::lsn::Lsn::new(lsn));
            info.end_time = Some(Moment::from(end.parse::<Timestamp>().unwrap()));
        })
    };
    // The clock was ahead for a day, and was set back.
    let rows = [
        at(3, 300, "2026-11-03T12:00:00Z"),
        at(4, 400, "2026-11-04T12:00:00Z"),
        at(20, 200, "2040-11-20T12:00:00Z"),
    ];
    assert_eq!(
        words("REDUNDANCY 2", 0, &rows),
        ["VALID", "VALID", "OBSOLETE"]
    );
}

#[test]
fn a_new_system_under_an_old_name_does_not_make_the_old_one_s_backups_obsolete() {
    let of = |day, system: &str| with(day, |info| info.systemid = Some(system.parse().unwrap()));
    let rows = [
        done(1),
        of(2, "7000000000000000001"),
        of(3, "7000000000000000001"),
        of(4, "7000000000000000002"),
        of(5, "7000000000000000002"),
    ];
    let expected = ["OBSOLETE", "OBSOLETE", "VALID", "OBSOLETE", "VALID"];
    assert_eq!(words("REDUNDANCY 1", 0, &rows), expected);
    // The window begins on the 20th: each system's newest leads to its first moment.
    assert_eq!(words("RECOVERY WINDOW OF 1 DAYS", 0, &rows), expected);
}
