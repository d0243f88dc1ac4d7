//! What long work tells its caller: facts in typed events, worded by the front end.
//!
//! Always true: no event has a sentence in it; a cause is what an error says of itself.

use std::path::Path;
use std::time::Duration;

use model::backup::agreement::Contradiction;
use model::backup::id::BackupId;
use model::backup::{BackupStatus, Tablespace};
use model::damage::DamagedPage;
use model::postgres::SystemId;
use model::wal::lsn::Lsn;
use model::wal::name::SegmentName;

/// Receives events from worker threads and tasks; must be quick and must not block.
pub trait Progress: Send + Sync {
    /// Called for every event, from any thread.
    fn event(&self, event: Event<'_>);
}

/// Something a person may want to know while work goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// The server makes the checkpoint that a backup begins with; told every second. `usual` is
    /// how long one that is spread out takes, `None` for one that is made at once.
    Checkpoint {
        waited: Duration,
        usual: Option<Duration>,
    },
    /// Everything is copied, and WAL is missing from `next` on; told several times a second.
    /// `waited` and `patience` begin anew when something gets on.
    WaitingForWal {
        next: &'a str,
        waited: Duration,
        patience: Duration,
        last_archived: Option<&'a str>,
    },
    /// Work of this many bytes begins (known or estimated).
    Total { bytes: u64 },
    /// This many more bytes are done.
    Advance { bytes: u64 },
    /// The work has come to its next step.
    Step(Step),
    /// Something is wrong, but work goes on.
    Warning(Warning<'a>),
}

/// A step of the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    StartingBackup(BackupId),
    /// Of a backup that a server has taken before.
    SendingBackup(BackupId),
    RestoringBackup(BackupId),
    /// No checksum of a page will be verified.
    PagesUnverified(Unverifiable),
    Copying {
        file_count: usize,
        bytes: u64,
    },
    /// The copy is complete; WAL up to this segment belongs to it.
    WaitingForWal {
        last: SegmentName,
    },
    /// Of another backup, which had waited for it.
    WalArrived(BackupId),
    /// What a limit on memory leaves of the effort.
    Effort {
        jobs: usize,
        requests: usize,
        peak_bytes: u64,
    },
    ComparingWithManifest,
    Flushing,
}

/// Why pages cannot be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverifiable {
    /// The cluster has no checksums.
    ChecksumsOff,
    /// The server was built with other sizes of pages.
    OtherPageSize,
}

/// What is wrong, though work goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning<'a> {
    /// PostgreSQL advises against it, and a restore elsewhere must move it.
    TablespaceInside(&'a Tablespace),
    /// Recovery needs its directory.
    TablespaceMadeMeanwhile(&'a Tablespace),
    /// Files that the configuration includes from outside the data directory.
    ConfigurationNotArchived {
        files: &'a [&'a str],
    },
    /// A pooler may give the session another server process in the middle of the backup.
    PooledSession,
    /// The newest backup of that name is another cluster's.
    OtherSystem {
        backup: BackupId,
        theirs: SystemId,
        ours: SystemId,
    },
    NameTaken {
        name: &'a str,
        by: BackupId,
    },
    NotArchived {
        path: &'a Path,
        why: NotArchived,
    },
    /// A file shrank while it was read: the rest of its copy are zeros.
    Shrank {
        path: &'a str,
        missing_bytes: u64,
    },
    DamagedPage(&'a DamagedPage),
    /// The end of the backup has no restore point of its name.
    NoRestorePoint {
        cause: &'a str,
    },
    CannotSeeWal {
        cause: &'a str,
    },
    /// Other backups keep their status for now.
    CannotSettle {
        cause: &'a str,
    },
    /// Another backup, which waited for WAL, has come to this end.
    Settled {
        backup: BackupId,
        status: BackupStatus,
        cause: &'a str,
    },
    /// The record says STARTED though the backup has failed.
    RecordUnsaved {
        backup: BackupId,
        cause: &'a str,
    },
    /// Of a backup that was deleted while it ran.
    PartsLeft {
        backup: BackupId,
        cause: &'a str,
    },
    /// The record of the backup contradicts itself.
    Contradiction {
        backup: BackupId,
        found: &'a Contradiction,
    },
    NotRestored {
        path: &'a Path,
        why: NotRestored<'a>,
    },
    /// A file of the backup that its manifest does not list.
    Unlisted {
        path: &'a str,
    },
    /// The manifest in the archives is another backup's: it was removed, and nothing compared.
    ForeignManifest {
        begin: Option<Lsn>,
    },
    /// The restored files belong to an account that this host does not know.
    UnknownAccount {
        id: u32,
    },
}

/// Why a file of the cluster is not archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotArchived {
    LinkToNothing,
    NoRegularFile,
    /// A link to a directory that it lies in.
    LeadsBack,
}

/// Why a member of an archive is not restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRestored<'a> {
    /// The rules of `model::restore::members` leave it out.
    Rule(&'static str),
    Link {
        to: &'a str,
    },
    LeadsOut,
    /// A second name of a file that is not there.
    LinkToNothing {
        to: &'a str,
    },
}

/// Ignores every event.
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event<'_>) {}
}
