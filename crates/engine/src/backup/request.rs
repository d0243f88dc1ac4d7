//! What is asked of a backup, and what comes of it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use model::backup::BackupInfo;
use model::backup::effort::{self, Effort, TooLittleMemory};
use model::backup::id::BackupId;
use model::codec::Codec;
use model::damage::DamagedPage;

use super::wal_wait::WalFate;
use crate::cluster::archiving::Archiving;
use crate::cluster::backup_session::CheckpointMode;
use crate::store::Bucket;

/// What a page with a wrong checksum means for the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamage {
    /// Report it and go on: a backup of a damaged cluster is better than none.
    Warn,
    /// The backup fails.
    Fail,
}

/// What was asked for of jobs, archives and memory.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How many archives are read, compressed and uploaded at the same time.
    pub jobs: NonZeroUsize,
    /// No archive grows beyond this many bytes, unless a single file does.
    pub max_archive_bytes: u64,
    /// The most memory that may be used, in bytes.
    pub max_memory_bytes: Option<u64>,
}

impl Rules {
    /// How much is done at a time for files of which the largest has so many bytes.
    ///
    /// # Errors
    /// When the least that is needed is more than what is allowed.
    pub fn effort(
        &self,
        codec: Codec,
        largest_bytes: u64,
        bucket: &Bucket,
    ) -> Result<Effort, TooLittleMemory> {
        let archive = (largest_bytes, bucket.part_rules());
        effort::fit(self.jobs.get(), codec, archive, self.max_memory_bytes)
    }
}

/// A base backup to take.
#[derive(Debug, Clone)]
pub struct BackupRequest {
    /// The server's name in the record.
    pub server_name: String,
    /// How PostgreSQL's label of the backup begins; its id follows.
    pub label: String,
    /// A name to refer to the backup by, besides its id.
    pub name: Option<String>,
    pub codec: Codec,
    pub rules: Rules,
    pub checkpoint: CheckpointMode,
    /// How often the idle session is used, `None` for never.
    pub keepalive: Option<Duration>,
    pub on_damage: OnDamage,
    /// How long to wait for the backup's WAL while none of it arrives in the bucket.
    pub wal_patience: Duration,
    /// Where the store lies, if it is a directory of this host.
    pub store_directory: Option<PathBuf>,
}

/// A finished backup.
#[derive(Debug, Clone)]
pub struct BackupOutcome {
    pub id: BackupId,
    pub info: BackupInfo,
    pub damaged: Vec<DamagedPage>,
    /// Where its WAL is.
    pub wal: WalFate,
    /// How the server archives.
    pub archiving: Archiving,
}
