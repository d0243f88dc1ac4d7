//! Marking records as being deleted, and taking the marks back.
//!
//! Several deletions may mean the same backup at the same time, and one of them may give way to
//! whoever keeps it. Each mark names its run, so that a run takes back only marks that nobody has
//! taken over since. Always true: a record is written only in place of the text that was read; what
//! is gone is not brought back.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::backup::BackupInfo;
use model::backup::id::BackupId;
use model::backup::mark::{is_being_deleted, mark};
use model::format::backup_info;

use super::error::DeletionError;
use crate::repository::Shelf;
use crate::store::StoreError;

/// How often a record is read again that others keep changing.
const TRIES: usize = 5;

/// The marks of one run.
pub(super) struct Marks<'a> {
    shelf: &'a Shelf,
    /// What a record says beside that its backup is being deleted.
    words: &'a str,
    run: String,
    taken: Vec<Mark>,
}

/// A record that now says that its backup is being deleted.
struct Mark {
    id: BackupId,
    /// What it said before; none if that was a mark, too.
    before: Option<Bytes>,
    ours: Bytes,
}

/// A name that no other run has.
fn name_run() -> String {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let (now, process) = (Timestamp::now(), std::process::id());
    format!("run {process}.{number} of {now:.6}")
}

impl<'a> Marks<'a> {
    pub(super) fn new(shelf: &'a Shelf, words: &'a str) -> Marks<'a> {
        Marks {
            shelf,
            words,
            run: name_run(),
            taken: Vec::new(),
        }
    }

    /// Marks the record of a backup that goes. A mark of another run is taken over: if that one
    /// gives way, it no longer finds its own. But where somebody keeps the backup, the other run is
    /// about to give way, and its mark is left to it.
    ///
    /// # Errors
    /// When the record is not what the plan was made with, or a marked backup is kept; then all
    /// marks are taken back. When the store refuses; then they stay.
    pub(super) async fn take(
        &mut self,
        id: &BackupId,
        planned: &BackupInfo,
    ) -> Result<(), DeletionError> {
        for _ in 0..TRIES {
            match self.try_to_take(id, planned).await? {
                Tried::Taken(mark) => {
                    self.taken.push(mark);
                    return Ok(());
                }
                Tried::Overtaken => {}
                Tried::Changed => break,
                Tried::Kept => {
                    self.give_back().await?;
                    return Err(DeletionError::KeptMeanwhile(*id));
                }
            }
        }
        self.give_back().await?;
        Err(DeletionError::ChangedMeanwhile(*id))
    }

    async fn try_to_take(&self, id: &BackupId, planned: &BackupInfo) -> Result<Tried, StoreError> {
        let key = self.shelf.layout.backup_info(id);
        let (before, version) = match self.shelf.bucket.read_version(&key).await {
            Ok(read) => read,
            Err(error) if error.is_not_found() => return Ok(Tried::Changed),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&before);
        let Ok(now) = backup_info::parse(&text, &TimeZone::system()) else {
            return Ok(Tried::Changed);
        };
        let was_marked = is_being_deleted(&now);
        if !was_marked && backup_info::render(&now) != backup_info::render(planned) {
            return Ok(Tried::Changed);
        }
        // An annotation that comes after this look is taken back: its writer finds the mark.
        if was_marked
            && self
                .shelf
                .bucket
                .exists(&self.shelf.layout.annotation_keep(id))
                .await?
        {
            return Ok(Tried::Kept);
        }
        let ours = Bytes::from(backup_info::render(&mark(&now, self.words, &self.run)));
        Ok(
            if self
                .shelf
                .bucket
                .replace(&key, version, ours.clone())
                .await?
            {
                Tried::Taken(Mark {
                    id: *id,
                    before: (!was_marked).then_some(before),
                    ours,
                })
            } else {
                Tried::Overtaken
            },
        )
    }

    /// The backups whose records said something else than that they are being deleted.
    pub(super) fn fresh(&self) -> impl Iterator<Item = &BackupId> {
        let fresh = self.taken.iter().filter(|mark| mark.before.is_some());
        fresh.map(|mark| &mark.id)
    }

    /// Puts back what the records said, where the marks are still ours.
    ///
    /// # Errors
    /// When the store refuses; the next run then goes on with what is left marked.
    pub(super) async fn give_back(&mut self) -> Result<(), StoreError> {
        for mark in std::mem::take(&mut self.taken) {
            let Some(before) = mark.before else {
                continue;
            };
            let key = self.shelf.layout.backup_info(&mark.id);
            match self.shelf.bucket.read_version(&key).await {
                Ok((now, version)) if now == mark.ours => {
                    self.shelf.bucket.replace(&key, version, before).await?;
                }
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What came of one attempt to mark a record.
enum Tried {
    Taken(Mark),
    /// Somebody wrote between our look and our mark.
    Overtaken,
    /// The record is not what it was.
    Changed,
    /// Another run has marked it, and somebody keeps it.
    Kept,
}
