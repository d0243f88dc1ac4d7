//! Plans worked out by hand, and random histories of an archive that is cleaned up again and again
//! and interrupted at any point.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::moment::Moment;
use crate::wal::name::SegmentName;
use crate::wal::timeline::TimelineId;

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
         WAL 000000010000000000000001 goes (1 file): older than backup 20261101T000000, where the \
         oldest need begins\n\
         WAL 000000010000000000000002 to 000000010000000000000008.partial stays (6 files): backup \
         20261101T000000 needs it\n\
         WAL 00000002.history stays (1 file): timeline histories are never deleted\n\
         WAL 000000020000000000000008 stays (1 file): backup 20261101T000000 needs it\n\
         WAL 000000030000000000000001 stays (1 file): it is not older than backup \
         20261101T000000\n"
    );
    facts.kept.insert(id(0), KeepTarget::Standalone);
    let policy = Choice::Policy("REDUNDANCY 1".parse().unwrap());
    let plan = plan_delete(&request(policy, 0), &facts).unwrap();
    assert_eq!(
        plan.to_string(),
        "backup 20261101T000000 stays: it is kept (standalone)\n\
         backup 20261101T010000 goes (3 objects): a newer complete backup suffices\n\
         backup 20261101T020000 stays: number 1 of the newest 1 complete backups\n\
         WAL 000000010000000000000001 goes (1 file): older than backup 20261101T020000, where the \
         oldest need begins\n\
         WAL 000000010000000000000002 to 000000010000000000000003 stays (3 files): standalone \
         backup 20261101T000000 needs it\n\
         WAL 000000010000000000000004 to 000000010000000000000008.partial goes (3 files): older \
         than backup 20261101T020000, where the oldest need begins\n\
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
    let lsn = Some("0/5000028".parse().unwrap());
    for (begin, fate) in [
        (lsn, WalFate::NotOlderThan(id(1))),
        (None, WalFate::UnknownBegin(id(1))),
    ] {
        let facts = facts(vec![done(1, 4, 4), going_on(begin)], &wal);
        let plan = plan_delete(&delete(0), &facts).unwrap();
        assert_eq!(plan.wal[0].fate, fate);
        assert!(plan.wal.iter().all(|run| run.goes.is_empty()));
    }
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

/// What happens to an archive.
#[derive(Debug, Clone)]
enum Event {
    /// The server archives so many segments.
    Archive(u32),
    /// A backup is taken, over so many segments; the archive gets a label.
    Backup { segments: u32, status: BackupStatus },
    /// A standby takes over.
    Promote,
    /// One of the backups is kept, or released.
    Keep(prop::sample::Index, Option<KeepTarget>),
    /// A deletion, interrupted after so many effects.
    Delete(prop::sample::Index, u32, usize),
    /// Retention, interrupted after so many effects.
    Retain(Policy, u32, usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let status = prop_oneof![
        6 => Just(BackupStatus::Done),
        1 => Just(BackupStatus::Failed),
        1 => Just(BackupStatus::Started),
    ];
    let keep = prop_oneof![
        Just(None),
        Just(Some(KeepTarget::Full)),
        Just(Some(KeepTarget::Standalone))
    ];
    let policy = prop_oneof!["REDUNDANCY [0-4]", "RECOVERY WINDOW OF [0-2] DAYS"];
    let policy = policy.prop_map(|text| text.parse().unwrap());
    let effects = prop_oneof![0_usize..40, Just(usize::MAX)];
    let index = any::<prop::sample::Index>;
    let event = prop_oneof![
        4 => (1_u32..5).prop_map(Event::Archive),
        4 => (0_u32..3, status).prop_map(|(segments, status)| Event::Backup { segments, status }),
        1 => Just(Event::Promote),
        2 => (index(), keep).prop_map(|(which, target)| Event::Keep(which, target)),
        2 => (index(), 0_u32..3, effects.clone())
            .prop_map(|(which, minimum, effects)| Event::Delete(which, minimum, effects)),
        2 => (policy, 0_u32..3, effects)
            .prop_map(|(policy, minimum, effects)| Event::Retain(policy, minimum, effects)),
    ];
    prop::collection::vec(event, 1..40)
}

/// A bucket, and what was ever archived to it.
struct World {
    facts: Facts,
    archived: BTreeSet<WalName>,
    timeline: u32,
    position: u32,
    hours: usize,
}

impl World {
    fn new() -> World {
        World {
            facts: Facts::default(),
            archived: BTreeSet::new(),
            timeline: 1,
            position: 1,
            hours: 0,
        }
    }

    fn store(&mut self, name: WalName) {
        self.archived.insert(name);
        self.facts.wal.push((name, Codec::None));
    }

    fn archive(&mut self, count: u32) {
        for _ in 0..count {
            self.store(WalName::Segment(segment(self.timeline, self.position)));
            self.position += 1;
        }
    }

    fn take(&mut self, segments: u32, status: BackupStatus) {
        let (begin, end) = (self.position, self.position + segments);
        self.archive(segments + 1);
        let label = segment(self.timeline, begin);
        self.store(WalName::BackupLabel {
            segment: label,
            offset: 40,
        });
        let info = BackupInfo {
            status,
            end_time: Some(Moment::from(time(self.hours))),
            ..done(self.timeline, begin, end)
        };
        let id = id(self.hours);
        self.facts.backups.insert(id, info.into());
        let objects = ["backup.info", "data.tar", "data_0001.tar"].map(str::to_owned);
        self.facts.objects.insert(id, objects.to_vec());
    }

    fn promote(&mut self) {
        self.store(WalName::Partial(segment(self.timeline, self.position)));
        self.timeline += 1;
        self.store(WalName::History(TimelineId::new(self.timeline)));
    }

    fn chosen(&self, which: &prop::sample::Index) -> Option<BackupId> {
        let ids: Vec<BackupId> = self.facts.backups.iter().map(|(id, _)| *id).collect();
        (!ids.is_empty()).then(|| *which.get(&ids))
    }

    fn keep(&mut self, id: BackupId, target: Option<KeepTarget>) {
        let objects = self.facts.objects.get_mut(&id).unwrap();
        objects.retain(|name| name != "annotations/keep");
        self.facts.kept.remove(&id);
        if let Some(target) = target.filter(|_| self.done().contains_key(&id)) {
            self.facts.kept.insert(id, target);
            let objects = self.facts.objects.get_mut(&id).unwrap();
            objects.push("annotations/keep".to_owned());
        }
    }

    fn done(&self) -> BTreeMap<BackupId, BackupInfo> {
        let all = self.facts.backups.readable();
        let done = all.filter(|(_, info)| info.status == BackupStatus::Done);
        done.map(|(id, info)| (*id, info.clone())).collect()
    }

    /// Carries out the first effects of a plan, and checks the world after each.
    fn execute(&mut self, plan: &DeletionPlan, effects: usize) -> Result<(), TestCaseError> {
        let marks = plan.going().map(|(id, going)| (*id, mark(&going.record)));
        let marks: Vec<_> = marks.collect();
        let targets: Vec<_> = plan.groups().into_iter().flatten().collect();
        let for_marks = effects.min(marks.len());
        for (id, record) in marks.into_iter().take(for_marks) {
            self.facts.backups.insert(id, record.into());
            self.check()?;
        }
        for target in targets.into_iter().take(effects - for_marks) {
            self.delete(target);
            self.check()?;
        }
        Ok(())
    }

    fn delete(&mut self, target: Target) {
        match target {
            Target::Wal(name, codec) => self.facts.wal.retain(|file| *file != (name, codec)),
            Target::Object(id, name) => {
                if name == "annotations/keep" {
                    self.facts.kept.remove(&id);
                }
                if name == "backup.info" {
                    let all = std::mem::take(&mut self.facts.backups);
                    let others = all.iter().filter(|(other, _)| **other != id);
                    self.facts.backups = others.map(|(id, e)| (*id, e.clone())).collect();
                }
                let objects = self.facts.objects.get_mut(&id).unwrap();
                objects.retain(|other| *other != name);
            }
        }
    }

    /// Every backup that says DONE has its data and the WAL to every point that it promises.
    fn check(&self) -> Result<(), TestCaseError> {
        let there: BTreeSet<WalName> = self.facts.wal.iter().map(|(name, _)| *name).collect();
        for (id, info) in self.done() {
            let objects = &self.facts.objects[&id];
            prop_assert!(objects.contains(&"data.tar".to_owned()), "data of {id}");
            prop_assert!(
                objects.contains(&"data_0001.tar".to_owned()),
                "data of {id}"
            );
            let begin: SegmentName = info.begin_wal.unwrap().parse().unwrap();
            let end: SegmentName = info.end_wal.unwrap().parse().unwrap();
            let size = info.xlog_segment_size;
            let is_standalone = self.facts.kept.get(&id) == Some(&KeepTarget::Standalone);
            let needed = self.archived.iter().filter(|name| match name.segment() {
                None => true,
                Some(wal) if is_standalone => begin <= wal && wal <= end,
                Some(wal) => {
                    let is_later = wal.number(size) >= begin.number(size);
                    is_later && wal.timeline() >= begin.timeline()
                }
            });
            for name in needed {
                prop_assert!(there.contains(name), "{id} needs {name}");
            }
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) -> Result<(), TestCaseError> {
        self.hours += 1;
        match event {
            Event::Archive(count) => self.archive(count),
            Event::Backup { segments, status } => self.take(segments, status),
            Event::Promote => self.promote(),
            Event::Keep(which, target) => {
                if let Some(id) = self.chosen(&which) {
                    // A released standalone backup promises no more than it did.
                    let was = self.facts.kept.get(&id);
                    if was != Some(&KeepTarget::Standalone) {
                        self.keep(id, target);
                    }
                }
            }
            Event::Delete(which, minimum, effects) => {
                if let Some(id) = self.chosen(&which) {
                    self.delete_by(Choice::Backup(id), minimum, effects)?;
                }
            }
            Event::Retain(policy, minimum, effects) => {
                self.delete_by(Choice::Policy(policy), minimum, effects)?;
            }
        }
        self.check()
    }

    fn delete_by(
        &mut self,
        choice: Choice,
        minimum: u32,
        effects: usize,
    ) -> Result<(), TestCaseError> {
        let request = DeletionRequest {
            now: time(self.hours),
            ..request(choice, minimum)
        };
        let before = self.done();
        let Ok(plan) = plan_delete(&request, &self.facts) else {
            return Ok(());
        };
        self.execute(&plan, effects)?;
        let after = self.done();
        let promised = before.len().min(minimum as usize);
        prop_assert!(after.len() >= promised, "the minimum redundancy");
        match choice {
            Choice::Policy(Policy::Redundancy(wanted)) => {
                prop_assert!(after.len() >= before.len().min(wanted as usize));
            }
            Choice::Policy(Policy::RecoveryWindow(window)) => {
                self.check_window(window.begin(request.now), &before, &after)?;
            }
            Choice::Backup(_) => {}
        }
        self.check_second_run(&request)
    }

    /// What could lead to the window's first moment before still can.
    fn check_window(
        &self,
        since: Timestamp,
        before: &BTreeMap<BackupId, BackupInfo>,
        after: &BTreeMap<BackupId, BackupInfo>,
    ) -> Result<(), TestCaseError> {
        let leads_there = |(id, info): (&BackupId, &BackupInfo)| {
            let is_standalone = self.facts.kept.get(id) == Some(&KeepTarget::Standalone);
            !is_standalone && info.end_time.unwrap().timestamp() < since
        };
        let could = before.iter().any(leads_there);
        prop_assert!(
            !could || after.iter().any(leads_there),
            "the window's first moment"
        );
        Ok(())
    }

    /// Run again without an interruption, nothing marked is left and nothing more is to do.
    fn check_second_run(&mut self, request: &DeletionRequest) -> Result<(), TestCaseError> {
        for _ in 0..2 {
            if let Ok(plan) = plan_delete(request, &self.facts) {
                self.execute(&plan, usize::MAX)?;
            }
        }
        if let (Choice::Policy(_), Ok(plan)) = (request.choice, plan_delete(request, &self.facts)) {
            prop_assert!(plan.going().next().is_none());
            let mut left = self.facts.backups.readable();
            prop_assert!(!left.any(|(_, info)| is_being_deleted(info)));
        }
        if let Choice::Backup(id) = request.choice {
            let left = self.facts.objects.get(&id).is_none_or(Vec::is_empty);
            let is_left = self.facts.backups.get(&id).is_some();
            prop_assert!(is_left || left, "leftovers of {id}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_backup_that_is_listed_can_be_restored_to_all_it_promises(events in events()) {
        let mut world = World::new();
        for event in events {
            world.apply(event)?;
        }
    }
}
