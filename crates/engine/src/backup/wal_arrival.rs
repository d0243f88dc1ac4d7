//! Giving other backups that wait for their WAL the status that is true by now.

use model::backup::id::BackupId;

use super::world::{BackupWorld, step};
use crate::catalogue::read_catalogue;
use crate::progress::{Event, Step, Warning};
use crate::settling::{Settle, Settled, settle};

/// Settles every backup that waits for WAL, but this one. A failure is only worth a warning: the
/// next command looks again.
pub async fn settle_others(world: &BackupWorld, but: &BackupId) {
    let settled = async {
        let mut backups = read_catalogue(&world.repository.records).await?.backups;
        backups.remove(but);
        settle(&world.repository, &mut backups, Settle::Write).await
    };
    match settled.await {
        Ok(settled) => settled.iter().for_each(|settled| tell(world, settled)),
        Err(error) => {
            let cause = &error.to_string();
            warn(world, Warning::CannotSettle { cause });
        }
    }
}

fn tell(world: &BackupWorld, settled: &Settled) {
    let (backup, status) = (settled.id, settled.status);
    match &settled.error {
        Some(cause) => warn(
            world,
            Warning::Settled {
                backup,
                status,
                cause,
            },
        ),
        None => step(world, Step::WalArrived(backup)),
    }
}

fn warn(world: &BackupWorld, warning: Warning<'_>) {
    world.progress.event(Event::Warning(warning));
}
