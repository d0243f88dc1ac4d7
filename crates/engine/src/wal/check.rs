//! Looking for WAL where a new server is about to archive.
//!
//! A server that archives beside the WAL of another one makes both useless; this tells before the
//! first segment is stored. Always true: every file with a WAL name counts, histories and labels
//! included; other objects do not.

use std::ops::ControlFlow;

use model::wal::name::WalName;
use model::wal::timeline::TimelineId;

use crate::repository::Shelf;
use crate::store::{StoreError, key_of};

/// A WAL file of `from` or a later timeline, if there is one; of any timeline without `from`.
///
/// # Errors
/// When the store cannot be listed.
pub async fn find_wal(
    shelf: &Shelf,
    from: Option<TimelineId>,
) -> Result<Option<WalName>, StoreError> {
    let prefix = format!("{}/", shelf.layout.wals());
    let mut found = None;
    let see = |name: WalName| from.is_none_or(|from| name.timeline() >= from);
    shelf
        .bucket
        .list_each(&prefix, |object| {
            let name = shelf.layout.wal_of(&key_of(&object));
            match name {
                Some((name, _)) if see(name) => {
                    found = Some(name);
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        })
        .await?;
    Ok(found)
}
