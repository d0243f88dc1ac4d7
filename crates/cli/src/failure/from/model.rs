//! What the rules refuse.

use model::backup::catalogue::ResolveError;
use model::codec::BadLevel;
use model::deletion::CannotDelete;
use model::restore::choose::{CannotChoose, EndedTooLate, NoBackup};
use model::restore::refusal::CannotRestore;

use super::usage_errors;
use crate::failure::{Advice, Failure, Kind};

usage_errors!(
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

impl From<BadLevel> for Failure {
    fn from(error: BadLevel) -> Failure {
        Failure::new(Kind::Usage, error.to_string())
            .with_hint("Give a number, or low, medium or high.")
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Failure {
        let kind = match error {
            // Barman 3.20.1 looks up what is no id before anything else, and ends with 4 if that
            // leads nowhere.
            ResolveError::AutoNeedsTarget
            | ResolveError::UnknownName { .. }
            | ResolveError::AmbiguousName { .. }
            | ResolveError::NoneSuch { .. } => Kind::UnknownName,
            ResolveError::UnknownId { .. } | ResolveError::Unreadable { .. } => Kind::Failed,
        };
        Failure::new(kind, error.to_string()).with_advice(Advice::ListBackups)
    }
}

impl From<CannotDelete> for Failure {
    fn from(error: CannotDelete) -> Failure {
        let advice = match &error {
            CannotDelete::Kept { .. } => Advice::ReleaseKeep,
            CannotDelete::UnreadableRecord { .. } => Advice::Sentence(
                "Nobody knows which WAL that backup needs. Repair its backup.info, or move it away \
                 once you are sure that the backup is of no use."
                    .to_owned(),
            ),
            CannotDelete::UnreadableKeep { .. } => Advice::SetKeepAnew,
            CannotDelete::ClockFarAhead { .. } => Advice::DeleteByIds,
            _ => return Failure::new(Kind::Failed, error.to_string()),
        };
        Failure::new(Kind::Failed, error.to_string()).with_advice(advice)
    }
}

impl From<CannotChoose> for Failure {
    fn from(error: CannotChoose) -> Failure {
        match error {
            CannotChoose::Unresolved(error) => error.into(),
            CannotChoose::EndedTooLate(error) => error.into(),
            CannotChoose::NoBackup(error) => error.into(),
        }
    }
}

impl From<NoBackup> for Failure {
    fn from(error: NoBackup) -> Failure {
        Failure::new(Kind::Failed, error.to_string()).with_advice(Advice::ListBackupEnds)
    }
}

impl From<EndedTooLate> for Failure {
    fn from(error: EndedTooLate) -> Failure {
        Failure::new(Kind::Failed, error.to_string()).with_advice(Advice::ChooseByTarget)
    }
}

impl From<CannotRestore> for Failure {
    fn from(error: CannotRestore) -> Failure {
        let kind = match error {
            CannotRestore::Tablespaces(_) | CannotRestore::Memory(_) => Kind::Usage,
            _ => Kind::Failed,
        };
        let what = error.to_string();
        let advice = match error {
            CannotRestore::NotEmpty(_) => Some(Advice::EmptyDirectory),
            CannotRestore::Interrupted(path) => Some(Advice::RemoveLeftovers(path)),
            CannotRestore::NoRoom(_) => Some(Advice::MakeRoom),
            CannotRestore::InsideAnother { .. } => Some(Advice::Sentence(
                "Restore beside it: a backup of that server would take the copy along.".to_owned(),
            )),
            CannotRestore::Unconfirmed(all) => Some(Advice::ConfirmPlaces(all)),
            CannotRestore::Memory(_) => Some(Advice::MoreMemory),
            _ => None,
        };
        Failure { kind, what, advice }
    }
}
