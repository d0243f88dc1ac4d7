//! Retention: which backups a policy still needs, and why.
//!
//! [`judge`] is a pure function of the policy, the backups and the time; what follows from its
//! verdicts is planned in [`crate::deletion`]. The rules are those of Barman's documentation
//! ("Retention policies"). What can never be restored is swept once a complete backup is newer
//! (`sweep`). Always true: there is exactly one verdict for every backup, a backup that is not DONE
//! counts for nothing, a kept one is never obsolete, and backups of one system are not given up for
//! those of another.

mod policy;
mod sweep;
pub(crate) mod verdict;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::backup::id::BackupId;
use crate::backup::mark::is_being_deleted;
use crate::backup::{BackupStatus, order};
use crate::keep::KeepTarget;
use crate::postgres::SystemId;
use sweep::Sweep;
use verdict::verdict;

pub use policy::{BadPolicy, Policy, Window, WindowUnit};
pub use verdict::{Judged, Reason, RetentionRules, Standing, Verdict};

/// Judges all backups of a server; the result is in the order of their ids.
///
/// Going from the newest to the oldest, REDUNDANCY n leaves the first n complete backups valid; a
/// recovery window leaves those that ended within it valid, and the newest one before it, without
/// which its first moment could not be restored. Kept backups count like others. A backup that
/// builds on another shares that one's lot. Each system's backups are judged by themselves: a
/// server that was set up anew under an old name says nothing about the old one's backups.
pub fn judge(rules: &RetentionRules, backups: &[Judged<'_>], now: Timestamp) -> Vec<Verdict> {
    let known: BTreeMap<&BackupId, &Judged<'_>> = backups.iter().map(|b| (b.id, b)).collect();
    let mut in_order: Vec<_> = known.values().map(|b| (b.id, b.info)).collect();
    order::sort(&mut in_order);
    let sweep = Sweep::new(&in_order, now);
    let newest_system = in_order.iter().rev().find_map(|(_, info)| info.systemid);
    let mut walks: BTreeMap<Option<SystemId>, Walk<'_>> = BTreeMap::new();
    let mut verdicts: BTreeMap<BackupId, Verdict> = BTreeMap::new();
    for (id, info) in in_order.iter().rev() {
        let backup = known[id];
        if root_of(backup, &known) == **id {
            // A record that does not name its system is counted with the newest one's.
            let system = info.systemid.or(newest_system);
            let walk = walks.entry(system).or_insert_with(|| Walk::new(rules, now));
            verdicts.insert(**id, walk.next(backup, &sweep));
        }
    }
    for backup in known.values() {
        let root = root_of(backup, &known);
        if root != *backup.id {
            let verdict = like_root(backup, &verdicts[&root], &sweep);
            verdicts.insert(*backup.id, verdict);
        }
    }
    verdicts.into_values().collect()
}

/// The backup at the end of the chain of parents. A parent that is not there ends the chain.
fn root_of(backup: &Judged<'_>, known: &BTreeMap<&BackupId, &Judged<'_>>) -> BackupId {
    let mut at = backup;
    // A chain has at most as many links as there are backups; a forged ring ends here, too.
    for _ in 0..known.len() {
        let parent = at.info.parent_backup_id.and_then(|id| known.get(&id));
        match parent {
            Some(parent) => at = parent,
            None => return *at.id,
        }
    }
    *backup.id
}

fn like_root(backup: &Judged<'_>, root: &Verdict, sweep: &Sweep<'_>) -> Verdict {
    let standing = match (backup.info.status, backup.kept, root.standing) {
        _ if is_being_deleted(backup.info) => return being_deleted(backup),
        (status, _, _) if status != BackupStatus::Done => return sweep.judge(backup),
        (_, Some(target), _) => {
            return verdict(backup, Standing::Kept(target), Reason::Annotated { target });
        }
        (_, _, Standing::Obsolete) => Standing::Obsolete,
        (_, _, Standing::PotentiallyObsolete) => Standing::PotentiallyObsolete,
        _ => Standing::Valid,
    };
    verdict(backup, standing, Reason::LikeRoot { root: root.id })
}

/// Where somebody keeps it nevertheless, one of the two is about to give way, or was killed before
/// it could: then people decide.
fn being_deleted(backup: &Judged<'_>) -> Verdict {
    match backup.kept {
        Some(target) => verdict(backup, Standing::Kept(target), Reason::Annotated { target }),
        None => verdict(backup, Standing::Obsolete, Reason::DeletionBegun),
    }
}

/// The way from the newest backup to the oldest.
struct Walk<'a> {
    rules: &'a RetentionRules,
    /// How many complete backups were passed.
    complete: u32,
    /// How many of them are valid, or held by the minimum redundancy.
    valid: u32,
    /// The first moment of the window, for a window.
    since: Option<Timestamp>,
    /// Whether a passed backup covers that moment.
    is_covered: bool,
}

impl<'a> Walk<'a> {
    fn new(rules: &'a RetentionRules, now: Timestamp) -> Walk<'a> {
        let since = match rules.policy {
            Policy::Redundancy(_) => None,
            Policy::RecoveryWindow(window) => Some(window.begin(now)),
        };
        Walk {
            rules,
            complete: 0,
            valid: 0,
            since,
            is_covered: false,
        }
    }

    fn next(&mut self, backup: &Judged<'_>, sweep: &Sweep<'_>) -> Verdict {
        if is_being_deleted(backup.info) {
            return being_deleted(backup);
        }
        if backup.info.status != BackupStatus::Done {
            return sweep.judge(backup);
        }
        self.complete = self.complete.saturating_add(1);
        let (standing, reason) = match (self.rules.policy, self.since) {
            (Policy::RecoveryWindow(_), Some(since)) => self.in_window(backup, since),
            (Policy::Redundancy(wanted), _) => self.by_number(wanted),
            (Policy::RecoveryWindow(_), None) => (Standing::Valid, Reason::NoEnd),
        };
        if standing != Standing::Obsolete {
            self.valid = self.valid.saturating_add(1);
        }
        match backup.kept {
            Some(target) => verdict(backup, Standing::Kept(target), Reason::Annotated { target }),
            None => verdict(backup, standing, reason),
        }
    }

    fn by_number(&self, wanted: u32) -> (Standing, Reason) {
        let position = self.complete;
        let minimum = self.rules.minimum_redundancy;
        if position <= wanted {
            (Standing::Valid, Reason::AmongNewest { position, wanted })
        } else if position <= minimum {
            (Standing::Valid, Reason::MinimumRedundancy { minimum })
        } else {
            let wanted = wanted.max(minimum);
            (Standing::Obsolete, Reason::NewerSuffice { wanted })
        }
    }

    fn in_window(&mut self, backup: &Judged<'_>, since: Timestamp) -> (Standing, Reason) {
        let minimum = self.rules.minimum_redundancy;
        if self.is_covered && self.valid < minimum {
            let reason = Reason::MinimumRedundancy { minimum };
            return (Standing::PotentiallyObsolete, reason);
        }
        if self.is_covered {
            return (Standing::Obsolete, Reason::BeforeWindow { since });
        }
        match backup.info.end_time.map(|end| end.timestamp()) {
            None => (Standing::Valid, Reason::NoEnd),
            Some(end) if end >= since => (Standing::Valid, Reason::WithinWindow { since }),
            Some(_) => {
                // A standalone backup leads to no moment but its own: it covers nothing.
                self.is_covered = backup.kept != Some(KeepTarget::Standalone);
                (Standing::Valid, Reason::CoversWindow { since })
            }
        }
    }
}

#[cfg(test)]
mod tests;
