//! What the restored configuration needs to be read at all.
//!
//! Where a server has its configuration outside of the data directory, as on Debian, the backup has
//! the files themselves, and they lie in the data directory now. A folder that they include by a
//! relative name does not come along, and PostgreSQL refuses to start without it: it is made,
//! empty.
//! Always true: no file that was in the backup is changed.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use model::format::postgresql_conf::{Directive, parse, value_of};

use super::claim::make_directory;
use super::error::RestoreError;
use super::place::Place;

/// What the restored `postgresql.conf` says, as far as starting it goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// The port that it sets.
    pub port: Option<u16>,
    /// Whether it has the server's number written to a file outside of the data directory.
    pub has_pid_file: bool,
    /// Whether it wants TLS, and the certificate or its key is not on this machine.
    pub lacks_certificate: bool,
    /// Whether it keeps statistics in a directory outside, as Debian's did up to PostgreSQL 14.
    pub has_stats_directory: bool,
    /// Targets of an earlier recovery, which `postgresql.auto.conf` still sets.
    pub old_targets: Vec<String>,
    /// Whether it starts as a standby, with `standby.signal`.
    pub is_standby: bool,
    /// What it includes and is not there: PostgreSQL does not start with it.
    pub lacking: Vec<Lacking>,
    /// Folders that it includes and that were made, empty.
    pub made: Vec<PathBuf>,
}

/// An include that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// In which line, counted from 1.
    pub line: usize,
    pub path: PathBuf,
}

/// Reads a configuration file of the restored directory, and makes the folders that it includes.
/// One that is not there or is no text says nothing.
///
/// # Errors
/// When a folder cannot be made.
pub fn complete(place: &Place, file: &str) -> Result<Configuration, RestoreError> {
    let destination = place.path();
    let read = |name: &str| {
        let mut content = Vec::new();
        let opened = place.file(name.as_bytes());
        let read = opened.and_then(|file| file.take(MOST_BYTES).read_to_end(&mut content));
        read.map(|_| content).unwrap_or_default()
    };
    let directives = parse(&String::from_utf8_lossy(&read(file)));
    let set_later = parse(&String::from_utf8_lossy(&read("postgresql.auto.conf")));
    let value =
        |name: &'static str| value_of(&set_later, name).or_else(|| value_of(&directives, name));
    let is_set = |name: &'static str| value(name).is_some_and(|value| !value.is_empty());
    let lacks = |name: &'static str| {
        let path = value(name).filter(|path| !path.is_empty());
        path.is_some_and(|path| !destination.join(path).exists())
    };
    let is_on = |value: &str| matches!(value, "on" | "true" | "yes" | "1");
    let mut found = Configuration {
        port: value("port").and_then(|port| port.parse().ok()),
        has_pid_file: is_set("external_pid_file"),
        lacks_certificate: value("ssl").is_some_and(is_on)
            && (lacks("ssl_cert_file") || lacks("ssl_key_file")),
        has_stats_directory: value("stats_temp_directory")
            .is_some_and(|path| path.starts_with('/')),
        old_targets: TARGETS
            .into_iter()
            .filter(|name| is_set(name))
            .map(str::to_owned)
            .collect(),
        is_standby: destination.join("standby.signal").exists(),
        ..Configuration::default()
    };
    for Directive { line, name, value } in directives {
        let is_folder = name == "include_dir";
        if !is_folder && name != "include" {
            continue;
        }
        let path = destination.join(&value);
        if path.exists() {
            continue;
        }
        if is_folder && stays_inside(Path::new(&value)) {
            make_each(place, Path::new(&value))?;
            found.made.push(path);
        } else {
            found.lacking.push(Lacking { line, path });
        }
    }
    Ok(found)
}

/// More than any configuration file has.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// What PostgreSQL allows one of at most (manual, "Recovery Target").
const TARGETS: [&str; 5] = [
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
];

fn stays_inside(path: &Path) -> bool {
    let mut parts = path.components();
    path.components().next().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn make_each(place: &Place, folder: &Path) -> Result<(), RestoreError> {
    let mut made = PathBuf::new();
    for part in folder.components() {
        made.push(part);
        if let Some(name) = made.to_str() {
            make_directory(place, name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn complete(path: &Path, file: &str) -> Result<Configuration, RestoreError> {
        super::complete(&Place::make(path).unwrap(), file)
    }

    #[test]
    fn included_folders_are_made_and_what_cannot_be_made_is_told() {
        let place = tempfile::tempdir().unwrap();
        let text = "data_directory = '/var/lib/postgresql/15/main'\n\
                    external_pid_file = '/var/run/postgresql/15-main.pid'\nport = 5432\n\
                    include_dir = 'conf.d'\ninclude_dir 'more/of.it'\ninclude 'local.conf'\n\
                    include_if_exists = 'none.conf'\ninclude_dir = '/nonexistent/conf.d'\n\
                    include_dir = '../outside'\nssl = on\n\
                    ssl_cert_file = '/nonexistent/cert.pem'\n\
                    stats_temp_directory = '/var/run/postgresql/14-main.pg_stat_tmp'\n";
        fs::write(place.path().join("postgresql.conf"), text).unwrap();
        let auto = "port = 5433\nrecovery_target_time = '2026-11-21'\nrecovery_target_xid = ''\n";
        fs::write(place.path().join("postgresql.auto.conf"), auto).unwrap();
        fs::write(place.path().join("standby.signal"), "").unwrap();
        let found = complete(place.path(), "postgresql.conf").unwrap();
        assert_eq!((found.port, found.has_pid_file), (Some(5433), true));
        assert!(found.lacks_certificate && found.has_stats_directory && found.is_standby);
        assert_eq!(found.old_targets, ["recovery_target_time"]);
        let made = ["conf.d", "more/of.it"].map(|name| place.path().join(name));
        assert_eq!(found.made, made);
        assert!(made.iter().all(|folder| folder.is_dir()));
        let lacking: Vec<_> = found.lacking.iter().map(|lacking| lacking.line).collect();
        assert_eq!(lacking, [6, 8, 9]);
        assert!(!place.path().parent().unwrap().join("outside").exists());

        let again = complete(place.path(), "postgresql.conf").unwrap();
        assert!(again.made.is_empty());
        let empty = tempfile::tempdir().unwrap();
        let none = complete(empty.path(), "postgresql.conf").unwrap();
        assert_eq!(none, Configuration::default());
    }
}
