//! What to do with a restored directory: numbered steps, ready to be pasted, with this run's words
//! filled in.
//!
//! Facts come from the restore and the record; here is only the wording. Always true: what is
//! shown is quoted for where it is pasted, and names no secret.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use engine::restore::{Configuration, Restored};
use model::backup::BackupInfo;

/// The `restore_command` and the target of this run.
pub struct Wanted {
    /// `barman-cloud-wal-restore` and its options, up to `%f`; not quoted.
    pub command: Vec<String>,
    /// Settings such as `recovery_target_time` with their values.
    pub settings: Vec<(&'static str, String)>,
}

impl Wanted {
    /// The `restore_command` as the server is to have it, and the target.
    pub fn settings_in_order(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("restore_command", self.restore_command())];
        settings.extend(self.settings.iter().cloned());
        settings
    }

    fn restore_command(&self) -> String {
        let words: Vec<_> = self.command.iter().map(|word| quote(word)).collect();
        words.join(" ").replace('%', "%%") + " %f %p"
    }
}

/// What the steps are about.
pub struct Steps<'a> {
    pub restored: &'a Restored,
    pub info: &'a BackupInfo,
    pub wanted: &'a Wanted,
}

impl Steps<'_> {
    fn destination(&self) -> &Path {
        &self.restored.plan.destination
    }

    /// Whether the server comes back to where it was.
    pub fn is_in_place(&self) -> bool {
        let recorded = self.info.pgdata.as_deref().map(Path::new);
        recorded == Some(self.destination())
    }

    /// The steps, from a directory to a running server.
    pub fn render(&self) -> String {
        let place = quote(&self.destination().display().to_string());
        let mut text = String::from("Next, as the user that the server runs as:\n\n");
        text += "1. Say where the WAL is and how far to recover; without a target, to the end:\n\n";
        writeln!(text, "cat >> {place}/postgresql.auto.conf <<'CONF'").expect(INTO_MEMORY);
        for (name, value) in self.settings() {
            let value = value.replace('\'', "''");
            writeln!(text, "{name} = '{value}'").expect(INTO_MEMORY);
        }
        text += "CONF\n";
        if self.restored.configuration.is_standby {
            writeln!(text, "rm {place}/standby.signal").expect(INTO_MEMORY);
        }
        writeln!(text, "touch {place}/recovery.signal\n\n2. Start it:\n").expect(INTO_MEMORY);
        writeln!(text, "{}\n", self.start_line()).expect(INTO_MEMORY);
        if !self.is_in_place() {
            text += "It is a copy: it archives nothing until archive_mode is on again, which \
                     should be under a\nserver name of its own.\n";
        }
        text
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("restore_command", self.wanted.restore_command())];
        for old in &self.restored.configuration.old_targets {
            settings.extend(
                TARGETS
                    .into_iter()
                    .find(|name| name == old)
                    .map(|name| (name, String::new())),
            );
        }
        settings.extend(self.wanted.settings.iter().cloned());
        if self
            .wanted
            .settings
            .iter()
            .any(|(name, _)| TARGETS.contains(name))
        {
            settings.push(("recovery_target_action", "promote".to_owned()));
        }
        if !self.is_in_place() {
            settings.push(("archive_mode", "off".to_owned()));
        }
        settings
    }

    /// One line that starts the server.
    pub fn start_line(&self) -> String {
        if let Some((major, name)) = self.debian_cluster().filter(|_| self.is_in_place()) {
            return format!("pg_ctlcluster {major} {name} start");
        }
        let place = self.destination();
        let options: Vec<_> = self.overrides().iter().map(|word| quote(word)).collect();
        let (program, log) = (self.pg_ctl(), place.join("startup.log"));
        let mut line = format!(
            "{} -D {} -l {}",
            quote(&program.display().to_string()),
            quote(&place.display().to_string()),
            quote(&log.display().to_string()),
        );
        if !options.is_empty() {
            let options: String = options.iter().flat_map(|word| ["-c ", word, " "]).collect();
            write!(line, " -o {}", quote(options.trim_end())).expect(INTO_MEMORY);
        }
        line + " start"
    }

    /// Settings that the copy must not take from the server it was made of.
    fn overrides(&self) -> Vec<String> {
        let place = self.destination();
        let inner = |name: &str| place.join(name).display().to_string();
        let Configuration {
            port,
            has_pid_file,
            lacks_certificate,
            has_stats_directory,
            ..
        } = self.restored.configuration;
        let mut words = Vec::new();
        if self.restored.plan.configuration.came_from_outside {
            words.push(format!("data_directory={}", place.display()));
            for (setting, file) in [
                ("hba_file", &self.info.hba_file),
                ("ident_file", &self.info.ident_file),
            ] {
                let name = file.as_deref().and_then(|file| Path::new(file).file_name());
                let name = name.and_then(|name| name.to_str());
                words.extend(name.map(|name| format!("{setting}={}", inner(name))));
            }
        }
        if has_pid_file {
            words.push(format!("external_pid_file={}", inner("external.pid")));
        }
        if has_stats_directory {
            words.push("stats_temp_directory=pg_stat_tmp".to_owned());
        }
        if lacks_certificate {
            words.push("ssl=off".to_owned());
        }
        if !self.is_in_place() {
            let port = port.unwrap_or(5432);
            words.push(format!("port={}", port.checked_add(1).unwrap_or(5433)));
        }
        words
    }

    /// Version and name, where Debian's tools manage the server on this machine.
    fn debian_cluster(&self) -> Option<(String, String)> {
        let file = Path::new(self.info.config_file.as_deref()?);
        let mut parts = file.strip_prefix("/etc/postgresql").ok()?.components();
        let mut part = || parts.next()?.as_os_str().to_str().map(str::to_owned);
        let (major, name) = (part()?, part()?);
        (file.exists() && part()? == "postgresql.conf").then_some((major, name))
    }

    /// Debian keeps the programs of each version outside of PATH.
    fn pg_ctl(&self) -> PathBuf {
        let major = self.info.version.map(|version| version.major());
        let debian = major.map(|major| format!("/usr/lib/postgresql/{major}/bin/pg_ctl"));
        let debian = debian.map(PathBuf::from).filter(|program| program.exists());
        debian.unwrap_or_else(|| PathBuf::from("pg_ctl"))
    }
}

const TARGETS: [&str; 5] = [
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
];

const INTO_MEMORY: &str = "writing into a string does not fail";

/// A word as a shell takes it.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@,+-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The path of another name of this program, as whoever started it could call it: the server has
/// another PATH, if any.
pub fn path_of(name: &str) -> String {
    let beside = std::env::current_exe().ok();
    let beside = beside.and_then(|program| Some(program.parent()?.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|directory| directory.join(name));
    let absolute = in_path.filter(|program| program.is_absolute());
    let mut candidates = absolute.chain(beside);
    let found = candidates.find(|program| program.is_file());
    found.map_or_else(|| name.to_owned(), |program| program.display().to_string())
}

#[cfg(test)]
mod tests {
    use engine::restore::Verified;
    use model::backup::id::BackupId;
    use model::postgres::PgVersion;
    use model::restore::configuration_file::ConfigurationFile;
    use model::restore::effort::Effort;
    use model::restore::plan::RestorePlan;

    use super::*;

    fn restored(destination: &str, info: &BackupInfo) -> Restored {
        let backup: BackupId = "20261121T081044".parse().unwrap();
        let plan = RestorePlan {
            source: String::new(),
            backup,
            begins: vec![],
            check_from: None,
            destination: PathBuf::from(destination),
            configuration: ConfigurationFile::of(info),
            extractions: vec![],
            effort: Effort::usual(2),
            links: vec![],
            inside: std::collections::BTreeMap::new(),
            download_bytes: 0,
        };
        Restored {
            plan,
            file_count: 3,
            verified: Verified::NoManifest,
            damage: engine::restore::Damage::default(),
            configuration: Configuration {
                port: Some(5432),
                has_pid_file: true,
                old_targets: vec!["recovery_target_xid".to_owned()],
                ..Configuration::default()
            },
        }
    }

    fn debian(cluster: &str) -> BackupInfo {
        let file = |name: &str| Some(format!("/etc/postgresql/{cluster}/{name}"));
        BackupInfo {
            pgdata: Some("/var/lib/postgresql/99/main".to_owned()),
            config_file: file("postgresql.conf"),
            hba_file: file("pg_hba.conf"),
            ident_file: file("pg_ident.conf"),
            version: Some(PgVersion::new(990_001)),
            ..BackupInfo::default()
        }
    }

    fn wanted() -> Wanted {
        let words = ["barman-cloud-wal-restore", "s3://b/50% off", "it's"];
        Wanted {
            command: words.map(str::to_owned).into(),
            settings: vec![("recovery_target_time", "2026-03-01 03:00:00+00".to_owned())],
        }
    }

    #[test]
    fn a_copy_gets_settings_and_a_start_line_of_its_own() {
        let (info, wanted) = (debian("99/none"), wanted());
        let restored = restored("/srv/my copy", &info);
        let steps = Steps {
            restored: &restored,
            info: &info,
            wanted: &wanted,
        };
        insta::assert_snapshot!(steps.render());
    }

    #[test]
    fn a_server_in_its_old_place_archives_on() {
        let (info, wanted) = (debian("99/none"), wanted());
        let restored = restored("/var/lib/postgresql/99/main", &info);
        let steps = Steps {
            restored: &restored,
            info: &info,
            wanted: &wanted,
        };
        let text = steps.render();
        assert!(
            !text.contains("archive_mode") && !text.contains("port="),
            "{text}"
        );
    }
}
