//! Whose archive is it? A segment of another cluster under a free name would end a recovery there.
//!
//! Before a cluster's first segment is archived, and again an hour after the last look, the system
//! identifier in it is compared with that of segments that are there: the one before it and the
//! newest. A small note remembers the answer, so that most files cost no request for it. Always
//! true: a segment is refused only if each of them comes from another cluster; what cannot be read
//! is no witness.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::postgres::SystemId;
use model::wal::name::SegmentName;
use tokio::sync::OnceCell;

use super::neighbours::{header_of, witnesses};
use super::private_folder::{FolderError, open_private};
use crate::durable::{Durability, PendingFile};
use crate::repository::Shelf;
use crate::store::{StoreError, key_of};

/// What was seen longer ago is looked at again: the archive may be another one by now.
const LONGEST_MEMORY: Duration = Duration::from_secs(3600);

/// Where is noted which cluster an archive belongs to.
#[derive(Debug, Clone)]
pub struct OwnerNote {
    file: PathBuf,
}

impl OwnerNote {
    /// The note in this folder, which is made if it is missing. `archive` tells the store and the
    /// server from all others that use the same folder.
    ///
    /// # Errors
    /// When the folder cannot be made, or others could have put something there.
    pub fn open(folder: &Path, archive: &str) -> Result<OwnerNote, FolderError> {
        open_private(folder)?;
        Ok(OwnerNote {
            file: folder.join(format!("wal-archive-of-{archive}")),
        })
    }

    fn read(&self) -> Option<SystemId> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (system_id, noted_at) = text.trim_end().split_once(' ')?;
        let noted_at = UNIX_EPOCH + Duration::from_secs(noted_at.parse().ok()?);
        let age = SystemTime::now().duration_since(noted_at).ok()?;
        (age <= LONGEST_MEMORY).then(|| system_id.parse().ok())?
    }

    fn write(&self, system_id: SystemId) -> std::io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let mut file = PendingFile::create(&self.file)?;
        file.write_all(format!("{system_id} {now}\n").as_bytes())?;
        file.finish(Durability::Atomic)
    }
}

/// A segment of the archive that another cluster wrote.
#[derive(Debug, Clone)]
pub(super) struct Foreign {
    pub(super) object: String,
    pub(super) system_id: SystemId,
}

/// The look at an archive: once for all files that are archived together.
#[derive(Debug, Default)]
pub(super) struct ArchiveOwner {
    seen: OnceCell<Option<Foreign>>,
}

impl ArchiveOwner {
    /// A segment of another cluster, if the archive is not this one's.
    pub(super) async fn foreign(
        &self,
        shelf: &Shelf,
        note: Option<&OwnerNote>,
        (segment, system_id): (&SegmentName, SystemId),
    ) -> Result<Option<Foreign>, StoreError> {
        if note.and_then(OwnerNote::read) == Some(system_id) {
            return Ok(None);
        }
        let look = || look(shelf, (segment, system_id));
        let seen = self.seen.get_or_try_init(look).await?;
        if let (None, Some(note)) = (seen, note) {
            // Without the note the next file looks again.
            let _ = note.write(system_id);
        }
        Ok(seen.clone())
    }
}

async fn look(
    shelf: &Shelf,
    (segment, system_id): (&SegmentName, SystemId),
) -> Result<Option<Foreign>, StoreError> {
    let mut foreign = None;
    for witness in witnesses(shelf, segment).await? {
        // Whoever may only write, or has to wait for a cold store, archives all the same.
        let Ok(Some(facts)) = header_of(&shelf.bucket, &witness).await else {
            continue;
        };
        if facts.system_id == system_id {
            return Ok(None);
        }
        foreign.get_or_insert(Foreign {
            object: shelf.bucket.address(&key_of(&witness.object)),
            system_id: facts.system_id,
        });
    }
    Ok(foreign)
}
