//! What the archive has already, looked up for several files with one request.
//!
//! A listing by a segment's name without its last digit shows sixteen segments at once. Always
//! true: whether a file is there is asked after it was decided to archive it, and a listing that
//! failed is no answer: the next file that needs it asks again.

use std::collections::{BTreeMap, HashMap};

use model::codec::Codec;
use model::layout::Layout;
use model::wal::name::{SegmentName, WalName};
use tokio::sync::OnceCell;

use crate::repository::Shelf;
use crate::store::{StoreError, key_of};

/// The keys that hold a file, each with its codec: one, unless it was stored twice.
type Keys = Vec<(String, Codec)>;
type StoredNames = HashMap<WalName, Keys>;

/// The part of the archive that some files belong to; by default every file is looked up alone.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// By the prefix that is listed.
    parts: BTreeMap<String, OnceCell<StoredNames>>,
}

impl Lookup {
    /// The part for these segments. Nothing is asked yet.
    pub(super) fn of<'a>(
        layout: &Layout,
        segments: impl Iterator<Item = &'a SegmentName>,
    ) -> Lookup {
        let prefixes = segments.map(|name| prefix(layout, &WalName::Segment(*name)));
        Lookup {
            parts: prefixes.map(|it| (it, OnceCell::new())).collect(),
        }
    }

    /// The keys and codecs of the objects that hold exactly this file.
    pub(super) async fn find(&self, shelf: &Shelf, name: &WalName) -> Result<Keys, StoreError> {
        let prefix = prefix(&shelf.layout, name);
        let Some(part) = self.parts.get(&prefix) else {
            return all_of(shelf, name).await;
        };
        let names = part.get_or_try_init(|| list(shelf, &prefix)).await;
        Ok(names?.get(name).cloned().unwrap_or_default())
    }
}

/// The same, asked at this very moment.
pub(super) async fn all_of(shelf: &Shelf, name: &WalName) -> Result<Keys, StoreError> {
    let mut names = list(shelf, &shelf.layout.wal(name, Codec::None)).await?;
    Ok(names.remove(name).unwrap_or_default())
}

/// All names that differ in the last digit alone.
pub(super) fn prefix(layout: &Layout, name: &WalName) -> String {
    let mut prefix = layout.wal(name, Codec::None);
    prefix.pop();
    prefix
}

/// The WAL files whose keys begin with `prefix`.
pub(super) async fn list(shelf: &Shelf, prefix: &str) -> Result<StoredNames, StoreError> {
    let mut names = StoredNames::new();
    for object in shelf.bucket.list(prefix).await? {
        let key = key_of(&object).into_owned();
        if let Some((name, codec)) = shelf.layout.wal_of(&key) {
            names.entry(name).or_default().push((key, codec));
        }
    }
    Ok(names)
}

/// The key and codec of the object that holds exactly this WAL file, in whatever codec.
///
/// # Errors
/// When the store cannot be asked.
pub(super) async fn find(
    shelf: &Shelf,
    name: &WalName,
) -> Result<Option<(String, Codec)>, StoreError> {
    Ok(all_of(shelf, name).await?.into_iter().next())
}
