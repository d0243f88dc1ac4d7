//! Sending on a backup that a Barman server has taken, as the hook script of that server.
//!
//! The files are in the server's directory, `data` and one directory for each tablespace, and the
//! record is complete; both go into the bucket in the layout of every other backup there. Always
//! true: the record goes last and unchanged, so that a backup that is only half sent is not listed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::TimeZone;
use model::backup::contents::version_directory;
use model::backup::id::BackupId;
use model::backup::needed_wal::Span;
use model::backup::{BackupInfo, BackupStatus, Tablespace};
use model::codec::Codec;
use model::damage::DamagedPage;
use model::format::backup_info;
use model::layout::ArchiveSet;

use super::local::{Contents, gather, has_checksums};
use crate::archives::confirm::confirm_archives;
use crate::archives::jobs::{give_up, start_jobs, wait_for_all, wait_for_files};
use crate::archives::write::{Shared, Tail};
use crate::backup::error::BackupError;
use crate::backup::places::check_tablespace;
use crate::backup::record::note_damage;
use crate::backup::request::Rules;
use crate::backup::tail::{Ending, control_member, read_label};
use crate::backup::world::{BackupWorld, step};
use crate::cluster::control::read_control;
use crate::progress::Step;
use crate::source::walk::Root;
use crate::store::Written;

/// A finished backup on a Barman server.
#[derive(Debug, Clone)]
pub struct TakenBackup {
    pub id: BackupId,
    /// Where `data` lies, and the directories of the tablespaces, named by their OIDs.
    pub directory: PathBuf,
    /// Its `backup.info`.
    pub record: PathBuf,
}

/// Sends the backup; returns the damaged pages it has. One that is in the bucket already is left
/// there as it is.
///
/// # Errors
/// When it is not a complete backup in plain files, a file cannot be read, or the store refuses.
pub async fn send_taken(
    taken: &TakenBackup,
    codec: Codec,
    rules: &Rules,
    world: &BackupWorld,
) -> Result<Vec<DamagedPage>, BackupError> {
    let content = taken.read(&taken.record)?;
    let key = world.repository.records.layout.backup_info(&taken.id);
    match world.repository.records.bucket.read(&key).await {
        Ok(there) if there == content => return Ok(Vec::new()),
        Ok(_) => return Err(taken.unfit("the bucket has another backup of that id")),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    let info = taken.parse(&content)?;
    step(world, Step::SendingBackup(taken.id));
    let contents = taken.contents(&info)?;
    let shared = Arc::new(gather(contents, codec, world).await?);
    let mut jobs = start_jobs(rules, world, &shared, taken.id).await?;
    let files = wait_for_files(world, &mut jobs, None).await;
    match files.and_then(|()| taken.tail(&info, &shared)) {
        Ok(tail) => jobs.send(tail),
        Err(error) => return Err(give_up(jobs, error).await),
    }
    wait_for_all(world, &mut jobs).await?;
    let damaged = std::mem::take(&mut *shared.damaged.lock().expect("no thread panicked"));
    note_damage(world, &taken.id, &damaged).await?;
    confirm_archives(world, &taken.id, &jobs.sent).await?;
    let created = world
        .repository
        .records
        .bucket
        .create(&key, content.clone().into(), &world.tags);
    match created.await? {
        Written::AlreadyExists if world.repository.records.bucket.read(&key).await? != content => {
            Err(taken.unfit("the bucket has got another backup of that id meanwhile"))
        }
        _ => Ok(damaged),
    }
}

impl TakenBackup {
    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn unfit(&self, cause: impl Into<String>) -> BackupError {
        BackupError::Taken {
            directory: self.directory.clone(),
            cause: cause.into(),
        }
    }

    fn read(&self, path: &Path) -> Result<Bytes, BackupError> {
        let content = fs::read(path);
        let failed = |error| self.unfit(format!("cannot read {}: {error}", path.display()));
        content.map(Bytes::from).map_err(failed)
    }

    /// The record, if it is one of a complete backup in plain files.
    fn parse(&self, content: &[u8]) -> Result<BackupInfo, BackupError> {
        let text = String::from_utf8_lossy(content);
        let info = backup_info::parse(&text, &TimeZone::system());
        let info = info.map_err(|error| {
            self.unfit(format!("{} is damaged: {error}", self.record.display()))
        })?;
        if info.status != BackupStatus::Done {
            return Err(self.unfit(format!("its status is {}", info.status)));
        }
        if info.compression.is_some() {
            return Err(self.unfit("it is compressed; only plain files can be sent"));
        }
        if info.encryption.is_some() {
            return Err(self.unfit("it is encrypted; only plain files can be sent"));
        }
        if info.parent_backup_id.is_some() {
            return Err(self.unfit("it is incremental; only a full backup can be sent"));
        }
        if !self.data().join("PG_VERSION").is_file() {
            return Err(self.unfit("its directory data holds no PG_VERSION"));
        }
        Ok(info)
    }

    fn contents(&self, info: &BackupInfo) -> Result<Contents, BackupError> {
        let (_, control) = read_control(&self.data())?;
        let major = self.fact(info.version, "version")?.major();
        let version = version_directory(major, control.catalog_version);
        let tablespaces = info.tablespaces.as_deref().unwrap_or_default();
        let mut roots = Vec::new();
        for Tablespace { name, oid, .. } in tablespaces {
            let location = self.directory.join(oid.to_string());
            check_tablespace(name, &location, &version)?;
            let root = Root::Tablespace {
                location,
                version_directory: version.clone(),
            };
            roots.push((ArchiveSet::Tablespace(*oid), root));
        }
        let data = Root::Data {
            directory: self.data(),
            leave_out: Vec::new(),
        };
        roots.push((ArchiveSet::Data, data));
        Ok(Contents {
            roots,
            data: self.data(),
            check_from: has_checksums(&control).then_some(info.begin_xlog).flatten(),
        })
    }

    fn tail(&self, info: &BackupInfo, shared: &Shared) -> Result<Tail, BackupError> {
        let label = self.read(&self.data().join("backup_label"))?;
        let text = String::from_utf8_lossy(&label).into_owned();
        let label = read_label(&text)?;
        let end = self.fact(info.end_xlog, "end_xlog")?;
        let ending = Ending {
            members: vec![control_member(&self.data())?],
            label: text,
            span: Span::on_one_timeline(label.start_timeline, label.start_lsn, end),
            version: self.fact(info.version, "version")?,
            system_id: self.fact(info.systemid, "systemid")?,
        };
        ending.seal(shared)
    }

    fn fact<T>(&self, value: Option<T>, key: &str) -> Result<T, BackupError> {
        value.ok_or_else(|| self.unfit(format!("its record has no {key}")))
    }
}
