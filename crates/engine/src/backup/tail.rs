//! The end of a backup: what is read and written once all files are archived.
//!
//! `pg_control` is read last and before PostgreSQL is told to stop, as the PostgreSQL manual asks
//! for backups of a standby; the label exists only afterwards. Always true: every member of the
//! tail is in the manifest.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use model::backup::Tablespace;
use model::backup::drift::tablespace_drift;
use model::backup::needed_wal::Span;
use model::format::backup_label::{self, BackupLabel};
use model::format::backup_manifest::{FileEntry, ManifestTrailer};
use model::postgres::{PgVersion, SystemId};
use model::wal::lsn::Lsn;
use model::wal::timeline::TimelineHistory;

use super::error::{BackupError, spool_failed};
use super::places::lies_inside;
use super::record::Record;
use crate::archives::write::{Shared, Tail, TailMember};
use crate::causes;
use crate::cluster::backup_session::Stopped;
use crate::cluster::control::read_control;
use crate::cluster::facts::ServerFacts;
use crate::cluster::session::Session;
use crate::progress::{Event, Warning};

/// Makes sure that each of them can be read, and finds a place in the data directory: they are
/// archived last, and hours of work should not end there.
///
/// # Errors
/// When one may not be read, two have the same name, or one has the name of a file the backup adds
/// itself.
pub fn check_external_files(facts: &ServerFacts) -> Result<(), BackupError> {
    let mut taken: BTreeSet<String> = RESERVED.map(str::to_owned).into();
    for path in external_files(facts) {
        if !taken.insert(file_name(&path)) {
            return Err(BackupError::SameName(path));
        }
        match std::fs::File::open(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(BackupError::Configuration { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Members that the backup adds to the top of the data directory.
const RESERVED: [&str; 2] = ["backup_label", "backup_manifest"];

/// Configuration files outside the data directory: they are put into it by their names.
pub fn external_files(facts: &ServerFacts) -> Vec<PathBuf> {
    let files = [&facts.config_file, &facts.hba_file, &facts.ident_file];
    let paths = files.into_iter().flatten().map(PathBuf::from);
    paths
        .filter(|path| !lies_inside(Path::new(&facts.data_directory), path))
        .collect()
}

/// Files that the configuration includes and that are in no archive: they lie elsewhere, and would
/// not be read if they were put into the data directory.
pub fn left_out_files(facts: &ServerFacts) -> impl Iterator<Item = &str> {
    let data = Path::new(&facts.data_directory);
    let others = [&facts.hba_file, &facts.ident_file];
    let archived = move |path: &&String| {
        others.iter().any(|other| other.as_ref() == Some(*path))
            || lies_inside(data, Path::new(path.as_str()))
    };
    let included = facts.included_files.iter();
    included
        .filter(move |path| !archived(path))
        .map(String::as_str)
}

pub fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A backup that PostgreSQL has ended.
pub struct BackupEnd {
    pub stopped: Stopped,
    pub label: BackupLabel,
    /// From where to where, and on which timelines.
    pub span: Span,
    pub tail: Tail,
}

/// Reads `pg_control`, stops the backup, and puts the tail together.
pub async fn stop(
    facts: &ServerFacts,
    session: &mut Session,
    record: &Record,
    shared: &Shared,
) -> Result<BackupEnd, BackupError> {
    let data = Path::new(&facts.data_directory);
    let mut members = vec![control_member(data)?];
    for path in external_files(facts) {
        members.extend(configuration_member(&path)?);
    }
    let stopped = session.stop().await?;
    // PostgreSQL has ended the backup and given its label: what follows can only lack a name.
    if !facts.in_recovery
        && let Err(error) = session.mark_end(&format!("barman_{}", record.id)).await
    {
        let cause = &causes::in_one_line(&error);
        let warning = Warning::NoRestorePoint { cause };
        shared.progress.event(Event::Warning(warning));
    }
    check_tablespaces(facts, session, &stopped, shared).await?;
    let label = read_label(&stopped.label)?;
    let span = span_of(facts, &label, stopped.lsn)?;
    let ending = Ending {
        members,
        label: stopped.label.clone(),
        span: span.clone(),
        version: facts.version,
        system_id: facts.system_id,
    };
    let tail = ending.seal(shared)?;
    Ok(BackupEnd {
        stopped,
        label,
        span,
        tail,
    })
}

/// # Errors
/// When a tablespace that PostgreSQL counts to the backup was not archived. One that came later is
/// made by recovery and only worth a warning: its directory must be there.
async fn check_tablespaces(
    facts: &ServerFacts,
    session: &mut Session,
    stopped: &Stopped,
    shared: &Shared,
) -> Result<(), BackupError> {
    let now = session.gather_tablespaces().await?;
    let drift = tablespace_drift(&facts.tablespaces, &now, &stopped.tablespace_map);
    for tablespace in &drift.made_meanwhile {
        let warning = Warning::TablespaceMadeMeanwhile(tablespace);
        shared.progress.event(Event::Warning(warning));
    }
    match drift.lost.into_iter().next() {
        Some(Tablespace { name, oid, .. }) => Err(BackupError::LostTablespace { name, oid }),
        None => Ok(()),
    }
}

/// Which timelines the backup was taken on. A primary stays on its own; a standby's minimum
/// recovery point, which is the backup's end, has moved to where its primary is by now.
fn span_of(facts: &ServerFacts, label: &BackupLabel, end: Lsn) -> Result<Span, BackupError> {
    let span = Span::on_one_timeline(label.start_timeline, label.start_lsn, end);
    if !facts.in_recovery {
        return Ok(span);
    }
    let data = Path::new(&facts.data_directory);
    let (_, control) = read_control(data)?;
    let timeline = control.min_recovery_timeline;
    if timeline <= label.start_timeline {
        return Ok(span);
    }
    let path = data.join("pg_wal").join(format!("{timeline}.history"));
    let text = std::fs::read(&path).map_err(|source| BackupError::History {
        path: path.clone(),
        source,
    })?;
    let other = |cause: String| BackupError::OtherHistory {
        path: path.clone(),
        cause,
    };
    let history = TimelineHistory::parse(timeline, &String::from_utf8_lossy(&text));
    let history = history.map_err(|error| other(error.to_string()))?;
    let span = Span { history, ..span };
    match span.ranges() {
        Some(_) => Ok(span),
        None => Err(other(format!(
            "it has no timeline {}",
            label.start_timeline.number()
        ))),
    }
}

/// # Errors
/// When it is no label.
pub fn read_label(text: &str) -> Result<BackupLabel, BackupError> {
    backup_label::parse(text).map_err(|error| BackupError::Label(error.to_string()))
}

/// What is known when all files are archived.
pub struct Ending {
    pub members: Vec<TailMember>,
    /// The text of `backup_label`.
    pub label: String,
    /// From where to where.
    pub span: Span,
    pub version: PgVersion,
    pub system_id: SystemId,
}

impl Ending {
    /// Puts the tail together: its members are in the manifest, and the manifest is sealed.
    ///
    /// # Errors
    /// When the manifest cannot be spooled.
    pub fn seal(self, shared: &Shared) -> Result<Tail, BackupError> {
        let label_member = TailMember {
            path: "backup_label".to_owned(),
            mode: 0o644,
            mtime: 0,
            content: self.label.into_bytes(),
        };
        for member in self.members.iter().chain([&label_member]) {
            let entry = FileEntry {
                path: member.path.clone().into_bytes(),
                size: member.content.len() as u64,
                modified: Timestamp::from_second(member.mtime as i64).unwrap_or_default(),
                crc32c: crc32c::crc32c(&member.content),
            };
            shared.manifest.add(&entry).map_err(spool_failed)?;
        }
        let trailer = ManifestTrailer {
            wal_ranges: self.span.ranges().unwrap_or_default(),
        };
        let manifest = shared
            .manifest
            .finish(self.version, self.system_id, &trailer);
        Ok(Tail {
            members: self.members,
            manifest: manifest.map_err(spool_failed)?,
            label: label_member,
        })
    }
}

/// The control file of a data directory as a member of the tail.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub fn control_member(data: &Path) -> Result<TailMember, BackupError> {
    let (content, _) = read_control(data)?;
    let mtime = Timestamp::now().as_second().max(0) as u64;
    Ok(TailMember {
        path: "global/pg_control".to_owned(),
        mode: mode_of(&data.join("global/pg_control")),
        mtime,
        content,
    })
}

/// The file's permission bits: a cluster may let its group read.
fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).map_or(0o600, |metadata| metadata.mode() & 0o777)
}

/// A configuration file from outside; a missing `pg_ident.conf` is no reason to fail.
fn configuration_member(path: &Path) -> Result<Option<TailMember>, BackupError> {
    let content = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        content => content.map_err(|source| BackupError::Configuration {
            path: path.to_path_buf(),
            source,
        })?,
    };
    let mtime = Timestamp::now().as_second().max(0) as u64;
    Ok(Some(TailMember {
        path: file_name(path),
        mode: mode_of(path),
        mtime,
        content,
    }))
}
