//! The front end itself: three commands, its own statuses, its own words.

use std::num::NonZeroUsize;

use engine::catalogue::read_catalogue;
use engine::deletion::{DeletionError, Manner, execute, gather};
use engine::keep::{KeepError, keep};
use engine::repository::Repository;
use engine::store::StoreError;
use jiff::Timestamp;
use model::backup::BackupInfo;
use model::backup::id::BackupId;
use model::deletion::{CannotDelete, Choice, DeletionRequest, plan_delete};
use model::keep::KeepTarget;

/// Its statuses: 0 is well, and these are its own.
pub const UNKNOWN: u8 = 20;
pub const FORBIDDEN: u8 = 21;
pub const STORE: u8 = 22;

/// What it says, and the status it ends with.
pub type Said = Result<String, (u8, String)>;

fn store_trouble(error: impl Into<StoreError>) -> (u8, String) {
    (
        STORE,
        format!("the archive is moody: {}", error.into().object),
    )
}

/// Runs one command line.
pub async fn run(words: &[&str], archive: &Repository) -> Said {
    let id = || {
        words[1]
            .parse::<BackupId>()
            .map_err(|_| (UNKNOWN, "eh?".to_owned()))
    };
    match words[0] {
        "what" => list(archive).await,
        "treasure" => treasure(archive, id()?).await,
        "burn" => burn(archive, id()?).await,
        other => Err((UNKNOWN, format!("nobody taught me to {other}"))),
    }
}

async fn list(archive: &Repository) -> Said {
    let found = read_catalogue(&archive.records)
        .await
        .map_err(store_trouble)?;
    let line = |(id, info): (&BackupId, &BackupInfo)| {
        let loved = if found.kept.contains_key(id) {
            " <3"
        } else {
            ""
        };
        format!("{id}: {}{loved}\n", info.status)
    };
    Ok(found.backups.readable().map(line).collect())
}

async fn treasure(archive: &Repository, id: BackupId) -> Said {
    match keep(&archive.records, &id, KeepTarget::Full).await {
        Ok(()) => Ok(format!("{id} is treasured")),
        Err(KeepError::Store(error)) => Err(store_trouble(error)),
        Err(KeepError::Gone { id }) => Err((UNKNOWN, format!("{id}? never heard of it"))),
        Err(error) => Err((FORBIDDEN, error.to_string())),
    }
}

async fn burn(archive: &Repository, id: BackupId) -> Said {
    let facts = gather(archive).await.map_err(store_trouble)?;
    let request = DeletionRequest {
        choice: Choice::Backup(id),
        minimum_redundancy: 0,
        now: Timestamp::now(),
    };
    let plan = plan_delete(&request, &facts).map_err(|error| match error {
        CannotDelete::Unknown { id } => (UNKNOWN, format!("{id}? never heard of it")),
        CannotDelete::Kept { id, .. } => (FORBIDDEN, format!("{id} is treasured")),
        error => (FORBIDDEN, error.to_string()),
    })?;
    let how = Manner {
        batch: NonZeroUsize::MIN,
        words: "burn it again".to_owned(),
    };
    let burnt = execute(&plan, archive, &how)
        .await
        .map_err(|error| match error {
            DeletionError::Store(error) => store_trouble(error),
            error => (FORBIDDEN, error.to_string()),
        })?;
    Ok(format!(
        "burnt: {} and {} WAL",
        burnt.backup_count, burnt.wal_file_count
    ))
}
