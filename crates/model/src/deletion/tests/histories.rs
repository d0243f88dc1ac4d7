//! Random histories of an archive that is cleaned up again and again, interrupted at any point.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;

use super::{done, id, request, segment, time};
use crate::backup::catalogue::Entry;
use crate::backup::id::BackupId;
use crate::backup::mark::{is_being_deleted, mark};
use crate::backup::{BackupInfo, BackupStatus};
use crate::codec::Codec;
use crate::deletion::*;
use crate::keep::KeepTarget;
use crate::moment::Moment;
use crate::retention::Policy;
use crate::wal::name::SegmentName;
use crate::wal::name::WalName;
use crate::wal::timeline::TimelineId;

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
        let marks = plan
            .going()
            .map(|(id, going)| (*id, mark(&going.record, "words", "a run")));
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

    #[test]
    fn what_cannot_be_read_stops_every_deletion(
        events in events(),
        which in any::<prop::sample::Index>(),
        is_record in any::<bool>(),
        text in "REDUNDANCY [0-4]|RECOVERY WINDOW OF [0-2] DAYS",
    ) {
        let mut world = World::new();
        for event in events {
            world.apply(event)?;
        }
        let Some(spoilt) = world.chosen(&which) else {
            return Ok(());
        };
        let reason = "on purpose".to_owned();
        if is_record { world.facts.backups.insert(spoilt, Entry::Unreadable { reason }) } else {
                world.facts.unreadable_keeps.insert(spoilt, reason);
            }
        let ids = world.facts.backups.iter().map(|(id, _)| Choice::Backup(*id));
        for choice in ids.chain([Choice::Policy(text.parse().unwrap())]) {
            let refused = match plan_delete(&request(choice, 0), &world.facts) {
                Err(CannotDelete::UnreadableRecord { id, .. }) => is_record && id == spoilt,
                Err(CannotDelete::UnreadableKeep { id, .. }) => !is_record && id == spoilt,
                _ => false,
            };
            prop_assert!(refused, "{choice:?}");
        }
    }
}
