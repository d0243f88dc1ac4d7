//! The backup's record, `backup.info`, from STARTED to DONE or FAILED.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Zoned;
use jiff::tz::Offset;
use model::backup::id::BackupId;
use model::backup::{BackupInfo, BackupStatus, Tablespace};
use model::damage::{self, DamagedPage};
use model::format::backup_info;
use model::format::backup_label::BackupLabel;
use model::format::python_literal::Value;
use model::moment::Moment;
use model::wal::lsn::Lsn;
use model::wal::name::SegmentName;
use object_store::UpdateVersion;

use super::error::BackupError;
use super::request::BackupRequest;
use super::wal_wait::WalFate;
use super::world::{BackupWorld, cancellable};
use crate::archives::confirm::Sent;
use crate::causes;
use crate::cluster::backup_session::{Started, Stopped};
use crate::cluster::facts::ServerFacts;
use crate::store::{StoreError, Written, key_of};

/// What is known after the copy.
pub struct Copied {
    pub stopped: Stopped,
    pub label: BackupLabel,
    /// The last segment the backup needs.
    pub end_wal: SegmentName,
    pub damaged: Vec<DamagedPage>,
    pub wal: WalFate,
    /// Item name (`data` or a tablespace's OID) and the seconds spent on its archives.
    pub seconds_per_set: Vec<(String, f64)>,
    pub copy_seconds: f64,
    pub sent: Sent,
}

/// A record on its way into the catalogue.
pub struct Record {
    pub id: BackupId,
    pub info: BackupInfo,
    jobs: usize,
    begun: Instant,
    /// What is in the bucket, if nobody else writes there.
    written: Bytes,
}

/// How often a free id is looked for while others have theirs.
const PAUSE: Duration = Duration::from_millis(200);

fn started_info(request: &BackupRequest, facts: &ServerFacts) -> BackupInfo {
    BackupInfo {
        status: BackupStatus::Started,
        server_name: Some(request.server_name.clone()),
        backup_name: request.name.clone(),
        version: Some(facts.version),
        systemid: Some(facts.system_id),
        xlog_segment_size: facts.segment_size,
        pgdata: Some(facts.data_directory.clone()),
        config_file: facts.config_file.clone(),
        hba_file: facts.hba_file.clone(),
        ident_file: facts.ident_file.clone(),
        included_files: Some(facts.included_files.clone()).filter(|files| !files.is_empty()),
        data_checksums: Some(facts.data_checksums.clone()),
        summarize_wal: facts.summarize_wal.clone(),
        cluster_size: Some(facts.cluster_size_bytes),
        tablespaces: listed(facts),
        ..BackupInfo::default()
    }
}

fn listed(facts: &ServerFacts) -> Option<Vec<Tablespace>> {
    Some(facts.tablespaces.clone()).filter(|list| !list.is_empty())
}

impl Record {
    /// Takes an id that no backup of this server has, the local time to the second, and writes a
    /// record with status STARTED under it. It begins no earlier than the last checkpoint before
    /// it did: that far back its WAL must stay, even if this process is killed at once.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn reserve(
        request: &BackupRequest,
        facts: &ServerFacts,
        checkpoint: Lsn,
        world: &BackupWorld,
    ) -> Result<Record, BackupError> {
        let begun = Instant::now();
        loop {
            let now = Zoned::now();
            let id = BackupId::from_civil(now.datetime()).expect("this century has four digits");
            let began = Started {
                lsn: checkpoint,
                time: Moment::new(now.timestamp(), Offset::UTC),
            };
            let mut record = Record {
                id,
                info: started_info(request, facts),
                jobs: request.rules.jobs.get(),
                begun,
                written: Bytes::new(),
            };
            record.begin(&began);
            let prefix = format!("{}/", world.repository.bases.layout.base(&id));
            let is_free = !cancellable(world, world.repository.bases.bucket.any(&prefix)).await??;
            if is_free && record.create(world).await? == Written::Created {
                return Ok(record);
            }
            cancellable(world, tokio::time::sleep(PAUSE)).await?;
        }
    }

    /// Notes where the backup begins.
    pub fn begin(&mut self, started: &Started) {
        self.info.begin_time = Some(started.time);
        self.info.begin_xlog = Some(started.lsn);
        self.info.begin_offset = Some(started.lsn.offset(self.info.xlog_segment_size));
    }

    /// Notes which tablespaces there are.
    pub fn note_tablespaces(&mut self, facts: &ServerFacts) {
        self.info.tablespaces = listed(facts);
    }

    /// Writes the record for the first time; never over another backup's.
    async fn create(&mut self, world: &BackupWorld) -> Result<Written, StoreError> {
        let key = world.repository.records.layout.backup_info(&self.id);
        self.written = self.text();
        let created = world
            .repository
            .records
            .bucket
            .create(&key, self.text().into(), &world.tags);
        match created.await? {
            // The store's answer to our own first attempt may have been lost.
            Written::AlreadyExists
                if world.repository.records.bucket.read(&key).await? == self.text() =>
            {
                Ok(Written::Created)
            }
            written => Ok(written),
        }
    }

    /// Writes the record as it is now, in place of what this backup wrote before. A store that
    /// takes no condition is asked for that just before.
    ///
    /// # Errors
    /// When the store refuses, or something else is there by now, or nothing.
    pub async fn save(&mut self, world: &BackupWorld) -> Result<(), BackupError> {
        let key = world.repository.records.layout.backup_info(&self.id);
        let (bucket, text) = (&world.repository.records.bucket, self.text());
        let version = self.check(world).await?;
        let replaced = bucket
            .replace_tagged(&key, version, text.clone(), &world.tags)
            .await;
        if !matches!(replaced, Ok(true)) {
            // Its answer may have been lost, or the store may not know conditions.
            let there = match bucket.read(&key).await {
                Err(error) if error.is_not_found() => return Err(self.deleted(world)),
                read => read?,
            };
            if there != text && (replaced.is_ok() || there != self.written) {
                return Err(self.changed(world));
            }
            if there != text {
                bucket.write_tagged(&key, text.clone(), &world.tags).await?;
            }
        }
        self.written = text;
        Ok(())
    }

    /// Makes sure that the record is still the one that this backup wrote; says which version of
    /// the object that is.
    ///
    /// # Errors
    /// When somebody has deleted or changed it, or the store cannot be asked.
    pub async fn check(&self, world: &BackupWorld) -> Result<UpdateVersion, BackupError> {
        let key = world.repository.records.layout.backup_info(&self.id);
        match world.repository.records.bucket.read_version(&key).await {
            Err(error) if error.is_not_found() => Err(self.deleted(world)),
            Err(error) => Err(error.into()),
            // An answer to an earlier attempt may have been lost.
            Ok((there, version)) if there == self.written || there == self.text() => Ok(version),
            Ok(_) => Err(self.changed(world)),
        }
    }

    fn address(&self, world: &BackupWorld) -> String {
        world
            .repository
            .records
            .bucket
            .address(&world.repository.records.layout.backup_info(&self.id))
    }

    fn deleted(&self, world: &BackupWorld) -> BackupError {
        BackupError::Deleted {
            record: self.address(world),
        }
    }

    fn changed(&self, world: &BackupWorld) -> BackupError {
        BackupError::Changed {
            record: self.address(world),
        }
    }

    /// Deletes what this backup has stored, when its record is gone: nothing, if the store lists
    /// the record and only does not give it.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn sweep(&self, world: &BackupWorld) -> Result<(), StoreError> {
        let prefix = format!("{}/", world.repository.bases.layout.base(&self.id));
        let record = world.repository.records.layout.backup_info(&self.id);
        let bases = &world.repository.bases;
        let left = bases.bucket.list(&prefix).await?;
        if left.iter().any(|object| key_of(object) == record) {
            return Ok(());
        }
        for object in left {
            bases.bucket.delete(&key_of(&object)).await?;
        }
        Ok(())
    }

    fn text(&self) -> Bytes {
        Bytes::from(backup_info::render(&self.info))
    }

    /// Fills in what is known once everything is uploaded.
    pub fn finish(&mut self, copied: &Copied) {
        let segment_size = self.info.xlog_segment_size;
        self.info.status = match copied.wal {
            WalFate::Arrived | WalFate::Elsewhere => BackupStatus::Done,
            WalFate::Missing(..) => BackupStatus::WaitingForWals,
        };
        self.info.timeline = Some(copied.label.start_timeline);
        self.info.begin_wal = Some(copied.label.start_wal.to_string());
        self.info.backup_label = Some(copied.stopped.label.clone());
        self.info.end_time = Some(copied.stopped.time);
        self.info.end_xlog = Some(copied.stopped.lsn);
        self.info.end_offset = Some(copied.stopped.lsn.offset(segment_size));
        self.info.end_wal = Some(copied.end_wal.to_string());
        self.info.copy_stats = Some(self.copy_stats(copied));
    }

    /// Marks the backup as failed, with the whole chain of causes.
    pub fn fail(&mut self, error: &BackupError) {
        self.info.status = BackupStatus::Failed;
        self.info.error = Some(causes::in_one_line(error).replace('\n', " "));
    }

    /// The same keys as Barman's; nothing is analysed beforehand, so that time is zero.
    fn copy_stats(&self, copied: &Copied) -> Value {
        let entry = |key: &str, value| (Value::Str(key.to_owned()), value);
        let seconds = |value: f64| Value::Float((value * 1e6).round() / 1e6);
        let per_item = || {
            let items = copied.seconds_per_set.iter();
            Value::Dict(
                items
                    .map(|(name, value)| entry(name, seconds(*value)))
                    .collect(),
            )
        };
        let none = copied
            .seconds_per_set
            .iter()
            .map(|(name, _)| entry(name, Value::Int(0)));
        let serialized: f64 = copied.seconds_per_set.iter().map(|(_, value)| value).sum();
        Value::Dict(vec![
            entry("total_time", seconds(self.begun.elapsed().as_secs_f64())),
            entry("number_of_workers", Value::Int(self.jobs as i64)),
            entry("analysis_time", Value::Int(0)),
            entry("analysis_time_per_item", Value::Dict(none.collect())),
            entry("copy_time_per_item", per_item()),
            entry("serialized_copy_time_per_item", per_item()),
            entry("copy_time", seconds(copied.copy_seconds)),
            entry("serialized_copy_time", seconds(serialized)),
        ])
    }
}

/// Writes down beside the record which pages are damaged, before the record says DONE.
///
/// # Errors
/// When the store refuses.
pub async fn note_damage(
    world: &BackupWorld,
    id: &BackupId,
    damaged: &[DamagedPage],
) -> Result<(), StoreError> {
    if damaged.is_empty() {
        return Ok(());
    }
    let key = world.repository.records.layout.annotation_damage(id);
    let body = Bytes::from(damage::render(damaged));
    world
        .repository
        .records
        .bucket
        .write_tagged(&key, body, &world.tags)
        .await
}
