//! Which file of the restored directory is the server's configuration, by the backup's record.

use std::path::Path;

use crate::backup::BackupInfo;

/// Where the restored `postgresql.conf` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationFile {
    /// Its path in the restored directory.
    pub path: String,
    /// Whether the server has its configuration outside of the data directory, as on Debian: then
    /// the restored copy names places that are not its own.
    pub came_from_outside: bool,
}

impl ConfigurationFile {
    /// What a backup's record says of it.
    pub fn of(info: &BackupInfo) -> ConfigurationFile {
        let usual = || "postgresql.conf".to_owned();
        let (Some(pgdata), Some(file)) = (&info.pgdata, &info.config_file) else {
            return ConfigurationFile {
                path: usual(),
                came_from_outside: false,
            };
        };
        let outside = |path: &String| !Path::new(path).starts_with(pgdata);
        let files = [&info.config_file, &info.hba_file, &info.ident_file];
        let file = Path::new(file);
        let inner = file.strip_prefix(pgdata).ok();
        let inner = inner.or_else(|| file.file_name().map(Path::new));
        let path = inner.and_then(Path::to_str).map(str::to_owned);
        ConfigurationFile {
            path: path.unwrap_or_else(usual),
            came_from_outside: files.into_iter().flatten().any(outside),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_from_outside_lies_in_the_data_directory() {
        let of = |config_file: &str, hba_file: &str| {
            ConfigurationFile::of(&BackupInfo {
                pgdata: Some("/var/lib/postgresql/15/main".to_owned()),
                config_file: Some(config_file.to_owned()),
                hba_file: Some(hba_file.to_owned()),
                ..BackupInfo::default()
            })
        };
        let (etc, inner) = ("/etc/postgresql/15/main", "/var/lib/postgresql/15/main");
        let debian = of(
            &format!("{etc}/postgresql.conf"),
            &format!("{etc}/pg_hba.conf"),
        );
        assert_eq!(
            (debian.path.as_str(), debian.came_from_outside),
            ("postgresql.conf", true)
        );
        let usual = of(
            &format!("{inner}/conf/pg.conf"),
            &format!("{inner}/pg_hba.conf"),
        );
        assert_eq!(
            (usual.path.as_str(), usual.came_from_outside),
            ("conf/pg.conf", false)
        );
        let mixed = of(&format!("{inner}/postgresql.conf"), "/etc/pg_hba.conf");
        assert_eq!(
            (mixed.path.as_str(), mixed.came_from_outside),
            ("postgresql.conf", true)
        );
        let unknown = ConfigurationFile::of(&BackupInfo::default());
        assert_eq!(
            (unknown.path.as_str(), unknown.came_from_outside),
            ("postgresql.conf", false)
        );
    }
}
