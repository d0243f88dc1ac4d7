//! The two files that a connection may be completed from: service file and passfile.
//!
//! These are the only reads of this module, made while a [`super::Config`] is resolved. What the
//! files mean is decided in [`crate::conninfo`].

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::ConfigError;
use crate::Environment;
use crate::conninfo::service::find_service;
use crate::conninfo::{Settings, Source};

/// Where Debian's libpq looks for `pg_service.conf` when PGSYSCONFDIR is not set.
const SYSTEM_DIRECTORY: &str = "/etc/postgresql-common";

/// A file larger than this is no service file or passfile.
const SIZE_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Adds the service that `settings` or PGSERVICE names, without touching what is set already.
///
/// The user's file (PGSERVICEFILE, else `~/.pg_service.conf`) is asked first, then the system's.
pub(super) fn add_service(
    settings: &mut Settings,
    environment: &Environment,
) -> Result<(), ConfigError> {
    let name = settings
        .get("service")
        .or_else(|| environment.variable("PGSERVICE"));
    let Some(name) = name.filter(|name| !name.is_empty()).map(str::to_owned) else {
        return Ok(());
    };
    let named = settings
        .get("servicefile")
        .or_else(|| environment.variable("PGSERVICEFILE"));
    if let Some(path) = named.filter(|path| !path.is_empty()).map(PathBuf::from) {
        if !path.exists() {
            return Err(ConfigError::NoServiceFile(path));
        }
        if add_service_from(settings, &path, &name)? {
            return Ok(());
        }
    } else if let Some(home) = environment.home()
        && add_service_from(settings, &home.join(".pg_service.conf"), &name)?
    {
        return Ok(());
    }
    let system = environment
        .variable("PGSYSCONFDIR")
        .unwrap_or(SYSTEM_DIRECTORY);
    if add_service_from(settings, &Path::new(system).join("pg_service.conf"), &name)? {
        Ok(())
    } else {
        Err(ConfigError::NoService(name))
    }
}

/// Whether the file exists and has the section.
fn add_service_from(settings: &mut Settings, path: &Path, name: &str) -> Result<bool, ConfigError> {
    let text = match read_text(path) {
        Err(error) if is_absent(&error) => return Ok(false),
        other => other.map_err(|cause| ConfigError::Read {
            path: path.to_owned(),
            cause,
        })?,
    };
    let found = find_service(&text, name).map_err(|cause| ConfigError::ServiceFile {
        path: path.to_owned(),
        cause,
    })?;
    let Some(found) = found else { return Ok(false) };
    for (keyword, value) in found {
        settings.add(keyword, value, Source::Service(name.to_owned()));
    }
    Ok(true)
}

/// What the passfile turned out to be.
#[derive(Debug)]
pub(super) enum Passfile {
    /// There is none.
    Absent,
    /// It is there and must not be used, for the reason given.
    Ignored(String),
    /// Its text.
    Text(String),
}

/// Reads the passfile that `settings` or the environment name, else `~/.pgpass`.
///
/// One that is no plain file, or that others may read or write, is ignored with a reason, as libpq
/// does; one that cannot be read is as good as absent.
pub(super) fn read_passfile(settings: &Settings, environment: &Environment) -> Passfile {
    let named = settings
        .get("passfile")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let Some(path) = named.or_else(|| Some(environment.home()?.join(".pgpass"))) else {
        return Passfile::Absent;
    };
    let Ok(metadata) = fs::metadata(&path) else {
        return Passfile::Absent;
    };
    if !metadata.is_file() {
        return Passfile::Ignored(format!("passfile {} is not a plain file", path.display()));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        return Passfile::Ignored(format!(
            "passfile {path} is ignored because others have access to it; chmod 600 {path}"
        ));
    }
    match read_text(&path) {
        Ok(text) => Passfile::Text(text),
        Err(error) if is_absent(&error) => Passfile::Absent,
        Err(error) => Passfile::Ignored(format!(
            "passfile {} cannot be read: {error}",
            path.display()
        )),
    }
}

/// Bytes that are not UTF-8 are replaced: they spoil their own line only.
fn read_text(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > SIZE_LIMIT_BYTES {
        return Err(io::Error::other("the file is too large"));
    }
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
