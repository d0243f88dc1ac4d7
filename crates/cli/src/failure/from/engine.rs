//! What the engine's work comes to.

use engine::backup::{BackupError, PlaceError};
use engine::causes;
use engine::cluster::session::SessionError;
use engine::deletion::DeletionError;
use engine::keep::KeepError;
use engine::restore::{ExtractError, RestoreError, VerifyError};
use engine::store::StoreError;
use engine::wal::error::{FetchError, WalArchiveError};
use engine::wal::private_folder::FolderError;
use engine::wal::spool::CannotPlace;
use model::wal::name::WalName;
use model::wal::segment::{BadSegment, BadSegmentCause};

use super::{of_store, of_work, sentence};
use crate::failure::{Advice, Failure, Kind};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        of_store(&error)
    }
}

impl From<KeepError> for Failure {
    fn from(error: KeepError) -> Failure {
        match error {
            KeepError::Store(error) => of_store(&error),
            KeepError::Unchecked { .. } => of_work(&error, Kind::Other),
            error => Failure::new(Kind::Failed, causes::in_one_line(&error)),
        }
    }
}

impl From<DeletionError> for Failure {
    fn from(error: DeletionError) -> Failure {
        match error {
            DeletionError::Store(error) => of_store(&error),
            DeletionError::KeptMeanwhile(_) | DeletionError::ChangedMeanwhile(_) => {
                Failure::new(Kind::Failed, error.to_string())
            }
            DeletionError::Locked { .. } => Failure::new(Kind::Failed, error.to_string())
                .with_hint(
                    "Wait until the lock ends, or have somebody who may take the legal hold away.",
                ),
        }
    }
}

impl From<WalArchiveError> for Failure {
    fn from(error: WalArchiveError) -> Failure {
        match error {
            WalArchiveError::Store(error) => of_store(&error),
            WalArchiveError::NotWal(_) => Failure::new(Kind::Usage, causes::in_one_line(&error)),
            WalArchiveError::Conflict { .. } => Failure::new(
                Kind::Failed,
                causes::in_one_line(&error),
            )
            .with_hint(
                "Two servers may be archiving to one place: each needs a SERVER_NAME of its own.",
            ),
            WalArchiveError::ForeignArchive { .. } => Failure::new(
                Kind::Failed,
                causes::in_one_line(&error),
            )
            .with_hint(
                "A new cluster, one that pg_upgrade made included, needs a SERVER_NAME of its own.",
            ),
            WalArchiveError::Segment {
                source:
                    BadSegment {
                        cause: BadSegmentCause::Damaged { .. },
                        ..
                    },
                ..
            } => of_work(&error, Kind::Failed).with_hint(
                "Look at the disk and the log of the server. The last segment of a server that \
                 died can be archived under its name with .partial.",
            ),
            WalArchiveError::Content { ref path, .. }
                if path.extension() == Some("backup".as_ref()) =>
            {
                of_work(&error, Kind::Failed).with_hint(
                    "A crash of the machine may leave it so. No recovery needs it: remove it and \
                     its .ready file in pg_wal/archive_status, and archiving goes on.",
                )
            }
            error => of_work(&error, Kind::Failed),
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Failure {
        match error {
            FetchError::Store(error) => of_store(&error),
            FetchError::NotFound { name, .. } => {
                let end = match name {
                    WalName::History(_) => ": there is no such timeline",
                    WalName::Segment(_) => ": the log ends before it",
                    _ => "",
                };
                Failure::new(Kind::Absent, format!("{error}{end}"))
            }
            FetchError::Hole { .. } => Failure::new(Kind::Hole, error.to_string()).with_hint(
                "Look for it in pg_wal of the server that wrote it, and archive it; what comes \
                 after it cannot be replayed.",
            ),
            FetchError::Segment {
                source:
                    BadSegment {
                        cause: BadSegmentCause::ForeignCluster { .. },
                        ..
                    },
                ..
            } => of_work(&error, Kind::Other).with_hint(
                "Check the URL and the server's name against the archive_command; the archive is \
                 compared with global/pg_control of the data directory.",
            ),
            FetchError::NothingThere { .. } => Failure::new(Kind::NothingThere, error.to_string())
                .with_hint(
                    "Check the URL and the server's name against the archive_command; is the \
                     directory mounted?",
                ),
            error => of_work(&error, Kind::Other),
        }
    }
}

impl From<CannotPlace> for Failure {
    fn from(error: CannotPlace) -> Failure {
        of_work(&error, Kind::SpoolStuck)
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Failure {
        of_work(&error, Kind::Other)
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        let failure = match &error {
            BackupError::Store(error) => of_store(error),
            BackupError::Memory(error) => Failure::new(Kind::Usage, error.to_string())
                .with_advice(Advice::MoreMemoryOrSmallerParts),
            // Barman's status for a backup that its hook cannot send.
            BackupError::Taken { .. } => Failure::new(Kind::Other, error.to_string()),
            BackupError::Upload(error) => match of_store(error) {
                failure if failure.kind == Kind::Unreachable => failure,
                // Barman's status for a backup that began and failed.
                failure => Failure {
                    kind: Kind::Failed,
                    ..failure
                },
            },
            error => of_work(error, Kind::Failed),
        };
        let advice = match &error {
            BackupError::Damaged { .. } => Some(Advice::AcceptDamage),
            BackupError::Session(error) => session_hint(error).map(Advice::Sentence),
            BackupError::NotArchived => Some(Advice::SetArchiveCommand),
            BackupError::ForeignArchive { .. } => sentence(Some(
                "Give this server a SERVER_NAME of its own, in archive_command too: a cluster made \
                 anew, as by initdb, begins with the names of old WAL.",
            )),
            BackupError::LostTablespace { .. } => sentence(Some("Take another backup.")),
            BackupError::Place(PlaceError::Empty { .. }) => sentence(Some(
                "Is its disk mounted, and here as the server sees it? A backup without it could \
                 not be restored.",
            )),
            // Whether it is full, closed to this account, or not there.
            BackupError::Spool { .. } => sentence(Some(
                "Set TMPDIR to a directory that this account may write to; each file of the \
                 cluster takes some 170 bytes there.",
            )),
            _ => None,
        };
        Failure {
            advice: advice.or(failure.advice),
            ..failure
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Failure {
        match error {
            RestoreError::Store(error) => of_store(&error),
            RestoreError::Cannot(error) => error.into(),
            RestoreError::Extract {
                source: ExtractError::Link { .. },
                ..
            } => of_work(&error, Kind::Failed).with_advice(Advice::SkipLinks),
            RestoreError::Verify(VerifyError::Unlisted { .. }) => {
                of_work(&error, Kind::Failed).with_advice(Advice::KeepUnlisted)
            }
            error => of_work(&error, Kind::Failed),
        }
    }
}

fn session_hint(error: &SessionError) -> Option<String> {
    match error {
        SessionError::Connect(error) => error.hint(),
        SessionError::Denied { grants, .. } => Some(format!(
            "Back up as a superuser, or have one run this in database {}: {grants}",
            grants.database
        )),
        SessionError::Query { source, .. } => source.hint(),
        SessionError::Ended(_) => Some(
            "The server's log says why. The backup is FAILED: take another when the server is well."
                .to_owned(),
        ),
        SessionError::Promoted => Some("Take another backup, of the new primary.".to_owned()),
        SessionError::Swapped => Some(
            "Connect to the server itself, or set pool_mode = session for this user.".to_owned(),
        ),
        SessionError::InPlaceTablespace(_)
        | SessionError::Answer { .. }
        | SessionError::TooOld(_) => None,
    }
}
