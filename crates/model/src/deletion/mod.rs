//! Deleting backups: what goes, what stays, and in which order.
//!
//! [`plan_delete`] is pure; the engine gathers the facts and carries the plan out, and a dry run
//! prints it. What a policy needs is judged in [`crate::retention`]; which WAL is left over is in
//! `wal`.
//!
//! # The order
//!
//! 1. Every record of a backup that goes is marked ([`crate::backup::mark`]).
//! 2. Archives and whatever else lies in the backups' folders.
//! 3. WAL that no remaining backup needs, oldest first.
//! 4. Annotations.
//! 5. The records.
//!
//! Always true: after any part of this, each record that says DONE has all its objects and all the
//! WAL it needs, and the marks that are left lead the next run, by id or by policy, to the rest.

mod begin;
mod choose;
mod notes;
mod order;
mod plan;
mod render;
mod request;
mod wal;

use crate::backup::catalogue::Entry;
use crate::backup::id::BackupId;
use crate::layout::Part;
use order::Happened;

pub use choose::Why;
pub use notes::Note;
pub use plan::{BackupFate, DeletionPlan, Going, Target};
pub use request::{CannotDelete, Choice, DeletionRequest, Facts};
pub use wal::{WalFate, WalRun};

/// Plans a deletion.
///
/// # Errors
/// When anything in the catalogue is unclear, or what was asked for must not be done.
pub fn plan_delete(request: &DeletionRequest, facts: &Facts) -> Result<DeletionPlan, CannotDelete> {
    refuse_unclear(facts)?;
    let mut notes = notes::of_clock(request, facts)?;
    let mut fates = choose::choose(request, facts)?;
    let order = Happened::of(&facts.backups);
    fates.sort_by_key(|fate| order.position(&fate.id));
    let (going, staying): (Vec<_>, Vec<_>) = fates.iter().partition(|fate| fate.goes);
    notes.extend(notes::of_records(request, facts, &ids(&going)));
    let chosen = wal::Decided {
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
            wal: if going.is_empty() {
                Vec::new()
            } else {
                needs.judge_all(&facts.wal)
            },
            backups,
        }),
    }
}

fn ids(fates: &[&choose::Chosen]) -> Vec<BackupId> {
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
    let names = names.filter(|name| Part::of(name) != Part::Record).cloned();
    let (annotations, data) = names.partition(|name| Part::of(name).is_annotation());
    Going {
        record,
        data,
        annotations,
    }
}

#[cfg(test)]
mod tests;
