//! `barman-cloud-restore`: a backup in an object store becomes a data directory.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use engine::catalogue::read_catalogue;
use engine::progress::{Event, Progress};
use engine::restore::{LinkPolicy, Restored, World};
use engine::wal::presence;
use jiff::tz::TimeZone;
use model::backup::BackupInfo;
use model::backup::catalogue::Catalogue;
use model::backup::id::BackupId;
use model::backup::reference::BackupRef;
use model::restore::choose::{AutoTarget, choose_backup};
use model::restore::plan::RestoreRequest;
use model::restore::tablespaces::TablespaceMapping;
use model::restore::target::TimelineChoice;
use model::restore::time::parse_target_time;
use model::size::parse_size;
use model::wal::span::{MissingWal, WalRange};

use super::CloudCommand;
use super::encryption::CustomerKeyFlag;
use super::flags::{Common, jobs};
use super::stats::StatsFlag;
use crate::failure::{Exit, Failure};
use crate::later::{Later, Takes};
use crate::log::{Level, Log};
use crate::progress::Reporter;
use crate::runtime::{self, Threads};

/// Restore a backup from an object store into an empty directory.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where backups live: s3://BUCKET/PATH, file:///DIRECTORY, or see --cloud-provider
    source_url: String,
    /// Name of the server
    server_name: String,
    /// Id or name of the backup, or latest, oldest, or auto to choose by the target options
    backup_id: String,
    /// The data directory to make: empty, or not there yet
    recovery_dir: PathBuf,
    /// Put this tablespace into another directory; repeatable
    #[arg(long, value_name = "NAME:LOCATION")]
    tablespace: Vec<String>,
    /// Archives fetched and unpacked at the same time [barman-rs only]
    #[arg(short = 'J', long, value_name = "N", default_value = "2", value_parser = jobs())]
    jobs: NonZeroUsize,
    /// Use at most this much memory, such as 64MB: fewer jobs, then one request each
    /// [barman-rs only]
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<String>,
    /// Leave out links that Barman archived from the data directory [barman-rs only]
    #[arg(long)]
    skip_links: bool,
    #[command(flatten)]
    stats: StatsFlag,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    customer_key: CustomerKeyFlag,
    #[command(flatten)]
    target: Target,
}

/// What `auto` chooses the backup by.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Choosing the backup, with auto in place of BACKUP_ID")]
struct Target {
    /// Newest backup that ended at or before this time; without an offset, of the local zone
    #[arg(long, value_name = "TIME", conflicts_with = "target_lsn")]
    target_time: Option<String>,
    /// Newest backup that ended at or before this position in the WAL
    #[arg(long, value_name = "LSN")]
    target_lsn: Option<String>,
    /// Only backups of this timeline: a number, current or latest
    #[arg(long, value_name = "TIMELINE")]
    target_tli: Option<String>,
}

const AFTER_HELP: &str = "\
What happens: the archives of the backup are fetched, decompressed and unpacked straight to their \
places; global/pg_control comes last, so that PostgreSQL cannot start on half a restore. Nothing \
outside RECOVERY_DIR and the tablespace directories is touched, and neither may hold anything yet.

The options --target-* only choose the backup. How far PostgreSQL replays WAL from there is for \
you to say: before you start it, create RECOVERY_DIR/recovery.signal and set in postgresql.auto.conf
  restore_command = 'barman-cloud-wal-restore s3://backups/pg main %f %p'
and, if you want to stop before the end, recovery_target_time or one of its relatives.

Memory: 22 MiB, and for each job 5 MiB, 5 for each of two requests, and the codec's tables: 1 MiB \
with gzip, LZ4 and snappy, 3 with Zstandard, 4 with bzip2. --max-memory makes jobs fewer, then \
does with one request. At the end a million files take 20 MiB, when the jobs' memory is free again \
and the files are compared with the backup's manifest.

Sizes: kB, MB, GB and TB count in powers of 1024, KiB, MiB, GiB and TiB in powers of 1000 (as in \
Barman); a plain number is bytes.

Examples:
  barman-cloud-restore s3://backups/pg main latest /var/lib/postgresql/17/main
  barman-cloud-restore --target-time '2026-03-01 04:00:00+00' s3://backups/pg main auto /pgdata

Exit status:
  0  restored                        3  the command line is wrong
  1  the restore failed              4  something else, such as a name that no backup has
  2  the object store is unreachable 130, 143  stopped by SIGINT or SIGTERM";

const SNAPSHOTS: &[Later] = &[
    Later::option(
        "snapshot-recovery-instance",
        Takes::Value("NAME"),
        "Instance that disks cloned from the snapshots are attached to",
    ),
    Later::option(
        "aws-region",
        Takes::Value("REGION"),
        "Region of the instance",
    ),
    Later::option(
        "azure-resource-group",
        Takes::Value("NAME"),
        "Resource group of the instance",
    ),
    Later::option("gcp-zone", Takes::Value("ZONE"), "Zone of the instance")
        .aliases(&["snapshot-recovery-zone"]),
];

/// Which backup is asked for.
enum Choice {
    /// This one.
    Named(BackupRef),
    /// The best one for a target.
    Best(AutoTarget, TimelineChoice),
}

impl Args {
    fn choice(&self, log: &Log) -> Result<Choice, Failure> {
        let target = &self.target;
        let timeline = target.target_tli.as_deref().map(str::parse).transpose()?;
        let Ok(wanted) = self.backup_id.parse::<BackupRef>();
        if !matches!(wanted, BackupRef::Auto) {
            if target.is_given() {
                let text = "the options --target-* choose a backup only if auto is asked for";
                log.line(
                    Level::Warning,
                    &format!("{text}, so they mean nothing here"),
                );
            }
            return Ok(Choice::Named(wanted));
        }
        let auto = match (&target.target_time, &target.target_lsn) {
            (Some(time), _) => AutoTarget::Time(parse_target_time(time, &TimeZone::system())?),
            (None, Some(lsn)) => AutoTarget::Lsn(lsn.parse()?),
            (None, None) => AutoTarget::Latest,
        };
        Ok(Choice::Best(
            auto,
            timeline.unwrap_or(TimelineChoice::Current),
        ))
    }

    fn tablespaces(&self) -> Result<Vec<TablespaceMapping>, Failure> {
        self.tablespace
            .iter()
            .map(|rule| rule.parse().map_err(Failure::from))
            .collect()
    }

    fn max_memory_bytes(&self) -> Result<Option<u64>, Failure> {
        Ok(self.max_memory.as_deref().map(parse_size).transpose()?)
    }

    fn destination(&self) -> Result<PathBuf, Failure> {
        std::path::absolute(&self.recovery_dir).map_err(|error| {
            let what = format!("cannot use {}: {error}", self.recovery_dir.display());
            Failure::new(Exit::Usage, what)
        })
    }
}

impl Target {
    fn is_given(&self) -> bool {
        self.target_time.is_some() || self.target_lsn.is_some() || self.target_tli.is_some()
    }
}

impl Choice {
    fn choose<'a>(&self, catalogue: &'a Catalogue) -> Result<(BackupId, &'a BackupInfo), Failure> {
        let (id, info) = match self {
            Choice::Named(wanted) => catalogue.resolve(wanted)?,
            Choice::Best(target, timeline) => {
                let id = choose_backup(catalogue, target, *timeline)?;
                catalogue.resolve(&BackupRef::Id(id))?
            }
        };
        Ok((*id, info))
    }
}

/// Says what was restored.
fn report(restored: &Restored, log: &Log) {
    let Restored {
        plan, file_count, ..
    } = restored;
    let place = plan.destination.display();
    log.line(
        Level::Info,
        &format!("backup {} is in {place}: {file_count} files", plan.backup),
    );
}

/// What the owner of a restored backup should know.
struct Facts {
    configured_outside: bool,
    /// Segments without which the backup does not become consistent.
    missing_wal: MissingWal,
}

async fn missing_wal(world: &World, info: &BackupInfo) -> Result<MissingWal, Failure> {
    match WalRange::of(info) {
        Some(range) => Ok(presence::missing_wal(&world.bucket, &world.layout, &range).await?),
        None => Ok(MissingWal::default()),
    }
}

fn warn_of_missing_wal(missing: &MissingWal, log: &Log) {
    let text = format!(
        "PostgreSQL cannot start on this backup yet: the archive lacks WAL that it needs: {missing}"
    );
    log.line(Level::Warning, &text);
    log.line(
        Level::Hint,
        "Archive them from the old server, or look for them in its pg_wal and put them into the \
         new one's; or restore another backup.",
    );
}

/// Whether the server had its configuration outside of the data directory, as on Debian.
fn configured_outside(info: &BackupInfo) -> bool {
    let Some(pgdata) = &info.pgdata else {
        return false;
    };
    let files = [&info.config_file, &info.hba_file, &info.ident_file];
    let mut paths = files.into_iter().flatten();
    paths.any(|path| !Path::new(path).starts_with(pgdata))
}

/// A configuration from elsewhere names the places of the old server, which may be running.
fn warn_of_configuration(restored: &Restored, log: &Log) {
    let place = restored.plan.destination.display();
    let text = "the server's configuration came from outside of its data directory: the restored \
                copy still names the old data_directory, hba_file and ident_file";
    log.line(Level::Warning, text);
    let hint = format!(
        "Start it with: pg_ctl -D {place} -o \"-c data_directory={place} \
         -c hba_file={place}/pg_hba.conf -c ident_file={place}/pg_ident.conf\" start"
    );
    log.line(Level::Hint, &hint);
}

impl CloudCommand for Args {
    const LATER: &'static [&'static [Later]] = &[SNAPSHOTS];

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, log: &Log) -> Result<(), Failure> {
        let place = self.common.place(&self.source_url, &self.server_name)?;
        let place = place.encrypted(self.customer_key.read()?);
        let choice = self.choice(log)?;
        let tablespaces = self.tablespaces()?;
        let max_memory_bytes = self.max_memory_bytes()?;
        if self.common.test {
            return place.test();
        }
        let progress: Arc<dyn Progress> = Arc::new(Reporter::new(log, "restoring"));
        let destination = self.destination()?;
        let jobs = self.jobs;
        let stats = self.stats.begin();
        let stages = Arc::clone(&stats.stages);
        let links = if self.skip_links {
            LinkPolicy::Skip
        } else {
            LinkPolicy::Refuse
        };
        let restored = runtime::run_until_done(Threads::ForJobs(jobs), log, |cancel| async move {
            let bucket = place.open().await?;
            let layout = place.layout().clone();
            let found = read_catalogue(&bucket, &layout).await?;
            let (backup, info) = choice.choose(&found.backups)?;
            progress.event(Event::Step {
                text: &format!("restoring backup {backup}"),
            });
            let request = RestoreRequest {
                backup,
                destination,
                tablespaces,
                jobs,
                max_memory_bytes,
            };
            let world = World {
                bucket,
                layout,
                links,
                progress,
                stages,
                cancel,
            };
            let plan = engine::restore::plan(&request, info, &world).await?;
            let facts = Facts {
                configured_outside: configured_outside(info),
                missing_wal: missing_wal(&world, info).await?,
            };
            Ok((engine::restore::execute(plan, &world).await?, facts))
        })?;
        let (restored, facts) = restored;
        report(&restored, log);
        if !facts.missing_wal.is_empty() {
            warn_of_missing_wal(&facts.missing_wal, log);
        }
        if facts.configured_outside {
            warn_of_configuration(&restored, log);
        }
        stats.print(log);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::codec::Codec;
    use model::restore::effort::{Effort, Work, comparison_bytes};

    use super::*;
    use crate::cloud::parse_words;

    fn choice(words: &[&str]) -> Choice {
        let words = [&["s3://b/p", "main"], words, &["/pgdata"]].concat();
        parse_words::<Args>(&words).choice(&Log::new(0, 9)).unwrap()
    }

    #[test]
    fn auto_takes_its_target_from_the_options() {
        let lsn = choice(&["--target-l", "0/5000028", "auto", "--target-tli", "latest"]);
        let Choice::Best(AutoTarget::Lsn(lsn), TimelineChoice::Latest) = lsn else {
            panic!()
        };
        assert_eq!(lsn.to_string(), "0/5000028");
        let time = choice(&["--target-time", "2026-03-01 04:00:00+00", "auto"]);
        let Choice::Best(AutoTarget::Time(time), _) = time else {
            panic!()
        };
        assert_eq!(time.to_string(), "2026-03-01T04:00:00Z");
        assert!(matches!(
            choice(&["auto"]),
            Choice::Best(AutoTarget::Latest, _)
        ));
    }

    #[test]
    fn a_target_means_nothing_for_a_backup_that_is_named() {
        let named = choice(&["--target-lsn", "0/1", "latest"]);
        assert!(matches!(named, Choice::Named(BackupRef::Latest)));
    }

    #[test]
    fn the_help_says_what_the_effort_takes() {
        let mib = |jobs, requests, codec| {
            let effort = Effort { jobs, requests };
            let archives = usize::MAX;
            effort.peak_bytes(Work { archives, codec }) >> 20
        };
        let usual = Effort::usual(1).requests;
        let (base, job) = (mib(0, 0, Codec::None), mib(1, 0, Codec::None));
        let request = mib(1, 1, Codec::None) - job;
        let tables = |codec| mib(1, 0, codec) - job;
        let [gzip, lz4, snappy] = [Codec::Gzip, Codec::Lz4, Codec::Snappy].map(tables);
        assert_eq!((usual, gzip, gzip), (2, lz4, snappy));
        let told = format!(
            "Memory: {base} MiB, and for each job {} MiB, {request} for each of two requests, and \
             the codec's tables: {gzip} MiB with gzip, LZ4 and snappy, {} with Zstandard, {} with \
             bzip2.",
            job - base,
            tables(Codec::Zstd),
            tables(Codec::Bzip2),
        );
        assert!(AFTER_HELP.contains(&told), "{told}");
        let million = comparison_bytes(1_000_000) - comparison_bytes(0);
        let told = format!("a million files take {} MiB", million.div_ceil(1 << 20));
        assert!(AFTER_HELP.contains(&told), "{told}");
    }

    #[test]
    fn a_bad_tablespace_rule_is_a_usage_error() {
        let words = [
            "s3://b/p",
            "main",
            "latest",
            "/pgdata",
            "--tablespace",
            "nonsense",
        ];
        let refused = parse_words::<Args>(&words).tablespaces().unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
    }
}
