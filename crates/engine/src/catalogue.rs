//! Reading the catalogue of one server from its bucket.
//!
//! One listing finds every record and every keep annotation; then the records are read, several at
//! a time. Always true: a record that cannot be parsed is in the catalogue as unreadable, it is
//! never left out silently.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::tz::TimeZone;
use model::backup::BackupInfo;
use model::backup::catalogue::{Catalogue, Entry};
use model::backup::id::BackupId;
use model::cloud::Layout;
use model::damage::{self, DamagedPage};
use model::format::backup_info;
use model::keep::KeepTarget;

use crate::causes;
use crate::store::{Bucket, StoreError};

/// A server's backups and what is kept of them beyond retention.
#[derive(Debug, Clone, Default)]
pub struct BucketCatalogue {
    pub backups: Catalogue,
    pub kept: BTreeMap<BackupId, KeepTarget>,
    /// Annotations that may or may not keep a backup, and what is wrong with them.
    pub unreadable_keeps: BTreeMap<BackupId, String>,
    /// The damaged pages that backups were taken with.
    pub damaged: BTreeMap<BackupId, Vec<DamagedPage>>,
}

const PARALLEL_READS: usize = 16;

/// Reads every backup's record and annotation.
///
/// # Errors
/// When the store cannot be listed or an object that was listed cannot be read.
pub async fn read_catalogue(
    bucket: &Bucket,
    layout: &Layout,
) -> Result<BucketCatalogue, StoreError> {
    let prefix = format!("{}/", layout.backups());
    let objects = bucket.list(&prefix).await?;
    let keys = objects
        .iter()
        .map(|object| object.location.as_ref().to_owned());
    let reads = keys.filter_map(|key| interesting(&key, &prefix).map(|found| (key, found)));
    let reads = stream::iter(reads.map(|(key, found)| async move {
        match bucket.read(&key).await {
            Ok(content) => Ok(Some((found, Ok(content)))),
            // Deleted since it was listed, or so the store says: whoever deletes looks again.
            Err(error) if error.is_not_found() => Ok(None),
            // Whatever it is, it must not hide the others.
            Err(error) if error.is_too_large() => {
                Ok(Some((found, Err(causes::in_one_line(&error)))))
            }
            Err(error) => Err(error),
        }
    }));
    let contents: Vec<_> = reads.buffered(PARALLEL_READS).try_collect().await?;
    let mut catalogue = BucketCatalogue::default();
    for (found, content) in contents.into_iter().flatten() {
        let content = match (content, &found) {
            (Ok(content), _) => content,
            (Err(reason), Found::Record(id)) => {
                catalogue.backups.insert(*id, Entry::Unreadable { reason });
                continue;
            }
            (Err(reason), Found::Keep(id)) => {
                catalogue.unreadable_keeps.insert(*id, reason);
                continue;
            }
            (Err(_), Found::Damage(_)) => continue,
        };
        let text = String::from_utf8_lossy(&content);
        match found {
            Found::Record(id) => catalogue.backups.insert(id, parse(&text)),
            Found::Keep(id) => match KeepTarget::parse(&text) {
                Ok(target) => {
                    catalogue.kept.insert(id, target);
                }
                Err(error) => {
                    catalogue.unreadable_keeps.insert(id, error.to_string());
                }
            },
            Found::Damage(id) => {
                if let Ok(pages) = damage::parse(&text) {
                    catalogue.damaged.insert(id, pages);
                }
            }
        }
    }
    Ok(catalogue)
}

/// The ids of all backups that have a record, oldest first.
///
/// # Errors
/// When the store cannot be listed.
pub async fn backup_ids(bucket: &Bucket, layout: &Layout) -> Result<Vec<BackupId>, StoreError> {
    let prefix = format!("{}/", layout.backups());
    let mut ids = Vec::new();
    let see = |object: object_store::ObjectMeta| {
        if let Some(Found::Record(id)) = interesting(object.location.as_ref(), &prefix) {
            ids.push(id);
        }
        ControlFlow::Continue(())
    };
    bucket.list_each(&prefix, see).await?;
    ids.sort_unstable();
    Ok(ids)
}

/// Reads the record of one backup.
///
/// # Errors
/// When the store refuses; `Ok(None)` when there is no such backup.
pub async fn read_backup(
    bucket: &Bucket,
    layout: &Layout,
    id: &BackupId,
) -> Result<Option<Entry>, StoreError> {
    match bucket.read(&layout.backup_info(id)).await {
        Ok(content) => Ok(Some(parse(&String::from_utf8_lossy(&content)))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

enum Found {
    Record(BackupId),
    Keep(BackupId),
    Damage(BackupId),
}

fn interesting(key: &str, prefix: &str) -> Option<Found> {
    let (id, rest) = key.strip_prefix(prefix)?.split_once('/')?;
    let id: BackupId = id.parse().ok()?;
    match rest {
        "backup.info" => Some(Found::Record(id)),
        "annotations/keep" => Some(Found::Keep(id)),
        "annotations/damage" => Some(Found::Damage(id)),
        _ => None,
    }
}

fn parse(text: &str) -> Entry {
    let parsed: Result<BackupInfo, _> = backup_info::parse(text, &TimeZone::system());
    match parsed {
        Ok(info) => Entry::Readable(Box::new(info)),
        Err(error) => Entry::Unreadable {
            reason: error.to_string(),
        },
    }
}
