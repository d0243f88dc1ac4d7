//! Deleting backups: what goes, what stays, and in which order.
//!
//! [`plan_delete`] is pure; the engine gathers the facts and carries the plan out, and a dry run
//! prints it. What a policy needs is judged in [`crate::retention`]; which WAL is left over is in
//! `wal`.
//!
//! # The order
//!
//! 1. Every record of a backup that goes is marked: FAILED, with [`BEING_DELETED`] as its error.
//! 2. Archives and whatever else lies in the backups' folders.
//! 3. WAL that no remaining backup needs, oldest first.
//! 4. Annotations.
//! 5. The records.
//!
//! Always true: after any part of this, each record that says DONE has all its objects and all the
//! WAL it needs, and the marks that are left lead the next run, by id or by policy, to the rest.

mod begin;
mod catalogue;
mod notes;
mod render;
mod wal;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::backup::catalogue::{Catalogue, Entry};
use crate::backup::id::BackupId;
use crate::backup::{BackupInfo, BackupStatus};
use crate::codec::Codec;
use crate::keep::KeepTarget;
use crate::retention::{Policy, Reason};
use crate::wal::name::WalName;

pub use notes::Note;
pub use wal::{WalFate, WalRun};

/// How the error of a record begins whose backup is being deleted.
pub const BEING_DELETED: &str =
    "being deleted: barman-cloud-backup-delete finishes it when it is run again";

/// What is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionRequest {
    /// Which backups.
    pub choice: Choice,
    /// So many complete backups stay.
    pub minimum_redundancy: u32,
    /// The time by which a recovery window is measured.
    pub now: Timestamp,
}

/// How the backups to delete are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Backup(BackupId),
    /// Those that the policy does not need.
    Policy(Policy),
}

/// What is in the bucket.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Every record.
    pub backups: Catalogue,
    /// Every annotation that keeps a backup.
    pub kept: BTreeMap<BackupId, KeepTarget>,
    /// Annotations that could not be understood, and why.
    pub unreadable_keeps: BTreeMap<BackupId, String>,
    /// For each backup the rest of the keys below its folder.
    pub objects: BTreeMap<BackupId, Vec<String>>,
    /// Every WAL file, in any order.
    pub wal: Vec<(WalName, Codec)>,
    /// When the newest object was stored, by the store's clock.
    pub newest_object: Option<Timestamp>,
}

/// What goes and what stays, each with its reason.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletionPlan {
    /// What whoever deletes should know.
    pub notes: Vec<Note>,
    /// Every backup, in the order in which they happened.
    pub backups: Vec<BackupFate>,
    /// All WAL, in runs of the same fate.
    pub wal: Vec<WalRun>,
}

/// What becomes of a backup.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupFate {
    /// Which one.
    pub id: BackupId,
    /// Why.
    pub reason: Why,
    /// What there is to delete, if it goes.
    pub goes: Option<Going>,
}

/// Why a backup goes or stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is the one that was named.
    AskedFor,
    /// It is not the one that was named.
    NotAskedFor,
    /// The policy says so.
    Policy(Reason),
    /// It may go, but one that stays builds on it.
    NeededBy(BackupId),
}

/// A backup that goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Going {
    /// Its record as it is.
    pub record: Box<BackupInfo>,
    /// The objects below its folder, but neither annotations nor record.
    pub data: Vec<String>,
    /// The annotations below its folder.
    pub annotations: Vec<String>,
}

/// One object to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An object of a backup: the rest of its key below the backup's folder.
    Object(BackupId, String),
    /// A WAL file.
    Wal(WalName, Codec),
}

/// Why nothing may be deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotDelete {
    /// What an unreadable backup needs is not known.
    #[error("nothing is deleted, for the record of backup {id} cannot be read: {reason}")]
    UnreadableRecord { id: BackupId, reason: String },
    /// So it is not known either whether a backup is kept.
    #[error("nothing is deleted, for it is unclear whether backup {id} is kept: {reason}")]
    UnreadableKeep { id: BackupId, reason: String },
    /// No such backup.
    #[error("backup {id} does not exist")]
    Unknown { id: BackupId },
    /// It must be released first.
    #[error("backup {id} is not deleted: it is kept ({target})")]
    Kept { id: BackupId, target: KeepTarget },
    /// Too few would be left.
    #[error(
        "backup {id} is not deleted: there are {count} complete backups, and {minimum} must stay"
    )]
    MinimumRedundancy {
        id: BackupId,
        count: usize,
        minimum: u32,
    },
    /// Another backup could not be restored without it.
    #[error("backup {id} is not deleted: backup {child} builds on it")]
    HasChild { id: BackupId, child: BackupId },
    /// The clock, not the policy, would decide.
    #[error(
        "nothing is deleted: by the clock it is {now:.0}, but the newest backup and WAL are of \
         {newest:.0}"
    )]
    ClockFarAhead { now: Timestamp, newest: Timestamp },
    /// Disk snapshots would be left behind.
    #[error("backup {id} is not deleted: deleting disk snapshots is not there yet")]
    Snapshots { id: BackupId },
}

/// Whether a deletion of the backup was begun.
pub fn is_being_deleted(info: &BackupInfo) -> bool {
    let marked = |error: &String| error.starts_with(BEING_DELETED);
    info.status == BackupStatus::Failed && info.error.as_ref().is_some_and(marked)
}

/// The record that says that the backup is being deleted, and by which run: two runs that mean the
/// same backup can tell their marks apart.
pub fn mark(info: &BackupInfo, run: &str) -> BackupInfo {
    BackupInfo {
        status: BackupStatus::Failed,
        error: Some(format!("{BEING_DELETED} ({run})")),
        ..info.clone()
    }
}

/// Plans a deletion.
///
/// # Errors
/// When anything in the catalogue is unclear, or what was asked for must not be done.
pub fn plan_delete(request: &DeletionRequest, facts: &Facts) -> Result<DeletionPlan, CannotDelete> {
    refuse_unclear(facts)?;
    let mut notes = notes::of_clock(request, facts)?;
    let mut fates = catalogue::choose(request, facts)?;
    let order = Order::of(&facts.backups);
    fates.sort_by_key(|fate| order.position(&fate.id));
    let (going, staying): (Vec<_>, Vec<_>) = fates.iter().partition(|fate| fate.goes);
    notes.extend(notes::of_records(request, facts, &ids(&going)));
    let chosen = wal::Chosen {
        choice: &request.choice,
        order: &order,
        staying: &ids(&staying),
        going: &ids(&going),
    };
    let needs = wal::Needs::gather(facts, &chosen);
    let backups = fates.iter().map(|fate| BackupFate {
        id: fate.id,
        reason: fate.reason.clone(),
        goes: fate.goes.then(|| going_of(facts, &fate.id)),
    });
    let backups: Vec<BackupFate> = backups.collect();
    let snapshots = backups.iter().find(|fate| has_snapshots(fate));
    match snapshots {
        Some(fate) => Err(CannotDelete::Snapshots { id: fate.id }),
        None => Ok(DeletionPlan {
            notes,
            wal: match going.is_empty() {
                true => Vec::new(),
                false => needs.judge_all(&facts.wal),
            },
            backups,
        }),
    }
}

/// The places of backups in the order in which they happened.
#[derive(Debug)]
struct Order(BTreeMap<BackupId, usize>);

impl Order {
    fn of(backups: &Catalogue) -> Order {
        let in_order = backups.in_order();
        let places = in_order.iter().enumerate();
        Order(places.map(|(place, (id, _))| (**id, place)).collect())
    }

    fn position(&self, id: &BackupId) -> usize {
        self.0.get(id).copied().unwrap_or(usize::MAX)
    }

    fn is_before(&self, one: &BackupId, other: &BackupId) -> bool {
        self.position(one) < self.position(other)
    }
}

fn ids(fates: &[&catalogue::Chosen]) -> Vec<BackupId> {
    fates.iter().map(|fate| fate.id).collect()
}

fn refuse_unclear(facts: &Facts) -> Result<(), CannotDelete> {
    if let Some((id, reason)) = facts.backups.unreadable().next() {
        let (id, reason) = (*id, reason.to_owned());
        return Err(CannotDelete::UnreadableRecord { id, reason });
    }
    match facts.unreadable_keeps.first_key_value() {
        Some((id, reason)) => Err(CannotDelete::UnreadableKeep {
            id: *id,
            reason: reason.clone(),
        }),
        None => Ok(()),
    }
}

fn has_snapshots(fate: &BackupFate) -> bool {
    let going = fate.goes.as_ref();
    going.is_some_and(|going| going.record.snapshots_info.is_some())
}

fn going_of(facts: &Facts, id: &BackupId) -> Going {
    let record = match facts.backups.get(id) {
        Some(Entry::Readable(info)) => info.clone(),
        _ => Box::default(),
    };
    let names = facts.objects.get(id).into_iter().flatten();
    let names = names.filter(|name| *name != RECORD).cloned();
    let (annotations, data) = names.partition(|name| name.starts_with("annotations/"));
    Going {
        record,
        data,
        annotations,
    }
}

/// The name of the record in a backup's folder.
const RECORD: &str = "backup.info";

impl DeletionPlan {
    /// The backups that go, in the order in which they happened.
    pub fn going(&self) -> impl Iterator<Item = (&BackupId, &Going)> {
        let fates = self.backups.iter();
        fates.filter_map(|fate| Some((&fate.id, fate.goes.as_ref()?)))
    }

    /// Backups that say STARTED though a later one is DONE, and how many WAL files stay only
    /// because such a backup may still be going on.
    pub fn held(&self) -> BTreeMap<BackupId, usize> {
        let mut held = BTreeMap::new();
        for run in &self.wal {
            if let WalFate::HeldBy(id) = run.fate {
                *held.entry(id).or_default() += run.count;
            }
        }
        held
    }

    /// What to delete once every record is marked: the next group only when the one before it is
    /// gone.
    pub fn groups(&self) -> [Vec<Target>; 4] {
        let objects = |names: fn(&Going) -> Vec<String>| -> Vec<Target> {
            self.going()
                .flat_map(|(id, going)| {
                    let names = names(going).into_iter();
                    names.map(|name| Target::Object(*id, name))
                })
                .collect()
        };
        let wal = self.wal.iter().flat_map(|run| &run.goes);
        [
            objects(|going| going.data.clone()),
            wal.map(|(name, codec)| Target::Wal(*name, *codec))
                .collect(),
            objects(|going| going.annotations.clone()),
            objects(|_| vec![RECORD.to_owned()]),
        ]
    }
}

#[cfg(test)]
mod tests;
