//! Reading the catalogue of one server from its bucket.
//!
//! One listing finds every record and every keep annotation; then the records are read, several at
//! a time. Always true: a record that cannot be parsed, that nobody may read or that is far too
//! large is in the catalogue as unreadable: it is never left out silently, and never hides others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::tz::TimeZone;
use model::backup::BackupInfo;
use model::backup::catalogue::{Catalogue, Entry};
use model::backup::id::BackupId;
use model::codec::Codec;
use model::damage::{self, DamagedPage};
use model::format::backup_info;
use model::keep::KeepTarget;
use model::layout::{ArchiveName, Layout, Part};
use object_store::list::PaginatedListOptions;

use crate::causes;
use crate::repository::{Repository, Shelf};
use crate::settling::{Settle, settle};
use crate::store::{StoreError, key_of};
use crate::strangers::Strangers;

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
pub async fn read_catalogue(shelf: &Shelf) -> Result<BucketCatalogue, StoreError> {
    let prefix = format!("{}/", shelf.layout.backups());
    let (mut wanted, mut strangers) = (Vec::new(), Strangers::default());
    let see = |object: object_store::ObjectMeta| {
        let key = key_of(&object);
        if shelf.layout.backup_of(&key).is_none() {
            strangers.add(&key);
        }
        wanted.extend(interesting(&key, &shelf.layout).map(|found| (key.to_string(), found)));
        ControlFlow::Continue(())
    };
    shelf.bucket.list_each(&prefix, see).await?;
    shelf.bucket.tell_of(&prefix, &strangers);
    let reads = stream::iter(wanted.into_iter().map(|(key, found)| async move {
        match shelf.bucket.read(&key).await {
            Ok(content) => Ok(Some((found, Ok(content)))),
            // Deleted since it was listed, or so the store says: whoever deletes looks again.
            Err(error) if error.is_not_found() => Ok(None),
            // Whatever it is, it must not hide the others.
            Err(error) if error.is_too_large() || error.is_refusal() => {
                Ok(Some((found, Err(causes::in_one_line(&error)))))
            }
            Err(error) => Err(error),
        }
    }));
    let contents: Vec<_> = reads.buffered(PARALLEL_READS).try_collect().await?;
    let mut catalogue = BucketCatalogue::default();
    for (found, content) in contents.into_iter().flatten() {
        let text = content.map(|content| String::from_utf8_lossy(&content).into_owned());
        catalogue.add(found, text);
    }
    Ok(catalogue)
}

/// The same, where backups that wait for WAL have the status that is true by now; nothing is
/// written.
///
/// # Errors
/// When the store cannot be listed or an object that was listed cannot be read.
pub async fn read_settled(repository: &Repository) -> Result<BucketCatalogue, StoreError> {
    let mut found = read_catalogue(&repository.records).await?;
    settle(repository, &mut found.backups, Settle::Show).await?;
    Ok(found)
}

/// How many names are looked at to find servers.
const MOST_NAMES: usize = 100;

/// The servers that have backups or WAL below the same path, by name: for whoever mistyped one.
///
/// # Errors
/// When the store cannot be listed.
pub async fn servers_beside(shelf: &Shelf) -> Result<Vec<String>, StoreError> {
    let path = shelf.layout.path();
    let options = PaginatedListOptions {
        delimiter: Some("/".into()),
        ..PaginatedListOptions::default()
    };
    let page = shelf
        .bucket
        .lister
        .list_paginated(Some(path), options)
        .await;
    let page = page.map_err(shelf.bucket.error("list", path))?;
    let names = page.result.common_prefixes.into_iter();
    let names = names.filter_map(|found| found.filename().map(str::to_owned));
    let mut servers = Vec::new();
    for name in names.take(MOST_NAMES) {
        let has = |folder: &str| format!("{path}{name}/{folder}/");
        if shelf.bucket.any(&has("base")).await? || shelf.bucket.any(&has("wals")).await? {
            servers.push(name);
        }
    }
    Ok(servers)
}

impl BucketCatalogue {
    /// Adds an object's text, or why there is none.
    fn add(&mut self, found: Found, text: Result<String, String>) {
        match (found, text) {
            (Found::Record(id), Ok(text)) => self.backups.insert(id, parse(&text)),
            (Found::Record(id), Err(reason)) => {
                self.backups.insert(id, Entry::Unreadable { reason });
            }
            (Found::Keep(id), text) => {
                let target = text
                    .and_then(|text| KeepTarget::parse(&text).map_err(|error| error.to_string()));
                match target {
                    Ok(target) => drop(self.kept.insert(id, target)),
                    Err(reason) => drop(self.unreadable_keeps.insert(id, reason)),
                }
            }
            (Found::Damage(id), text) => {
                if let Some(Ok(pages)) = text.ok().map(|text| damage::parse(&text)) {
                    self.damaged.insert(id, pages);
                }
            }
        }
    }
}

/// What a backup takes in its store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    pub object_count: usize,
    pub size_bytes: u64,
    /// Of the archives.
    pub codecs: BTreeSet<Codec>,
}

/// Lists what is stored of a backup.
///
/// # Errors
/// When the store cannot be listed.
pub async fn stored(repository: &Repository, id: &BackupId) -> Result<Stored, StoreError> {
    let mut stored = Stored::default();
    for shelf in repository.of_backups() {
        let folder = format!("{}/", shelf.layout.base(id));
        let see = |object: object_store::ObjectMeta| {
            stored.object_count += 1;
            stored.size_bytes += object.size;
            let key = key_of(&object);
            let archive = key.strip_prefix(&folder).and_then(ArchiveName::parse);
            stored.codecs.extend(archive.map(|(_, codec)| codec));
            ControlFlow::Continue(())
        };
        shelf.bucket.list_each(&folder, see).await?;
    }
    Ok(stored)
}

/// The ids of all backups that have a record, oldest first.
///
/// # Errors
/// When the store cannot be listed.
pub async fn backup_ids(shelf: &Shelf) -> Result<Vec<BackupId>, StoreError> {
    let prefix = format!("{}/", shelf.layout.backups());
    let mut ids = Vec::new();
    let see = |object: object_store::ObjectMeta| {
        if let Some(Found::Record(id)) = interesting(&key_of(&object), &shelf.layout) {
            ids.push(id);
        }
        ControlFlow::Continue(())
    };
    shelf.bucket.list_each(&prefix, see).await?;
    ids.sort_unstable();
    Ok(ids)
}

/// Reads the record of one backup.
///
/// # Errors
/// When the store refuses; `Ok(None)` when there is no such backup.
pub async fn read_backup(shelf: &Shelf, id: &BackupId) -> Result<Option<Entry>, StoreError> {
    match shelf.bucket.read(&shelf.layout.backup_info(id)).await {
        Ok(content) => Ok(Some(parse(&String::from_utf8_lossy(&content)))),
        Err(error) if error.is_too_large() => Ok(Some(Entry::Unreadable {
            reason: causes::in_one_line(&error),
        })),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A part of a backup that the catalogue reads.
#[derive(Debug, Clone, Copy)]
enum Found {
    Record(BackupId),
    Keep(BackupId),
    Damage(BackupId),
}

fn interesting(key: &str, layout: &Layout) -> Option<Found> {
    match layout.part_of(key)? {
        (id, Part::Record) => Some(Found::Record(id)),
        (id, Part::Keep) => Some(Found::Keep(id)),
        (id, Part::Damage) => Some(Found::Damage(id)),
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
