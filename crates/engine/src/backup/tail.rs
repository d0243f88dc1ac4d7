//! The end of a backup: what is read and written once all files are archived.
//!
//! `pg_control` is read last and before PostgreSQL is told to stop, as the PostgreSQL manual asks
//! for backups of a standby; the label exists only afterwards. Always true: every member of the
//! tail is in the manifest.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use model::format::backup_label::{self, BackupLabel};
use model::format::backup_manifest::{FileEntry, ManifestTrailer, WalRange as ManifestRange};
use model::postgres::{PgVersion, SystemId};
use model::wal::lsn::Lsn;

use super::BackupError;
use super::archive::{Shared, Tail, TailMember};
use super::control::read_control;
use super::record::Record;
use super::session::{ServerFacts, Session, Stopped};
use crate::causes;
use crate::progress::Event;

/// Makes sure that each of them finds a place in the data directory.
///
/// # Errors
/// When two have the same name, or one has the name of a file the backup adds itself.
pub fn check_external_files(facts: &ServerFacts) -> Result<(), BackupError> {
    let mut taken: BTreeSet<String> = RESERVED.map(str::to_owned).into();
    for path in external_files(facts) {
        if !taken.insert(file_name(&path)) {
            return Err(BackupError::SameName(path));
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
        .filter(|path| !path.starts_with(&facts.data_directory))
        .collect()
}

pub fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Reads `pg_control`, stops the backup, and puts the tail together.
pub async fn stop(
    facts: &ServerFacts,
    session: &mut Session,
    record: &Record,
    shared: &Shared,
) -> Result<(Stopped, BackupLabel, Tail), BackupError> {
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
        let text = causes::in_one_line(&error);
        shared.progress.event(Event::Warning { text: &text });
    }
    let ending = Ending {
        members,
        label: stopped.label.clone(),
        end: stopped.lsn,
        version: facts.version,
        system_id: facts.system_id,
    };
    let (label, tail) = ending.seal(shared)?;
    Ok((stopped, label, tail))
}

/// What is known when all files are archived.
pub struct Ending {
    pub members: Vec<TailMember>,
    /// The text of `backup_label`.
    pub label: String,
    /// Where the backup ends.
    pub end: Lsn,
    pub version: PgVersion,
    pub system_id: SystemId,
}

impl Ending {
    /// Puts the tail together: its members are in the manifest, and the manifest is sealed.
    ///
    /// # Errors
    /// When the label cannot be read, or the manifest cannot be spooled.
    pub fn seal(self, shared: &Shared) -> Result<(BackupLabel, Tail), BackupError> {
        let label = backup_label::parse(&self.label);
        let label = label.map_err(|error| BackupError::Label(error.to_string()))?;
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
        let range = ManifestRange {
            timeline: label.start_timeline,
            start: label.start_lsn,
            end: self.end,
        };
        let trailer = ManifestTrailer {
            wal_ranges: vec![range],
        };
        let manifest = shared
            .manifest
            .finish(self.version, self.system_id, &trailer);
        let tail = Tail {
            members: self.members,
            manifest: manifest.map_err(spool_failed)?,
            label: label_member,
        };
        Ok((label, tail))
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

pub fn spool_failed(source: std::io::Error) -> BackupError {
    BackupError::Spool {
        directory: std::env::temp_dir().display().to_string(),
        source,
    }
}
