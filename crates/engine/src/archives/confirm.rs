//! Whether what was sent is there, before a record says so.
//!
//! A store can answer that it has an object and have none, and somebody can delete a backup that is
//! still running. Always true: nothing is DONE whose archives were not seen in the bucket, each
//! with the size it was sent with.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::backup::id::BackupId;
use object_store::ObjectStoreExt;

use crate::backup::error::BackupError;
use crate::backup::world::{BackupWorld, cancellable};
use crate::store::{StoreError, key_of};

/// The archives that a backup has sent, and how many bytes each has; shared by its jobs.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<Mutex<BTreeMap<String, u64>>>);

impl Sent {
    pub fn add(&self, key: String, bytes: u64) {
        let mut sent = self.0.lock().expect("no thread panics holding it");
        sent.insert(key, bytes);
    }

    fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().expect("no thread panics holding it").clone()
    }
}

/// How often what a listing does not show is asked for by name: some stores list a moment later
/// than they store.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(400);

/// Makes sure that every archive is in the bucket as it was sent.
///
/// # Errors
/// When one is missing or has another size, or the store cannot be asked.
pub async fn confirm_archives(
    world: &BackupWorld,
    id: &BackupId,
    sent: &Sent,
) -> Result<(), BackupError> {
    let mut left = sent.all();
    let prefix = format!("{}/", world.repository.bases.layout.base(id));
    let listing = world.repository.bases.bucket.list_each(&prefix, |object| {
        let key = key_of(&object);
        if left.get(&*key) == Some(&object.size) {
            left.remove(&*key);
        }
        ControlFlow::Continue(())
    });
    cancellable(world, listing).await??;
    for (key, bytes) in left {
        cancellable(world, confirm(world, &key, bytes)).await??;
    }
    Ok(())
}

async fn confirm(world: &BackupWorld, key: &str, bytes: u64) -> Result<(), BackupError> {
    let mut found = None;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        found = size_of(world, key).await?;
        if found == Some(bytes) {
            return Ok(());
        }
    }
    let object = world.repository.bases.bucket.address(key);
    Err(match found {
        None => BackupError::Forgotten { object },
        Some(found) => BackupError::OtherSize {
            object,
            sent: bytes,
            found,
        },
    })
}

async fn size_of(world: &BackupWorld, key: &str) -> Result<Option<u64>, StoreError> {
    let bucket = &world.repository.bases.bucket;
    match bucket.objects.head(&bucket.path(key)?).await {
        Ok(object) => Ok(Some(object.size)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(bucket.error("read", key)(source)),
    }
}
