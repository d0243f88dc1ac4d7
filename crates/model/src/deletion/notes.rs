//! What the one who deletes should know, in the real run as in a dry one.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::begin::disagreeing;
use super::request::{CannotDelete, Choice, DeletionRequest, Facts};
use crate::backup::BackupStatus;
use crate::backup::catalogue::Entry;
use crate::backup::id::BackupId;
use crate::backup::mark::is_being_deleted;
use crate::postgres::SystemId;
use crate::retention::Policy;

/// Something about a deletion that is worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// This backup goes, though its status is STARTED: it may still be going on.
    MayBeGoingOn(BackupId),
    /// This backup goes, for it can never be restored.
    Useless(BackupId, BackupStatus),
    /// The backups of these systems are judged by themselves; the newest one of each.
    SeveralSystems(Vec<(SystemId, BackupId)>),
    /// Nothing was stored for so long that the whole window is empty.
    NothingSince { newest: Timestamp },
    /// The record says in several ways where its backup begins, and they disagree.
    Contradiction(BackupId, Vec<&'static str>),
}

/// A window is measured by the clock of this host, which may be wrong.
const FAR: SignedDuration = SignedDuration::from_hours(366 * 24);
/// A server may rest over a weekend.
const NEAR: SignedDuration = SignedDuration::from_hours(3 * 24);

/// Compares the clock with what is stored.
///
/// # Errors
/// When it is so far ahead that it, and not the policy, would decide what goes.
pub(super) fn of_clock(
    request: &DeletionRequest,
    facts: &Facts,
) -> Result<Vec<Note>, CannotDelete> {
    let Choice::Policy(Policy::RecoveryWindow(window)) = request.choice else {
        return Ok(Vec::new());
    };
    let ends = facts
        .backups
        .readable()
        .filter_map(|(_, info)| info.end_time);
    let ends = ends.map(|end| end.timestamp());
    // A clock that was ahead for a while left its mark in the records, not in the store.
    let newest = facts.newest_object.or_else(|| ends.max());
    let (Some(newest), now) = (newest, request.now) else {
        return Ok(Vec::new());
    };
    let idle = now.duration_since(newest);
    match window.begin(now) > newest {
        true if idle > FAR => Err(CannotDelete::ClockFarAhead { now, newest }),
        true if idle > NEAR => Ok(vec![Note::NothingSince { newest }]),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn of_records(
    request: &DeletionRequest,
    facts: &Facts,
    going: &[BackupId],
) -> Vec<Note> {
    let mut notes = Vec::new();
    for id in going {
        let Some(Entry::Readable(info)) = facts.backups.get(id) else {
            continue;
        };
        let is_swept = matches!(request.choice, Choice::Policy(_));
        match info.status {
            BackupStatus::Started if !is_swept => notes.push(Note::MayBeGoingOn(*id)),
            BackupStatus::Done => {}
            _ if is_being_deleted(info) => {}
            status if is_swept => notes.push(Note::Useless(*id, status)),
            _ => {}
        }
    }
    let mut systems: BTreeMap<SystemId, BackupId> = BTreeMap::new();
    for (id, info) in facts.backups.by_end() {
        if let Some(system) = info.systemid.filter(|_| info.status == BackupStatus::Done) {
            systems.insert(system, *id);
        }
    }
    if systems.len() > 1 && matches!(request.choice, Choice::Policy(_)) {
        notes.push(Note::SeveralSystems(systems.into_iter().collect()));
    }
    for (id, info) in facts.backups.readable() {
        let entries = disagreeing(info);
        if !entries.is_empty() {
            notes.push(Note::Contradiction(*id, entries));
        }
    }
    notes
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::MayBeGoingOn(id) => write!(
                f,
                "backup {id} is STARTED: if it is still being taken, it will fail"
            ),
            Note::Useless(id, status) => write!(
                f,
                "backup {id} goes, too: its status is {status}, and a newer one is complete"
            ),
            Note::SeveralSystems(systems) => {
                let name = |(system, id): &(SystemId, BackupId)| format!("{system} (newest {id})");
                let names: Vec<String> = systems.iter().map(name).collect();
                write!(
                    f,
                    "the backups are of {} database systems, {}; each is judged by itself",
                    systems.len(),
                    names.join(" and ")
                )
            }
            Note::NothingSince { newest } => write!(
                f,
                "nothing was stored since {newest:.0}, before the recovery window begins: is the \
                 clock right, and does the server still archive?"
            ),
            Note::Contradiction(id, entries) => write!(
                f,
                "the record of backup {id} contradicts itself: {} name different segments; no WAL \
                 goes that any of them asks for",
                entries.join(", ")
            ),
        }
    }
}
