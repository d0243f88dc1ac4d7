//! `barman-cloud-backup`: a backup of a running PostgreSQL goes to an object store.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use cloud::Environment;
use engine::backup::{
    BackupRequest, BackupWorld, OnDamage, Rules, TakenBackup, send_taken, take_backup,
};
use engine::cluster::backup_session::CheckpointMode;
use engine::repository::Repository;
use model::backup::reference::check_backup_name;
use model::size::parse_size;
use postgres::ConnectOptions;

use super::{CloudCommand, wal_archive};
use crate::failure::{Failure, Kind};
use crate::options::compression::ArchiveCompression;
use crate::options::encryption::EncryptionFlags;
use crate::options::every_command::{Common, jobs};
use crate::options::hook;
use crate::options::place::{Patience, StorePlace};
use crate::options::providers::AtRestFlags;
use crate::options::stats::StatsFlag;
use crate::options::tags::TagFlags;
use crate::output::backup_report;
use crate::output::cloud_log::{Level, Log};
use crate::output::progress::Reporter;
use crate::runtime::{self, Threads};
use crate::unsupported::{Takes, Unsupported};

/// Back up a running PostgreSQL server into an object store.
///
/// Run it on the database host, as a user who can read the data directory.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where backups live: s3://BUCKET/PATH, file:///DIRECTORY, or see --cloud-provider
    destination_url: String,
    /// Name of the server: its backups and WAL live below PATH/SERVER_NAME
    server_name: String,
    /// Name the backup, so that it can be asked for by that name
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    compression: ArchiveCompression,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    effort: TakingFlags,
    #[command(flatten)]
    upload: Upload,
    #[command(flatten)]
    encryption: EncryptionFlags,
    #[command(flatten)]
    tags: TagFlags,
    #[command(flatten)]
    at_rest: AtRestFlags,
}

/// How to reach the server that is backed up.
#[derive(Debug, clap::Args)]
#[command(
    next_help_heading = "Connecting to PostgreSQL (what is left out comes from libpq's \
                               environment, service and password files)"
)]
struct Connection {
    /// Host name, or directory of the Unix socket
    #[arg(short = 'h', long)]
    host: Option<String>,
    /// Port
    #[arg(short, long)]
    port: Option<u16>,
    /// User
    #[arg(short = 'U', long)]
    user: Option<String>,
    /// Database, or a whole connection string, which then replaces the options above
    #[arg(short, long, default_value = "postgres")]
    dbname: String,
}

/// How hard to work.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Taking the backup")]
struct TakingFlags {
    /// Let the server do its first checkpoint at once instead of spreading it out
    #[arg(long)]
    immediate_checkpoint: bool,
    /// Archives made and uploaded at the same time
    #[arg(short = 'J', long, value_name = "N", default_value = "2", value_parser = jobs())]
    jobs: NonZeroUsize,
    /// Start another archive when one reaches this size, such as 50GB
    #[arg(short = 'S', long, value_name = "SIZE", default_value = "100GB")]
    max_archive_size: String,
    /// Say something on the PostgreSQL connection this often; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    keepalive_interval: u64,
    /// Use at most this much memory, such as 64MB: see below what it gives up [barman-rs only]
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<String>,
    /// Fail when a page has a wrong checksum, instead of warning and going on [barman-rs only]
    #[arg(long)]
    fail_on_damage: bool,
    #[command(flatten)]
    stats: StatsFlag,
}

/// How archives are sent.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Uploading")]
struct Upload {
    /// Send archives in parts of at least this size, such as 20MB; each job holds up to three
    #[arg(long, value_name = "SIZE")]
    min_chunk_size: Option<String>,
    /// Upload at most this much in a second, over all jobs together, such as 50MB
    #[arg(long, value_name = "SIZE")]
    max_bandwidth: Option<String>,
}

impl Upload {
    /// In bytes; 0 leaves it to the store.
    fn min_part_size(&self) -> Result<u64, Failure> {
        let size = self.min_chunk_size.as_deref().map_or(Ok(0), parse_size)?;
        if size > MAX_PART_BYTES {
            let what = "the smallest part of an upload may not be larger than 5GB";
            return Err(Failure::new(Kind::Usage, what));
        }
        Ok(size)
    }

    /// In bytes a second; 0 is no limit.
    fn max_bandwidth(&self) -> Result<Option<NonZeroU64>, Failure> {
        let rate = self.max_bandwidth.as_deref().map_or(Ok(0), parse_size)?;
        Ok(NonZeroU64::new(rate))
    }
}

const AFTER_HELP: &str = "\
What happens: PostgreSQL is asked to start a backup, the data directory and every tablespace are \
read once while the server goes on working, packed into tar archives, checked, compressed and \
uploaded. The backup can be restored once the WAL written meanwhile is archived too (see \
barman-cloud-wal-archive). It is listed as DONE only when everything is in the object store, that \
WAL included; if no WAL has come for 30 seconds, as WAITING_FOR_WALS, until a later backup finds \
that it has, and the status is 1. Where no WAL of the server was ever put beside the backups, it \
goes elsewhere: a warning says so. A server that archives nothing is refused.

Memory: 20 MiB, and for each job 2 MiB, three parts of an archive, and the codec's tables. Parts \
are of 7 MiB, or on S3 and Google of a 9400th of a file above 64 GB, and then two, not three; \
tables take 1 MiB with gzip, LZ4 and snappy, 5 with Zstandard, 8 with bzip2. With Zstandard, the \
largest archive is compressed by several threads if it is more than a job's share of the cluster, \
at most as many as there are jobs: 9 MiB for each job besides, and parts are of 6 MiB. However \
many files there are, their list lies in the directory for temporary files (TMPDIR): some 170 \
bytes each. \
--max-memory gives those threads up, then makes parts smaller, then fewer, then jobs.

Sizes: K, M, G, T and kB, MB, GB, TB count in powers of 1024, KiB, MiB, GiB and TiB in powers of \
1000 (as in Barman); a plain number is bytes.

As a hook: named in post_backup_script or post_backup_retry_script of a Barman server, it sends \
the backup that the server has just taken. Use barman backup --wait, else there is nothing to \
send yet.

Example:
  barman-cloud-backup --zstd -J 4 --immediate-checkpoint s3://backups/pg main

Exit status:
  0  the backup is complete          3  the command line is wrong
  1  it failed, or its WAL is late   4  something else, such as a bucket that does not exist
  2  the object store is unreachable 63 as a hook: the backup is not DONE
  130, 143  stopped by SIGINT or SIGTERM";

const SNAPSHOTS: &[Unsupported] = &[
    Unsupported::option(
        "snapshot-instance",
        Takes::Value("NAME"),
        "Instance whose disks to snapshot",
    ),
    Unsupported::option(
        "snapshot-disk",
        Takes::Value("NAME"),
        "Disk to snapshot; repeatable",
    ),
    Unsupported::option(
        "aws-region",
        Takes::Value("REGION"),
        "Region of the instance and its volumes",
    ),
    Unsupported::option(
        "aws-await-snapshots-timeout",
        Takes::Value("SECONDS"),
        "How long to wait for snapshots to complete",
    ),
    Unsupported::option(
        "aws-snapshot-lock-mode",
        Takes::Value("MODE"),
        "Lock snapshots: governance or compliance",
    ),
    Unsupported::option(
        "aws-snapshot-lock-duration",
        Takes::Value("DAYS"),
        "How long a lock holds",
    ),
    Unsupported::option(
        "aws-snapshot-lock-expiration-date",
        Takes::Value("TIME"),
        "Until when a lock holds",
    ),
    Unsupported::option(
        "aws-snapshot-lock-cool-off-period",
        Takes::Value("HOURS"),
        "How long a compliance lock can still be taken back",
    ),
    Unsupported::option(
        "azure-subscription-id",
        Takes::Value("ID"),
        "Subscription of the instance",
    ),
    Unsupported::option(
        "azure-resource-group",
        Takes::Value("NAME"),
        "Resource group of the instance",
    ),
    Unsupported::option(
        "gcp-project",
        Takes::Value("NAME"),
        "Project that snapshots belong to",
    )
    .aliases(&["snapshot-gcp-project"]),
    Unsupported::option(
        "gcp-zone",
        Takes::Value("ZONE"),
        "Zone of the instance and its disks",
    )
    .aliases(&["snapshot-zone"]),
];

/// The largest part that any provider takes, in bytes (AWS, "Amazon S3 multipart upload limits").
const MAX_PART_BYTES: u64 = 5 << 30;
/// The largest archive that any provider takes, in bytes.
const MAX_ARCHIVE_BYTES: u64 = 1 << 40;
/// How long to wait until the WAL that a backup needs has arrived next to it.
const WAL_PATIENCE: Duration = Duration::from_secs(30);
impl Args {
    fn request(&self) -> Result<BackupRequest, Failure> {
        if let Some(name) = &self.name {
            check_backup_name(name)?;
        }
        let effort = &self.effort;
        Ok(BackupRequest {
            name: self.name.clone(),
            codec: self.compression.codec(),
            rules: Rules {
                jobs: effort.jobs,
                max_archive_bytes: parse_size(&effort.max_archive_size)?.min(MAX_ARCHIVE_BYTES),
                max_memory_bytes: effort.max_memory.as_deref().map(parse_size).transpose()?,
            },
            checkpoint: if effort.immediate_checkpoint {
                CheckpointMode::Immediate
            } else {
                CheckpointMode::Spread
            },
            keepalive: Some(Duration::from_secs(effort.keepalive_interval))
                .filter(|interval| !interval.is_zero()),
            on_damage: if effort.fail_on_damage {
                OnDamage::Fail
            } else {
                OnDamage::Warn
            },
            wal_patience: WAL_PATIENCE,
            // Barman writes this for every backup that barman-cloud-backup takes.
            server_name: "cloud".to_owned(),
            label: "Barman backup cloud".to_owned(),
            store_directory: None,
        })
    }
}

impl Args {
    /// As a hook script: sends the backup that the Barman server has just taken.
    fn send(self, taken: TakenBackup, place: StorePlace, log: &Log) -> Result<(), Failure> {
        if self.name.is_some() {
            return Err(Failure::new(
                Kind::Other,
                "--name has no meaning in a hook script: the backup has its name already",
            ));
        }
        let tags = self.tags.read()?;
        let request = self.request()?;
        let progress = Arc::new(Reporter::new(log, "sending"));
        let threads = Threads::ForJobs(self.effort.jobs);
        let stats = self.effort.stats.begin();
        let stages = Arc::clone(&stats.stages);
        let id = taken.id;
        let damaged = runtime::run_until_done(threads, log, |stop| async move {
            let world = BackupWorld {
                repository: Repository::on_one(place.open_to_write().await?),
                tags,
                progress,
                stages,
                stop,
            };
            Ok(send_taken(&taken, request.codec, &request.rules, &world).await?)
        })?;
        backup_report::report_damage(&id, damaged.len(), log);
        log.done(&format!("backup {id} is in the object store"));
        stats.print(log);
        Ok(())
    }
}

impl Connection {
    /// Who can run `ps` reads the command line.
    fn warn_of_secret(&self, log: &Log) {
        let Some(keyword) = postgres::conninfo::secret_in(&self.dbname) else {
            return;
        };
        let text = format!(
            "the connection string of --dbname has a {keyword} in it, and every user of this host \
             can read it in the list of processes"
        );
        log.line(Level::Warning, &text);
        log.line(
            Level::Hint,
            "Take it out, and put a password into ~/.pgpass or the file that PGPASSFILE names, \
             readable by its owner only.",
        );
    }

    fn options(&self) -> ConnectOptions {
        ConnectOptions {
            host: self.host.clone(),
            port: self.port.map(|port| port.to_string()),
            user: self.user.clone(),
            dbname: Some(self.dbname.as_str().into()),
            application_name: Some("barman_cloud_backup".to_owned()),
        }
    }
}

impl CloudCommand for Args {
    const UNSUPPORTED: &'static [&'static [Unsupported]] = &[SNAPSHOTS];

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, log: &Log) -> Result<(), Failure> {
        let place = self
            .common
            .place(&self.destination_url, &self.server_name)?
            .awaited(Patience::Backups, log)?
            .encrypted_at_rest(&self.at_rest)?
            .encrypted(self.encryption.read()?)
            .paced(self.upload.min_part_size()?, self.upload.max_bandwidth()?);
        let (tags, mut request) = (self.tags.read()?, self.request()?);
        request.store_directory = place.directory();
        if self.common.test {
            return place.test(log);
        }
        self.connection.warn_of_secret(log);
        if let Some(taken) = hook::taken_backup(&Environment::gather())? {
            return self.send(taken, place, log);
        }
        let postgres = self
            .connection
            .options()
            .resolve(&postgres::Environment::gather())?;
        let began = Instant::now();
        let progress = Arc::new(Reporter::new(log, "backing up"));
        let threads = Threads::ForJobs(self.effort.jobs);
        let stats = self.effort.stats.begin();
        let stages = Arc::clone(&stats.stages);
        let outcome = runtime::run_until_done(threads, log, |stop| async move {
            let world = BackupWorld {
                repository: Repository::on_one(place.open_to_write().await?),
                tags,
                progress,
                stages,
                stop,
            };
            Ok(take_backup(request, &postgres, &world).await?)
        })?;
        stats.print_with(backup_report::remark_on_checks(&outcome.info), log);
        let here = backup_report::Here {
            url: &self.destination_url,
            server: &self.server_name,
            archived_to: wal_archive::place_in(&outcome.archiving.command),
            began,
        };
        backup_report::report(&outcome, &here, log)
    }
}

#[cfg(test)]
mod tests {
    use model::backup::effort::{self, PartRules};
    use model::codec::Codec;

    use super::*;
    use crate::barman_cloud::parse_words;

    fn request(words: &[&str]) -> BackupRequest {
        parse_words::<Args>(words).request().unwrap()
    }

    #[test]
    fn defaults_are_barmans() {
        let request = request(&["s3://b/p", "main"]);
        assert_eq!((request.codec, request.rules.jobs.get()), (Codec::None, 2));
        assert_eq!(request.rules.max_archive_bytes, 100 << 30);
        assert_eq!(request.checkpoint, CheckpointMode::Spread);
        assert_eq!(request.keepalive, Some(Duration::from_secs(60)));
        assert_eq!(request.on_damage, OnDamage::Warn);
        assert_eq!(request.name, None);
    }

    #[test]
    fn the_help_says_what_the_effort_takes() {
        let s3 = PartRules {
            min_bytes: 5 << 20,
            max_count: 10_000,
        };
        let usual = effort::fit(1, Codec::None, (0, s3), None).unwrap();
        let mib = |jobs, part_mib: u64, codec| {
            let part_bytes = part_mib << 20;
            let effort = effort::Effort {
                jobs,
                part_bytes,
                ..usual
            };
            effort.peak_bytes(codec) >> 20
        };
        let (base, job) = (mib(0, 0, Codec::None), mib(1, 0, Codec::None));
        let parts = mib(1, 1, Codec::None) - job;
        let tables = |codec| mib(1, 0, codec) - job;
        let [gzip, lz4, snappy] = [Codec::Gzip, Codec::Lz4, Codec::Snappy].map(tables);
        assert_eq!((parts, gzip, gzip), (3, lz4, snappy));
        let told = format!(
            "Memory: {base} MiB, and for each job {} MiB, three parts of an archive, and the \
             codec's tables. Parts are of {} MiB, or",
            job - base,
            usual.part_bytes >> 20,
        );
        assert!(AFTER_HELP.contains(&told), "{told}");
        let told = format!(
            "tables take {gzip} MiB with gzip, LZ4 and snappy, {} with Zstandard, {} with bzip2.",
            tables(Codec::Zstd),
            tables(Codec::Bzip2),
        );
        assert!(AFTER_HELP.contains(&told), "{told}");
        let threads = |threads| effort::Effort { threads, ..usual }.peak_bytes(Codec::Zstd) >> 20;
        let told = format!(
            "as there are jobs: {} MiB for each job besides, and parts are of {} MiB.",
            threads(3) - threads(2),
            effort::fit(2, Codec::Zstd, (0, s3), None)
                .unwrap()
                .part_bytes
                >> 20,
        );
        assert!(AFTER_HELP.contains(&told), "{told}");
    }

    #[test]
    fn options_may_be_abbreviated_repeated_and_mixed_with_positionals() {
        let request = request(&[
            "--imm",
            "-J8",
            "s3://b/p",
            "--jobs=4",
            "--max-archive=2GB",
            "main",
            "--zs",
            "-nnightly",
            "--keep",
            "0",
            "--fail-on",
        ]);
        assert_eq!((request.codec, request.rules.jobs.get()), (Codec::Zstd, 4));
        assert_eq!(request.rules.max_archive_bytes, 2 << 30);
        assert_eq!(request.checkpoint, CheckpointMode::Immediate);
        assert_eq!(request.keepalive, None);
        assert_eq!(request.on_damage, OnDamage::Fail);
        assert_eq!(request.name.as_deref(), Some("nightly"));
    }

    #[test]
    fn an_archive_is_never_larger_than_a_provider_takes() {
        let request = request(&["s3://b/p", "main", "-S", "5TB"]);
        assert_eq!(request.rules.max_archive_bytes, MAX_ARCHIVE_BYTES);
    }

    #[test]
    fn a_bare_letter_is_a_power_of_1024() {
        let request = request(&["s3://b/p", "main", "-S", "10G"]);
        assert_eq!(request.rules.max_archive_bytes, 10 << 30);
    }

    #[test]
    fn what_is_no_size_and_a_backup_id_as_a_name_are_refused() {
        for words in [["-S", "10Gi"], ["-n", "20261121T081523"], ["-n", "latest"]] {
            let words = [&["s3://b/p", "main"], &words[..]].concat();
            let refused = parse_words::<Args>(&words).request().unwrap_err();
            assert_eq!(refused.kind, Kind::Usage, "{words:?}");
        }
    }

    #[test]
    fn the_one_letter_h_is_the_host() {
        let args: Args =
            parse_words(&["-h", "db1", "-p", "6000", "-U", "anna", "s3://b/p", "main"]);
        let options = args.connection.options();
        assert_eq!(options.host.as_deref(), Some("db1"));
        assert_eq!(options.port.as_deref(), Some("6000"));
        assert_eq!(options.user.as_deref(), Some("anna"));
    }
}
