//! Every error of the other crates, and which words, hint and status it becomes.
//!
//! Always true: a store that gave no answer is status 2 whatever was being done with it, and a
//! failure of the store or the network is never the status 1 that means "no such WAL file".

use std::error::Error as StdError;
use std::path::PathBuf;

use cloud::{ErrorKind, Provider};
use engine::backup::{BackupError, PlaceError, SessionError};
use engine::causes;
use engine::deletion::DeletionError;
use engine::keep::KeepError;
use engine::restore::{ExtractError, RestoreError, VerifyError};
use engine::store::StoreError;
use engine::wal::archive::ArchiveError;
use engine::wal::fetch::FetchError;
use engine::wal::private_folder::FolderError;
use engine::wal::spool::CannotPlace;
use model::backup::catalogue::ResolveError;
use model::deletion::CannotDelete;
use model::restore::choose::{EndedTooLate, NoBackup};
use model::restore::refusal::CannotRestore;
use model::wal::name::WalName;
use model::wal::segment::{BadSegment, BadSegmentCause};

use super::{Exit, Failure};
use crate::render::next_steps::quote;

/// Text of the command line that means nothing: status 3.
macro_rules! usage_errors {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::new(Exit::Usage, error.to_string())
            }
        })*
    };
}

usage_errors!(
    cloud::BadWord,
    model::backup::reference::BadBackupName,
    model::layout::BadLayout,
    model::moment::BadMoment,
    model::postgres::BadSegmentSize,
    model::restore::tablespaces::BadTablespaceMapping,
    model::restore::target::BadTimelineChoice,
    model::retention::BadPolicy,
    model::size::BadSize,
    model::wal::lsn::BadLsn,
    model::wal::name::BadWalName,
);

impl From<cloud::BadLocation> for Failure {
    fn from(error: cloud::BadLocation) -> Failure {
        let exit = match error {
            cloud::BadLocation::NotYet { .. } => Exit::Usage,
            _ => Exit::Other,
        };
        Failure {
            exit,
            what: error.to_string(),
            hint: error.hint().map(str::to_owned),
        }
    }
}

impl From<cloud::BadCustomerKey> for Failure {
    fn from(error: cloud::BadCustomerKey) -> Failure {
        Failure::new(Exit::Other, causes::in_one_line(&error)).with_hint(error.hint())
    }
}

impl From<cloud::OpenError> for Failure {
    fn from(error: cloud::OpenError) -> Failure {
        let hint = error.hint().map(str::to_owned);
        Failure {
            exit: exit_of(error.kind()),
            what: error.to_string(),
            hint,
        }
    }
}

impl From<cloud::ConnectivityError> for Failure {
    fn from(error: cloud::ConnectivityError) -> Failure {
        let exit = match (error.diagnosis.kind, error.provider) {
            // Only --test asks this question, and a missing bucket is one of its answers.
            (ErrorKind::MissingBucket, _) => Exit::Failed,
            // To Barman every refusal of these two is a store that it cannot connect to.
            (_, Some(Provider::AzureBlobStorage)) => Exit::Unreachable,
            (_, Some(Provider::GoogleCloudStorage)) if error.diagnosis.code.is_some() => {
                Exit::Unreachable
            }
            (kind, _) => exit_of(kind),
        };
        let hint = error.diagnosis.hint.map(str::to_owned);
        Failure {
            exit,
            what: error.to_string(),
            hint,
        }
    }
}

impl From<cloud::CreateError> for Failure {
    fn from(error: cloud::CreateError) -> Failure {
        match error {
            cloud::CreateError::Open(error) => error.into(),
            cloud::CreateError::Unusable(error) => error.into(),
            cloud::CreateError::Create { .. } => of_work(&error, Exit::Other),
        }
    }
}

impl From<postgres::ConfigError> for Failure {
    fn from(error: postgres::ConfigError) -> Failure {
        let what = format!(
            "cannot connect to PostgreSQL: {}",
            causes::in_one_line(&error)
        );
        Failure::new(Exit::Failed, what)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        of_store(&error)
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Failure {
        let exit = match error {
            // Barman 3.20.1 looks up what is no id before anything else, and ends with 4 if that
            // leads nowhere.
            ResolveError::AutoNeedsTarget
            | ResolveError::UnknownName { .. }
            | ResolveError::AmbiguousName { .. }
            | ResolveError::NoneSuch { .. } => Exit::Other,
            ResolveError::UnknownId { .. } | ResolveError::Unreadable { .. } => Exit::Failed,
        };
        Failure::new(exit, error.to_string())
            .with_hint("barman-cloud-backup-list shows the backups that there are.")
    }
}

impl From<KeepError> for Failure {
    fn from(error: KeepError) -> Failure {
        match error {
            KeepError::Store(error) => of_store(&error),
            KeepError::Unchecked { .. } => of_work(&error, Exit::Other),
            error => Failure::new(Exit::Failed, causes::in_one_line(&error)),
        }
    }
}

impl From<CannotDelete> for Failure {
    fn from(error: CannotDelete) -> Failure {
        let hint = match &error {
            CannotDelete::Kept { .. } => "barman-cloud-backup-keep --release lets it go.",
            CannotDelete::UnreadableRecord { .. } => {
                "Nobody knows which WAL that backup needs. Repair its backup.info, or move it away \
                 once you are sure that the backup is of no use."
            }
            CannotDelete::UnreadableKeep { .. } => {
                "Set or release it anew with barman-cloud-backup-keep."
            }
            CannotDelete::ClockFarAhead { .. } => {
                "Set the clock of this host. If it is right, delete backups by their ids: \
                 barman-cloud-backup-delete -b."
            }
            _ => return Failure::new(Exit::Failed, error.to_string()),
        };
        Failure::new(Exit::Failed, error.to_string()).with_hint(hint)
    }
}

impl From<DeletionError> for Failure {
    fn from(error: DeletionError) -> Failure {
        match error {
            DeletionError::Store(error) => of_store(&error),
            DeletionError::KeptMeanwhile(_) | DeletionError::ChangedMeanwhile(_) => {
                Failure::new(Exit::Failed, error.to_string())
            }
            DeletionError::Locked { .. } => Failure::new(Exit::Failed, error.to_string())
                .with_hint(
                    "Wait until the lock ends, or have somebody who may take the legal hold away.",
                ),
        }
    }
}

impl From<NoBackup> for Failure {
    fn from(error: NoBackup) -> Failure {
        Failure::new(Exit::Failed, error.to_string())
            .with_hint("barman-cloud-backup-list shows when each backup ended.")
    }
}

impl From<EndedTooLate> for Failure {
    fn from(error: EndedTooLate) -> Failure {
        Failure::new(Exit::Failed, error.to_string()).with_hint(
            "Say auto in place of the backup: it takes the newest one that ended by the target.",
        )
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Failure {
        match error {
            ArchiveError::Store(error) => of_store(&error),
            ArchiveError::NotWal(_) => Failure::new(Exit::Usage, causes::in_one_line(&error)),
            ArchiveError::Conflict { .. } => Failure::new(
                Exit::Failed,
                causes::in_one_line(&error),
            )
            .with_hint(
                "Two servers may be archiving to one place: each needs a SERVER_NAME of its own.",
            ),
            ArchiveError::ForeignArchive { .. } => Failure::new(
                Exit::Failed,
                causes::in_one_line(&error),
            )
            .with_hint(
                "A new cluster, one that pg_upgrade made included, needs a SERVER_NAME of its own.",
            ),
            ArchiveError::Segment {
                source:
                    BadSegment {
                        cause: BadSegmentCause::Damaged { .. },
                        ..
                    },
                ..
            } => of_work(&error, Exit::Failed).with_hint(
                "Look at the disk and the log of the server. The last segment of a server that \
                 died can be archived under its name with .partial.",
            ),
            error => of_work(&error, Exit::Failed),
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
                Failure::new(Exit::Absent, format!("{error}{end}"))
            }
            FetchError::Hole { .. } => Failure::new(Exit::Hole, error.to_string()).with_hint(
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
            } => of_work(&error, Exit::Other).with_hint(
                "Check the URL and the server's name against the archive_command; the archive is \
                 compared with global/pg_control of the data directory.",
            ),
            FetchError::NothingThere { .. } => Failure::new(Exit::NothingThere, error.to_string())
                .with_hint(
                    "Check the URL and the server's name against the archive_command; is the \
                     directory mounted?",
                ),
            error => of_work(&error, Exit::Other),
        }
    }
}

impl From<CannotPlace> for Failure {
    fn from(error: CannotPlace) -> Failure {
        of_work(&error, Exit::Spool)
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Failure {
        of_work(&error, Exit::Other)
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        let failure = match &error {
            BackupError::Store(error) => of_store(error),
            BackupError::Memory(error) => Failure::new(Exit::Usage, error.to_string()).with_hint(
                "Give --max-memory more, or leave it out. A smaller --min-chunk-size needs less.",
            ),
            // Barman's status for a backup that its hook cannot send.
            BackupError::Taken { .. } => Failure::new(Exit::Other, error.to_string()),
            BackupError::Upload(error) => match of_store(error) {
                failure if failure.exit == Exit::Unreachable => failure,
                // Barman's status for a backup that began and failed.
                failure => Failure {
                    exit: Exit::Failed,
                    ..failure
                },
            },
            error => of_work(error, Exit::Failed),
        };
        let hint = match &error {
            BackupError::Damaged { .. } => Some(
                "Look at the disk and the log of the server; without --fail-on-damage the backup \
                 is taken as it is."
                    .to_owned(),
            ),
            BackupError::Session(error) => session_hint(error),
            BackupError::NotArchived => Some(
                "Set archive_mode = on and archive_command to barman-cloud-wal-archive, and \
                 restart the server."
                    .to_owned(),
            ),
            BackupError::ForeignArchive { .. } => Some(
                "Give this server a SERVER_NAME of its own, in archive_command too: a cluster made \
                 anew, as by initdb, begins with the names of old WAL."
                    .to_owned(),
            ),
            BackupError::LostTablespace { .. } => Some("Take another backup.".to_owned()),
            BackupError::Place(PlaceError::Empty { .. }) => Some(
                "Is its disk mounted, and here as the server sees it? A backup without it could \
                 not be restored."
                    .to_owned(),
            ),
            // Whether it is full, closed to this account, or not there.
            BackupError::Spool { .. } => Some(
                "Set TMPDIR to a directory that this account may write to; each file of the \
                 cluster takes some 170 bytes there."
                    .to_owned(),
            ),
            _ => None,
        };
        Failure {
            hint: hint.or(failure.hint),
            ..failure
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

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Failure {
        match error {
            RestoreError::Store(error) => of_store(&error),
            RestoreError::Cannot(error) => cannot_restore(&error),
            RestoreError::Extract {
                source: ExtractError::Refused { cause, .. },
                ..
            } if cause.contains("link") => of_work(&error, Exit::Failed).with_hint(
                "Barman archives links that lie in the data directory. If you trust the backup, \
                 empty the directory and add --skip-links: everything else is restored.",
            ),
            RestoreError::Verify(VerifyError::Unlisted { .. }) => of_work(&error, Exit::Failed)
                .with_hint(
                    "Somebody may have put them into the archive. If you know them, empty the \
                     directory and add --keep-unlisted.",
                ),
            error => of_work(&error, Exit::Failed),
        }
    }
}

fn cannot_restore(error: &CannotRestore) -> Failure {
    let exit = match error {
        CannotRestore::Tablespaces(_) | CannotRestore::Memory(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, error.to_string());
    match error {
        CannotRestore::NotEmpty(_) => failure.with_hint(
            "Restore into an empty directory; --tablespace NAME:LOCATION moves a tablespace.",
        ),
        CannotRestore::Interrupted(path) => {
            let place = quote(&path.display().to_string());
            failure.with_hint(format!(
                "Remove it and start again: rm -r {place}; the same with what that restore put \
                 into directories of tablespaces."
            ))
        }
        CannotRestore::NoRoom(_) => failure.with_hint(
            "Make room, or restore to another place; --tablespace NAME:LOCATION moves a \
             tablespace, --no-space-check begins nevertheless.",
        ),
        CannotRestore::InsideAnother { .. } => failure
            .with_hint("Restore beside it: a backup of that server would take the copy along."),
        CannotRestore::Unconfirmed(all) => failure.with_hint(confirmation(all)),
        CannotRestore::Memory(_) => failure.with_hint("Give --max-memory more, or leave it out."),
        _ => failure,
    }
}

/// The options that confirm what the record says. It may say something that a shell understands:
/// then nobody should copy it.
fn confirmation(all: &[(String, PathBuf)]) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let option = |(name, location): &(String, PathBuf)| {
        let location = location.to_string_lossy();
        let plain = name.chars().chain(location.chars()).all(is_plain);
        plain.then(|| format!("--tablespace {name}:{location}"))
    };
    let options: Option<Vec<_>> = all.iter().map(option).collect();
    let options = options.map_or_else(
        || "--tablespace NAME:LOCATION for each tablespace".to_owned(),
        |options| options.join(" "),
    );
    format!(
        "To restore it there, add {options}; or make the directory and give it to the server's \
         account."
    )
}

/// A store's refusal: what was tried, the cause, and which kind of failure that is.
fn of_store(error: &StoreError) -> Failure {
    let diagnosis = cloud::diagnose(error);
    Failure {
        exit: exit_of(diagnosis.kind),
        what: format!("{error}: {}", diagnosis.cause),
        hint: diagnosis.hint.map(str::to_owned),
    }
}

/// A failure of work that may have a store's refusal somewhere inside.
fn of_work(error: &(dyn StdError + 'static), otherwise: Exit) -> Failure {
    let diagnosis = cloud::diagnose(error);
    let is_stores = diagnosis.code.is_some() || diagnosis.kind == ErrorKind::Unreachable;
    if is_stores {
        return Failure {
            exit: exit_of(diagnosis.kind),
            what: format!("{error}: {}", diagnosis.cause),
            hint: diagnosis.hint.map(str::to_owned),
        };
    }
    // Of a local failure only the hints that go by its words are right, such as a full disk's.
    let hint = diagnosis
        .hint
        .filter(|_| diagnosis.kind == ErrorKind::Other);
    Failure {
        exit: otherwise,
        what: causes::in_one_line(error),
        hint: hint.map(str::to_owned),
    }
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::Unreachable => Exit::Unreachable,
        ErrorKind::MissingBucket | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Other => {
            Exit::Other
        }
    }
}
