//! Which backups go: the one that was named, or those that a policy does not need.
//!
//! Always true: nothing goes that a backup that stays builds on.

use super::request::{CannotDelete, Choice, DeletionRequest, Facts};
use crate::backup::catalogue::Entry;
use crate::backup::id::BackupId;
use crate::backup::mark::is_being_deleted;
use crate::backup::{BackupInfo, BackupStatus};
use crate::retention::judge;
use crate::retention::verdict::{Judged, Reason, RetentionRules, Standing};

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

/// A backup and whether it goes.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) id: BackupId,
    pub(super) goes: bool,
    pub(super) reason: Why,
}

/// The fate of every backup, oldest first.
pub(super) fn choose(
    request: &DeletionRequest,
    facts: &Facts,
) -> Result<Vec<Chosen>, CannotDelete> {
    match request.choice {
        Choice::Backup(id) => by_id(&id, request.minimum_redundancy, facts),
        Choice::Policy(policy) => {
            let rules = RetentionRules {
                policy,
                minimum_redundancy: request.minimum_redundancy,
            };
            Ok(by_policy(&rules, request, facts))
        }
    }
}

fn by_id(id: &BackupId, minimum: u32, facts: &Facts) -> Result<Vec<Chosen>, CannotDelete> {
    let id = *id;
    let Some(Entry::Readable(info)) = facts.backups.get(&id) else {
        return Err(CannotDelete::Unknown { id });
    };
    if let Some(target) = facts.kept.get(&id).copied() {
        return Err(CannotDelete::Kept { id, target });
    }
    let mut children = facts
        .backups
        .readable()
        .filter(|(_, other)| is_child(other, &id));
    if let Some((child, _)) = children.next() {
        return Err(CannotDelete::HasChild { id, child: *child });
    }
    let complete = facts.backups.readable().filter(|(_, info)| counts(info));
    let count = complete.count();
    if counts(info) && u64::from(minimum) >= count as u64 {
        return Err(CannotDelete::MinimumRedundancy { id, count, minimum });
    }
    let chosen = facts.backups.readable().map(|(other, _)| Chosen {
        id: *other,
        goes: *other == id,
        reason: if *other == id {
            Why::AskedFor
        } else {
            Why::NotAskedFor
        },
    });
    Ok(chosen.collect())
}

fn is_child(info: &BackupInfo, parent: &BackupId) -> bool {
    info.parent_backup_id.as_ref() == Some(parent) && !is_being_deleted(info)
}

/// Whether a backup counts for the minimum redundancy.
fn counts(info: &BackupInfo) -> bool {
    info.status == BackupStatus::Done && info.parent_backup_id.is_none()
}

fn by_policy(rules: &RetentionRules, request: &DeletionRequest, facts: &Facts) -> Vec<Chosen> {
    let judged: Vec<Judged<'_>> = facts
        .backups
        .readable()
        .map(|(id, info)| Judged {
            id,
            info,
            kept: facts.kept.get(id).copied(),
        })
        .collect();
    let verdicts = judge(rules, &judged, request.now);
    let mut chosen: Vec<Chosen> = verdicts
        .into_iter()
        .map(|verdict| Chosen {
            id: verdict.id,
            goes: verdict.standing == Standing::Obsolete,
            reason: Why::Policy(verdict.reason),
        })
        .collect();
    // Newest first: a child is newer than its parent, so one pass reaches the whole chain.
    for at in (0..chosen.len()).rev() {
        let parent = judged[at].info.parent_backup_id;
        let child = chosen[at].id;
        if chosen[at].goes || is_being_deleted(judged[at].info) {
            continue;
        }
        let parent = chosen[..at]
            .iter_mut()
            .find(|other| Some(other.id) == parent);
        if let Some(parent) = parent.filter(|parent| parent.goes) {
            parent.goes = false;
            parent.reason = Why::NeededBy(child);
        }
    }
    chosen
}
