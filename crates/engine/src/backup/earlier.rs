//! What is in the bucket before a backup begins: is this the place of this server?
//!
//! Hours of copying are for nothing if the server's WAL cannot be archived beside the backup.

use model::backup::catalogue::Entry;
use model::wal::name::SegmentName;

use super::error::BackupError;
use super::request::BackupRequest;
use super::world::BackupWorld;
use crate::catalogue::{backup_ids, read_backup, read_catalogue};
use crate::cluster::facts::ServerFacts;
use crate::cluster::session::Session;
use crate::progress::{Event, Warning};
use crate::store::StoreError;
use crate::wal::presence::{Header, read_header};

/// Looks at what is there.
///
/// # Errors
/// When the server's WAL goes nowhere, or another system's WAL is in its way. What is only odd is
/// a warning event.
pub async fn check_place(
    request: &BackupRequest,
    facts: &ServerFacts,
    session: &mut Session,
    world: &BackupWorld,
) -> Result<(), BackupError> {
    if facts.wal_goes_nowhere() {
        return Err(BackupError::NotArchived);
    }
    if !facts.in_recovery
        && let Some(segment) = session.current_segment().await?
    {
        check_current_segment(segment, facts, world).await?;
    }
    if session.is_pooled() {
        world.progress.event(Event::Warning(Warning::PooledSession));
    }
    warn_of_other_system(facts, world).await?;
    if let Some(name) = &request.name {
        warn_of_same_name(name, world).await?;
    }
    Ok(())
}

/// A segment that is being written is in no archive yet. If its name is taken by another system,
/// this server's WAL will be refused there, or has replaced the other's.
async fn check_current_segment(
    segment: SegmentName,
    facts: &ServerFacts,
    world: &BackupWorld,
) -> Result<(), BackupError> {
    match read_header(&world.repository.wals, segment).await? {
        Header::Of(found) if found != facts.system_id => Err(BackupError::ForeignArchive {
            archive: world
                .repository
                .wals
                .bucket
                .address(&world.repository.wals.layout.wals()),
            segment,
            found,
            expected: facts.system_id,
        }),
        _ => Ok(()),
    }
}

/// How many of the newest records are looked at for one that can be read.
const LOOK_BACK: usize = 4;

async fn warn_of_other_system(facts: &ServerFacts, world: &BackupWorld) -> Result<(), StoreError> {
    let ids = backup_ids(&world.repository.records).await?;
    for id in ids.iter().rev().take(LOOK_BACK) {
        let Some(Entry::Readable(info)) = read_backup(&world.repository.records, id).await? else {
            continue;
        };
        if let Some(other) = info.systemid.filter(|other| *other != facts.system_id) {
            world.progress.event(Event::Warning(Warning::OtherSystem {
                backup: *id,
                theirs: other,
                ours: facts.system_id,
            }));
        }
        return Ok(());
    }
    Ok(())
}

async fn warn_of_same_name(name: &str, world: &BackupWorld) -> Result<(), StoreError> {
    let catalogue = read_catalogue(&world.repository.records).await?.backups;
    let has_it = |info: &model::backup::BackupInfo| info.backup_name.as_deref() == Some(name);
    if let Some((id, _)) = catalogue.readable().rev().find(|(_, info)| has_it(info)) {
        let warning = Warning::NameTaken { name, by: *id };
        world.progress.event(Event::Warning(warning));
    }
    Ok(())
}
