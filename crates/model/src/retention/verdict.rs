//! What retention says of a backup, and why.

use std::fmt;

use jiff::Timestamp;

use super::policy::Policy;
use crate::backup::id::BackupId;
use crate::backup::{BackupInfo, BackupStatus};
use crate::keep::KeepTarget;

/// A backup as retention sees it.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// Which one it is.
    pub id: &'a BackupId,
    /// Its record.
    pub info: &'a BackupInfo,
    /// The annotation, if it is kept.
    pub kept: Option<KeepTarget>,
}

/// A policy and the number of backups that it never goes below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionRules {
    /// What is promised.
    pub policy: Policy,
    /// So many complete backups stay whatever the policy says.
    pub minimum_redundancy: u32,
}

/// What retention says of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which one it is.
    pub id: BackupId,
    /// Whether it may go.
    pub standing: Standing,
    /// Why.
    pub reason: Reason,
}

/// Whether a backup is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The policy needs it.
    Valid,
    /// The policy does not need it: it may go.
    Obsolete,
    /// The policy does not need it, but the minimum redundancy does.
    PotentiallyObsolete,
    /// Somebody keeps it.
    Kept(KeepTarget),
    /// Retention does not deal with it: it is not DONE, and may still become so.
    NotJudged,
}

/// Why a backup stands as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is the n-th newest complete backup, and so many are wanted.
    AmongNewest { position: u32, wanted: u32 },
    /// There are as many newer complete backups as are wanted.
    NewerSuffice { wanted: u32 },
    /// It ended within the window, which begins at the moment.
    WithinWindow { since: Timestamp },
    /// It is the newest that ended before the window: the window's first moment needs it.
    CoversWindow { since: Timestamp },
    /// A newer backup covers the beginning of the window.
    BeforeWindow { since: Timestamp },
    /// Only the minimum redundancy needs it.
    MinimumRedundancy { minimum: u32 },
    /// Its record has no end, so nobody can tell that it is old.
    NoEnd,
    /// It has an annotation.
    Annotated { target: KeepTarget },
    /// It builds on another one and shares its lot.
    LikeRoot { root: BackupId },
    /// Its status is not DONE.
    Status(BackupStatus),
    /// Nobody will ever restore it: its status is not DONE, and this complete backup is newer.
    Useless {
        status: BackupStatus,
        newer: BackupId,
    },
    /// A deletion of it was begun and not finished.
    DeletionBegun,
}

pub(super) fn verdict(backup: &Judged<'_>, standing: Standing, reason: Reason) -> Verdict {
    Verdict {
        id: *backup.id,
        standing,
        reason,
    }
}

impl Standing {
    /// The word in Barman's reports; empty for what retention does not deal with.
    pub const fn word(self) -> &'static str {
        match self {
            Standing::Valid => "VALID",
            Standing::Obsolete => "OBSOLETE",
            Standing::PotentiallyObsolete => "OBSOLETE*",
            Standing::Kept(KeepTarget::Full) => "KEEP:FULL",
            Standing::Kept(KeepTarget::Standalone) => "KEEP:STANDALONE",
            Standing::NotJudged => "-",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::AmongNewest { position, wanted } => {
                write!(
                    f,
                    "number {position} of the newest {wanted} complete backups"
                )
            }
            Reason::NewerSuffice { wanted } => match wanted {
                0 => f.write_str("the policy asks for no backup at all"),
                1 => f.write_str("a newer complete backup suffices"),
                _ => write!(f, "{wanted} newer complete backups suffice"),
            },
            Reason::WithinWindow { since } => {
                write!(f, "it ended within the window, which begins {since:.0}")
            }
            Reason::CoversWindow { since } => {
                write!(f, "the beginning of the window, {since:.0}, needs it")
            }
            Reason::BeforeWindow { since } => {
                write!(
                    f,
                    "a newer backup covers the window, which begins {since:.0}"
                )
            }
            Reason::MinimumRedundancy { minimum } => {
                write!(f, "the minimum redundancy of {minimum} needs it")
            }
            Reason::NoEnd => f.write_str("its record does not say when it ended"),
            Reason::Annotated { target } => write!(f, "it is kept ({target})"),
            Reason::LikeRoot { root } => write!(f, "it builds on backup {root}"),
            Reason::Status(status) => write!(f, "its status is {status}, not DONE"),
            Reason::Useless { status, newer } => write!(
                f,
                "its status is {status}, nobody can restore it, and backup {newer} is newer"
            ),
            Reason::DeletionBegun => f.write_str("its deletion was begun and not finished"),
        }
    }
}
