//! Giving other backups that wait for their WAL the status that is true by now.

use model::backup::id::BackupId;

use super::world::{BackupWorld, step};
use crate::catalogue::read_catalogue;
use crate::progress::Event;
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
            let text = format!("cannot look after backups that wait for WAL: {error}");
            warn(world, &text);
        }
    }
}

fn tell(world: &BackupWorld, settled: &Settled) {
    let Settled { id, status, error } = settled;
    match error {
        Some(error) => warn(world, &format!("backup {id} is {status}: {error}")),
        None => step(world, &format!("the WAL of backup {id} has arrived")),
    }
}

fn warn(world: &BackupWorld, text: &str) {
    world.progress.event(Event::Warning { text });
}
