//! Deleting backups and the WAL that only they needed.
//!
//! What goes and in which order is `model::deletion`'s plan; here the facts for it are gathered and
//! it is carried out. Always true: a record or an annotation that the store lists but does not give
//! is unreadable, and then the planner deletes nothing; a record is changed only from what was
//! planned with; a group of objects is touched only when the store has confirmed that the one
//! before it is gone; and a plan that was interrupted is finished by planning and executing again.

mod error;
mod marks;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use model::backup::catalogue::Entry;
use model::backup::id::BackupId;
use model::deletion::{DeletionPlan, Facts, Going, Target};
use model::layout::{Part, RECORD};

use crate::catalogue::{BucketCatalogue, read_catalogue};
use crate::repository::{Repository, Shelf};
use crate::settling::{Settle, Settled, settle};
use crate::store::{StoreError, key_of};
use crate::strangers::Strangers;
use marks::Marks;

pub use error::DeletionError;

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    pub backup_count: usize,
    pub wal_file_count: usize,
}

/// Looks at everything a plan depends on.
///
/// # Errors
/// When the store cannot be listed or a record cannot be fetched.
pub async fn gather(repository: &Repository) -> Result<Facts, StoreError> {
    let found = read_catalogue(&repository.records).await?;
    look_afresh(repository, found).await
}

/// The same, after backups that wait for WAL were given the status that is true by now.
///
/// # Errors
/// When the store cannot be listed, a record cannot be fetched, or one cannot be written.
pub async fn gather_settled(
    repository: &Repository,
    how: Settle,
) -> Result<(Facts, Vec<Settled>), StoreError> {
    let mut found = read_catalogue(&repository.records).await?;
    let settled = settle(repository, &mut found.backups, how).await?;
    Ok((look_afresh(repository, found).await?, settled))
}

/// Records and annotations were listed and read first; now everything is listed afresh: what that
/// second listing has and the reading did not find is there and unreadable.
async fn look_afresh(repository: &Repository, found: BucketCatalogue) -> Result<Facts, StoreError> {
    let mut facts = Facts {
        backups: found.backups,
        kept: found.kept,
        unreadable_keeps: found.unreadable_keeps,
        ..Facts::default()
    };
    let mut newest = None;
    for shelf in repository.of_backups() {
        let see_object = |object: object_store::ObjectMeta| {
            if let Some((id, name)) = shelf.layout.backup_of(&key_of(&object)) {
                newest = newest.max(Some(object.last_modified));
                facts.objects.entry(id).or_default().push(name.to_owned());
            }
            ControlFlow::Continue(())
        };
        let backups = format!("{}/", shelf.layout.backups());
        shelf.bucket.list_each(&backups, see_object).await?;
    }
    let wals = &repository.wals;
    let mut strangers = Strangers::default();
    let see_wal = |object: object_store::ObjectMeta| {
        let key = key_of(&object);
        match wals.layout.wal_of(&key) {
            Some(wal) => {
                newest = newest.max(Some(object.last_modified));
                facts.wal.push(wal);
            }
            None => strangers.add(&key),
        }
        ControlFlow::Continue(())
    };
    let wal = format!("{}/", wals.layout.wals());
    wals.bucket.list_each(&wal, see_wal).await?;
    wals.bucket.tell_of(&wal, &strangers);
    let newest = newest.map(|newest| Timestamp::from_second(newest.timestamp()));
    facts.newest_object = newest.and_then(Result::ok);
    note_withheld(&mut facts);
    Ok(facts)
}

/// What the last listing has, but nobody could read: the store denied it, or it is quite new.
fn note_withheld(facts: &mut Facts) {
    let reason = "the object store lists it, but does not give it";
    for (id, names) in &facts.objects {
        let lists = |wanted: Part<'_>| names.iter().any(|name| Part::of(name) == wanted);
        if lists(Part::Record) && facts.backups.get(id).is_none() {
            let reason = reason.to_owned();
            facts.backups.insert(*id, Entry::Unreadable { reason });
        }
        let is_known = facts.kept.contains_key(id) || facts.unreadable_keeps.contains_key(id);
        if lists(Part::Keep) && !is_known {
            facts.unreadable_keeps.insert(*id, reason.to_owned());
        }
    }
}

/// How many objects are asked about at the same time.
const QUESTIONS: usize = 8;

/// Looks whether any object of the backups that are to go is locked. WAL files are not looked at.
///
/// # Errors
/// With the first lock that is found, or when the store cannot be asked.
pub async fn check_locks(
    plan: &DeletionPlan,
    repository: &Repository,
) -> Result<(), DeletionError> {
    let objects = plan.going().flat_map(|(id, going)| {
        let names = going.data.iter().chain(&going.annotations);
        let names = names.map(String::as_str).chain([RECORD]);
        names.map(move |name| (*id, name.to_owned()))
    });
    let questions = objects.map(|(id, object)| async move {
        let shelf = repository.shelf_of(Part::of(&object));
        let Some(locks) = &shelf.bucket.locks else {
            return Ok(());
        };
        let key = format!("{}/{object}", shelf.layout.base(&id));
        let lock = locks.lock_of(&shelf.bucket.path(&key)?).await;
        match lock.map_err(shelf.bucket.error("read", &key))? {
            Some(lock) => Err(DeletionError::Locked { id, object, lock }),
            None => Ok(()),
        }
    });
    let mut answers = stream::iter(questions.collect::<Vec<_>>()).buffered(QUESTIONS);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok(())
}

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub struct Manner {
    /// So many objects at most are deleted by one request to the store.
    pub batch: NonZeroUsize,
    /// What a marked record says beside that its backup is being deleted: how that is finished.
    pub words: String,
}

/// Carries a plan out.
///
/// # Errors
/// When somebody else keeps one of the backups or has changed its record since it was read: then
/// nothing is deleted. When the store refuses; what was planned and is left is then marked, and the
/// next run, by id or by policy, goes on with it.
pub async fn execute(
    plan: &DeletionPlan,
    repository: &Repository,
    how: &Manner,
) -> Result<Deleted, DeletionError> {
    let going: Vec<(&BackupId, &Going)> = plan.going().collect();
    let mut marks = Marks::new(&repository.records, &how.words);
    for (id, going) in &going {
        marks.take(id, &going.record).await?;
    }
    if let Some(id) = newly_kept(&repository.records, &marks).await? {
        marks.give_back().await?;
        return Err(DeletionError::KeptMeanwhile(id));
    }
    let mut wal_file_count = 0;
    for group in plan.groups() {
        for targets in group.chunks(how.batch.get()) {
            let is_wal = |target: &&Target| matches!(target, Target::Wal(..));
            wal_file_count += targets.iter().filter(is_wal).count();
            delete(repository, targets).await?;
        }
    }
    Ok(Deleted {
        backup_count: going.len(),
        wal_file_count,
    })
}

/// Whoever keeps a backup looks at its record after writing the annotation; here it is the other
/// way round. So at least one of two that meet sees the other.
async fn newly_kept(shelf: &Shelf, marks: &Marks<'_>) -> Result<Option<BackupId>, StoreError> {
    for id in marks.fresh() {
        if shelf
            .bucket
            .exists(&shelf.layout.annotation_keep(id))
            .await?
        {
            return Ok(Some(*id));
        }
    }
    Ok(None)
}

/// Deletes objects of one shelf in no particular order; those that are not there are no error.
async fn delete(repository: &Repository, targets: &[Target]) -> Result<(), StoreError> {
    let mut about = None;
    let mut paths = Vec::new();
    for target in targets {
        let (shelf, key) = repository.place_of(target);
        paths.push(Ok(shelf.bucket.path(&key)?));
        about.get_or_insert((&shelf.bucket, key));
    }
    let Some((bucket, first)) = about else {
        return Ok(());
    };
    let mut answers = bucket.objects.delete_stream(stream::iter(paths).boxed());
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(bucket.error("delete", &first)(source)),
        }
    }
    Ok(())
}
