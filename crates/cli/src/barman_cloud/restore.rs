//! `barman-cloud-restore`: a backup in an object store becomes a data directory.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use engine::catalogue::read_settled;
use engine::progress::{Event, Progress, Step};
use engine::repository::Repository;
use engine::restore::{
    LinkPolicy, RestoreHazards, RestoreWorld, Restored, UnlistedPolicy, Verified, gather_hazards,
};
use engine::wal::timelines::Ways;
use jiff::tz::TimeZone;
use model::backup::BackupInfo;
use model::backup::id::BackupId;
use model::backup::reference::BackupRef;
use model::restore::choose::BackupChoice;
use model::restore::forks::{Fork, Way};
use model::restore::plan::RestorePlan;
use model::restore::request::RestoreRequest;
use model::restore::space::SpacePolicy;
use model::restore::tablespaces::TablespaceMapping;
use model::restore::target::{AutoTarget, TimelineChoice};
use model::restore::time::parse_target_time;
use model::size::{parse_size, pretty_size};
use model::wal::span::{MissingWal, WalRange};

use super::CloudCommand;
use crate::failure::{Failure, Kind};
use crate::options::every_command::{Common, jobs};
use crate::options::place::Patience;
use crate::options::source::SourceFlags;
use crate::options::stats::StatsFlag;
use crate::output;
use crate::output::cloud_log::{Level, Log};
use crate::output::damaged_pages::warn_of_damage;
use crate::output::progress::Reporter;
use crate::render::next_steps::{Steps, Wanted, path_of};
use crate::runtime::{self, Threads};
use crate::unsupported::{Takes, Unsupported};

/// Restore a backup from an object store into an empty directory.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Id or name of the backup, or latest, oldest, or auto to choose by the target options
    #[arg(index = 3)]
    backup_id: String,
    /// The data directory to make: empty, or not there yet
    #[arg(index = 4)]
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
    /// Begin even if the disk is too small by what is recorded of the backup [barman-rs only]
    #[arg(long)]
    no_space_check: bool,
    /// Only print what would be done, and what PostgreSQL needs then [barman-rs only]
    #[arg(long)]
    dry_run: bool,
    /// Restore also files that the backup's own manifest does not list [barman-rs only]
    #[arg(long)]
    keep_unlisted: bool,
    #[command(flatten)]
    stats: StatsFlag,
    #[command(flatten)]
    source: SourceFlags,
    #[command(flatten)]
    target: TargetFlags,
}

/// What `auto` chooses the backup by.
#[derive(Debug, clap::Args)]
#[command(
    next_help_heading = "How far to recover: auto takes the backup for it, and no other may \
                                end later"
)]
struct TargetFlags {
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
outside RECOVERY_DIR and the tablespace directories is touched, and neither may hold anything yet. \
A tablespace goes back to where it was if that place is the server's account's already; \
--tablespace names, and confirms, any other.

The options --target-* choose the backup, or refuse one that ended after the target. How far \
PostgreSQL replays WAL from there is for you to say: before you start it, create \
RECOVERY_DIR/recovery.signal and set in postgresql.auto.conf
  restore_command = 'barman-cloud-wal-restore s3://backups/pg main %f %p'
and, if you want to stop before the end, recovery_target_time or one of its relatives. On a \
terminal the restore ends with these lines filled in.

Memory: 22 MiB, and for each job 5 MiB, 5 for each of two requests, and the codec's tables: 1 MiB \
with gzip, LZ4 and snappy, 3 with Zstandard, 4 with bzip2. --max-memory makes jobs fewer, then \
does with one request. At the end a million files take 20 MiB, when the jobs' memory is free again \
and the files are compared with the backup's manifest.

Sizes: K, M, G, T and kB, MB, GB, TB count in powers of 1024, KiB, MiB, GiB and TiB in powers of \
1000 (as in Barman); a plain number is bytes.

Examples:
  barman-cloud-restore s3://backups/pg main latest /var/lib/postgresql/17/main
  barman-cloud-restore --target-time '2026-03-01 04:00:00+00' s3://backups/pg main auto /pgdata
  barman-cloud-restore --dry-run s3://backups/pg main latest /pgdata

Exit status:
  0  restored                        3  the command line is wrong
  1  the restore failed              4  something else, such as a name that no backup has
  2  the object store is unreachable 130, 143  stopped by SIGINT or SIGTERM";

const SNAPSHOTS: &[Unsupported] = &[
    Unsupported::option(
        "snapshot-recovery-instance",
        Takes::Value("NAME"),
        "Instance that disks cloned from the snapshots are attached to",
    ),
    Unsupported::option(
        "aws-region",
        Takes::Value("REGION"),
        "Region of the instance",
    ),
    Unsupported::option(
        "azure-resource-group",
        Takes::Value("NAME"),
        "Resource group of the instance",
    ),
    Unsupported::option("gcp-zone", Takes::Value("ZONE"), "Zone of the instance")
        .aliases(&["snapshot-recovery-zone"]),
];

impl Args {
    fn choice(&self, log: &Log) -> Result<BackupChoice, Failure> {
        let target = &self.target;
        let timeline = target.target_tli.as_deref().map(str::parse).transpose()?;
        let Ok(wanted) = self.backup_id.parse::<BackupRef>();
        let auto = match (&target.target_time, &target.target_lsn) {
            (Some(time), _) => AutoTarget::Time(parse_target_time(time, &TimeZone::system())?),
            (None, Some(lsn)) => AutoTarget::Lsn(lsn.parse()?),
            (None, None) => AutoTarget::Latest,
        };
        if !matches!(wanted, BackupRef::Auto) {
            if timeline.is_some() {
                let text = "--target-tli chooses a backup only if auto is asked for: here it means \
                            nothing";
                log.line(Level::Warning, text);
            }
            return Ok(BackupChoice::Named(wanted, auto));
        }
        Ok(BackupChoice::Best(
            auto,
            timeline.unwrap_or(TimelineChoice::Current),
        ))
    }

    /// What is asked for, but for the backup, which is not known yet.
    fn request(&self) -> Result<impl FnOnce(BackupId) -> RestoreRequest + use<>, Failure> {
        let (destination, tablespaces) = (self.destination()?, self.tablespaces()?);
        let (jobs, max_memory_bytes) = (self.jobs, self.max_memory_bytes()?);
        let space = if self.no_space_check {
            SpacePolicy::Ignore
        } else {
            SpacePolicy::Check
        };
        Ok(move |backup| RestoreRequest {
            backup,
            destination,
            tablespaces,
            jobs,
            max_memory_bytes,
            space,
        })
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
            Failure::new(Kind::Usage, what)
        })
    }
}

impl TargetFlags {
    /// The same target for PostgreSQL.
    fn settings(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut settings = Vec::new();
        if let Some(time) = &self.target_time {
            let time = parse_target_time(time, &TimeZone::system())?;
            // PostgreSQL knows no abbreviations of zones yet when it reads this, not even `Z`.
            let time = time.to_zoned(TimeZone::UTC);
            let time = time.strftime("%Y-%m-%d %H:%M:%S%.f+00").to_string();
            settings.push(("recovery_target_time", time));
        }
        settings.extend(
            self.target_lsn
                .clone()
                .map(|lsn| ("recovery_target_lsn", lsn)),
        );
        settings.extend(self.target_tli.clone().map(|tli| (TARGET_TIMELINE, tli)));
        Ok(settings)
    }
}

const TARGET_TIMELINE: &str = "recovery_target_timeline";

/// One line about what there is now.
fn report(restored: &Restored, seconds: f64, log: &Log) {
    let Restored {
        plan, file_count, ..
    } = restored;
    let place = plan.destination.display();
    let files = if *file_count == 1 { "file" } else { "files" };
    let fetched = pretty_size(plan.download_bytes);
    let compared = match restored.verified {
        Verified::EveryFile { .. } => "each as the backup's manifest has it",
        Verified::NoManifest | Verified::ForeignManifest { .. } => "no manifest to compare with",
    };
    log.done(&format!(
        "backup {} is in {place}: {file_count} {files}, {compared}; {fetched} fetched in \
         {seconds:.1} s",
        plan.backup
    ));
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

/// A configuration from elsewhere names the places of the old server, which may be running.
fn warn_of_configuration(steps: &Steps<'_>, log: &Log) {
    let configuration = &steps.restored.configuration;
    for lacking in &configuration.lacking {
        let file = &steps.restored.plan.configuration.path;
        let text = format!(
            "PostgreSQL does not start with the restored {file}: line {} includes {}, which is not \
             there",
            lacking.line,
            lacking.path.display()
        );
        log.line(Level::Warning, &text);
    }
    if !steps.restored.plan.configuration.came_from_outside || steps.is_in_place() {
        return;
    }
    let text = "the server's configuration came from outside of its data directory: the restored \
                copy still names the old data_directory, hba_file and ident_file";
    log.line(Level::Warning, text);
    if !std::io::stderr().is_terminal() {
        let line = steps.start_line();
        log.line(Level::Hint, &format!("Start it with: {line}"));
    }
}

/// Recovery goes along the newest timeline by itself, right or wrong.
fn tell_ways(ways: &Ways, log: &Log) {
    if let Some(fork) = &ways.went_on {
        let Fork {
            timeline,
            parent,
            at,
        } = fork;
        let text = format!(
            "timeline {} left timeline {} at {at}, and both were archived from there on, as when a \
             copy is promoted without archive_mode = off; recovery follows the newest timeline",
            timeline.number(),
            parent.number()
        );
        log.line(Level::Warning, &text);
        let hint = format!(
            "recovery_target_timeline = '{}' stays on the old one.",
            parent.number()
        );
        log.line(Level::Hint, &hint);
    }
    match &ways.way {
        Way::Straight => {}
        Way::Over(forks) => {
            let forks: Vec<_> = forks.iter().map(told).collect();
            log.line(
                Level::Info,
                &format!("after this backup, {}", forks.join(", ")),
            );
        }
        Way::Astray { newest } => {
            let text = format!(
                "timeline {}, the newest of the archive, does not come from this backup: \
                 PostgreSQL refuses to follow it",
                newest.number()
            );
            log.line(Level::Warning, &text);
            let hint = "Set recovery_target_timeline = 'current', or the number of another one.";
            log.line(Level::Hint, hint);
        }
    }
}

fn told(fork: &Fork) -> String {
    let (timeline, parent) = (fork.timeline.number(), fork.parent.number());
    format!(
        "timeline {timeline} leaves timeline {parent} at {}",
        fork.at
    )
}

impl Args {
    fn wanted(&self, ways: Option<&Ways>) -> Result<Wanted, Failure> {
        let mut command = vec![path_of("barman-cloud-wal-restore")];
        command.extend(["-p", "8", "--stop-recovery-on-failure"].map(str::to_owned));
        command.extend(self.source.common.words_for_a_server());
        command.extend(self.source.customer_key.words());
        command.extend([
            self.source.source_url.clone(),
            self.source.server_name.clone(),
        ]);
        let mut settings = self.target.settings()?;
        let is_astray = ways.is_some_and(|ways| matches!(ways.way, Way::Astray { .. }));
        if is_astray && self.target.target_tli.is_none() {
            settings.push((TARGET_TIMELINE, "current".to_owned()));
        }
        Ok(Wanted { command, settings })
    }
}

/// How far a run went.
enum Ended {
    Planned(Box<RestorePlan>),
    Restored(Box<Restored>),
}

/// What PostgreSQL needs when it is started on the backup: WAL, and settings.
fn needs_in_words(info: &BackupInfo, wanted: &Wanted) -> String {
    let mut text = String::new();
    if let Some(WalRange { first, last, .. }) = WalRange::of(info) {
        text += &format!("then PostgreSQL needs the WAL from {first} to {last} at least\n");
    }
    for (name, value) in wanted.settings_in_order() {
        text += &format!("set {name} = '{}'\n", value.replace('\'', "''"));
    }
    text
}

fn warn_of_hazards(hazards: &RestoreHazards, log: &Log) {
    if !hazards.missing_wal.is_empty() {
        warn_of_missing_wal(&hazards.missing_wal, log);
    }
    if let Some(ways) = &hazards.ways {
        tell_ways(ways, log);
    }
}

fn say_what_next(steps: &Steps<'_>, log: &Log) {
    warn_of_configuration(steps, log);
    if let Some(old) = steps.restored.configuration.old_targets.first() {
        let text = format!(
            "the restored postgresql.auto.conf still has {old}, of an earlier recovery: unless it \
             is set anew, recovery ends there"
        );
        log.line(Level::Warning, &text);
    }
    log.done(&format!("\n{}", steps.render()));
}

impl CloudCommand for Args {
    const UNSUPPORTED: &'static [&'static [Unsupported]] = &[SNAPSHOTS];

    fn common(&self) -> &Common {
        &self.source.common
    }

    fn run(self, log: &Log) -> Result<(), Failure> {
        let place = self.source.place(Patience::Backups, log)?;
        let choice = self.choice(log)?;
        let request = self.request()?;
        if self.source.is_test() {
            return place.test(log);
        }
        let progress: Arc<dyn Progress> = Arc::new(Reporter::new(log, "restoring"));
        let (began, stats) = (Instant::now(), self.stats.begin());
        let stages = Arc::clone(&stats.stages);
        let links = if self.skip_links {
            LinkPolicy::Skip
        } else {
            LinkPolicy::Refuse
        };
        let unlisted = if self.keep_unlisted {
            UnlistedPolicy::Keep
        } else {
            UnlistedPolicy::Refuse
        };
        let threads = Threads::ForJobs(self.jobs);
        let is_dry = self.dry_run;
        let ended = runtime::run_until_done(threads, log, |stop| async move {
            let repository = Repository::on_one(place.open().await?);
            let found = read_settled(&repository).await?;
            let (backup, info) = choice.choose(&found.backups)?;
            progress.event(Event::Step(Step::RestoringBackup(backup)));
            let world = RestoreWorld {
                repository,
                links,
                unlisted,
                progress,
                stages,
                stop,
            };
            let plan = engine::restore::plan(&request(backup), info, &world).await?;
            let hazards = gather_hazards(info, &world).await?;
            let info = info.clone();
            if is_dry {
                return Ok((Ended::Planned(Box::new(plan)), hazards, info));
            }
            let restored = engine::restore::execute(plan, &world).await?;
            Ok((Ended::Restored(Box::new(restored)), hazards, info))
        })?;
        let (ended, hazards, info) = ended;
        let wanted = self.wanted(hazards.ways.as_ref())?;
        let restored = match ended {
            Ended::Planned(plan) => {
                warn_of_hazards(&hazards, log);
                return output::print(&format!("{plan}{}", needs_in_words(&info, &wanted)));
            }
            Ended::Restored(restored) => restored,
        };
        report(&restored, began.elapsed().as_secs_f64(), log);
        warn_of_damage(&restored.damage, log);
        warn_of_hazards(&hazards, log);
        let steps = Steps {
            restored: &restored,
            info: &info,
            wanted: &wanted,
        };
        say_what_next(&steps, log);
        stats.print(log);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::codec::Codec;
    use model::restore::effort::{Effort, Work, comparison_bytes};

    use super::*;
    use crate::barman_cloud::parse_words;

    fn choice(words: &[&str]) -> BackupChoice {
        let words = [&["s3://b/p", "main"], words, &["/pgdata"]].concat();
        parse_words::<Args>(&words).choice(&Log::new(0, 9)).unwrap()
    }

    #[test]
    fn auto_takes_its_target_from_the_options() {
        let lsn = choice(&["--target-l", "0/5000028", "auto", "--target-tli", "latest"]);
        let BackupChoice::Best(AutoTarget::Lsn(lsn), TimelineChoice::Latest) = lsn else {
            panic!()
        };
        assert_eq!(lsn.to_string(), "0/5000028");
        let time = choice(&["--target-time", "2026-03-01 04:00:00+00", "auto"]);
        let BackupChoice::Best(AutoTarget::Time(time), _) = time else {
            panic!()
        };
        assert_eq!(time.to_string(), "2026-03-01T04:00:00Z");
        assert!(matches!(
            choice(&["auto"]),
            BackupChoice::Best(AutoTarget::Latest, _)
        ));
    }

    #[test]
    fn a_target_is_written_as_postgresql_reads_it() {
        let words = [
            "--target-time",
            "2026-03-01T05:00:00.25+01",
            "s3://b/p",
            "main",
            "auto",
            "/d",
        ];
        let args = parse_words::<Args>(&words);
        let expected = (
            "recovery_target_time",
            "2026-03-01 04:00:00.25+00".to_owned(),
        );
        assert_eq!(args.target.settings().unwrap(), [expected]);
    }

    #[test]
    fn a_backup_that_is_named_is_compared_with_the_target() {
        let BackupChoice::Named(BackupRef::Latest, AutoTarget::Lsn(lsn)) =
            choice(&["--target-lsn", "0/1", "latest"])
        else {
            panic!()
        };
        assert_eq!(lsn.to_string(), "0/1");
        let named = choice(&["latest"]);
        assert!(matches!(
            named,
            BackupChoice::Named(BackupRef::Latest, AutoTarget::Latest)
        ));
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
        assert_eq!(refused.kind, Kind::Usage);
    }
}
