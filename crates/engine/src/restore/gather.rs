//! What the owner of a restored backup should know, looked up before anything is written.

use model::backup::BackupInfo;
use model::wal::span::{MissingWal, WalRange};

use super::world::RestoreWorld;
use crate::store::StoreError;
use crate::wal::presence;
use crate::wal::timelines::{Ways, ways_from};

/// What may go wrong when PostgreSQL is started on the backup.
#[derive(Debug)]
pub struct RestoreHazards {
    /// Segments without which the backup does not become consistent.
    pub missing_wal: MissingWal,
    /// Where recovery goes by itself, if the record says where the backup ended.
    pub ways: Option<Ways>,
}

/// Looks at the WAL that the backup needs and at the timelines after it.
///
/// # Errors
/// When the store cannot be asked.
pub async fn gather_hazards(
    info: &BackupInfo,
    world: &RestoreWorld,
) -> Result<RestoreHazards, StoreError> {
    let wals = &world.repository.wals;
    let missing_wal = match WalRange::of(info) {
        Some(range) => presence::missing_wal(wals, &range).await?,
        None => MissingWal::default(),
    };
    let ways = ways_from(wals, info).await?;
    Ok(RestoreHazards { missing_wal, ways })
}
