//! The configuration files of a Barman host, found and read.
//!
//! First the main file, which says as which account the rest is done; then, as that account, the
//! files of `configuration_files_directory`, and last what Barman itself changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::config::complaints::BadConfiguration;
use model::config::faults::Outside;
use model::config::ini::ConfigText;
use model::config::sections::{BarmanConfig, configure};
use model::config::server::{BarmanServer, Collision, collisions, servers};
use model::config::settings::SectionSettings;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("there is no configuration file: none of {}", .0.join(", "))]
    NoFile(Vec<String>),
    #[error("cannot read the configuration file {}: {cause}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("{0}")]
    Bad(#[from] BadConfiguration),
}

/// The main file, read.
#[derive(Debug)]
pub struct MainFile {
    text: ConfigText,
    global: SectionSettings,
}

/// Everything that the files say.
#[derive(Debug)]
pub struct Loaded {
    pub configuration: BarmanConfig,
    pub servers: BTreeMap<String, BarmanServer>,
    pub collisions: Vec<Collision>,
}

/// The files that are looked for when none is named, first to last.
pub fn usual_files(home: Option<&Path>) -> Vec<PathBuf> {
    let own = home.map(|home| home.join(".barman.conf"));
    let shared = ["/etc/barman.conf", "/etc/barman/barman.conf"].map(PathBuf::from);
    own.into_iter().chain(shared).collect()
}

/// Reads the first of these files that is there.
///
/// # Errors
/// When none is there, or it cannot be read or understood.
pub fn read_main(candidates: &[PathBuf]) -> Result<MainFile, LoadError> {
    let Some(path) = candidates.iter().find(|path| path.exists()) else {
        let names = candidates.iter().map(|path| path.display().to_string());
        return Err(LoadError::NoFile(names.collect()));
    };
    let text = read(path)?;
    let global = configure(&text, &[])?.global;
    Ok(MainFile { text, global })
}

impl MainFile {
    /// The account that everything is done as.
    pub fn user(&self) -> &str {
        self.global.text("barman_user").unwrap_or_default()
    }

    /// Reads the files beside this one, and makes the servers of all.
    ///
    /// # Errors
    /// When one cannot be read or understood.
    pub fn read_others(self) -> Result<Loaded, LoadError> {
        let mut paths = self
            .global
            .text("configuration_files_directory")
            .map_or_else(Vec::new, |directory| files_in(Path::new(directory)));
        let home = Path::new(self.global.text("barman_home").unwrap_or_default());
        let own_changes = home.join(".barman.auto.conf");
        paths.extend(own_changes.exists().then_some(own_changes));
        let others = paths.iter().map(|path| read(path));
        let others = others.collect::<Result<Vec<_>, _>>()?;
        let configuration = configure(&self.text, &others)?;
        let outside = Outside {
            bad_conninfo: &bad_conninfo,
            real_path: &real_path,
        };
        let models = active_models(&configuration);
        let servers = servers(&configuration, &models, &outside);
        let collisions = collisions(&servers, &outside);
        Ok(Loaded {
            configuration,
            servers,
            collisions,
        })
    }
}

fn read(path: &Path) -> Result<ConfigText, LoadError> {
    let text = fs::read_to_string(path).map_err(|cause| LoadError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    let file = path.display().to_string();
    Ok(ConfigText { file, text })
}

/// A directory that is not there has no files; so says Barman.
fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_conf = |path: &PathBuf| {
        let is_hidden = path
            .file_name()
            .is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
        path.extension().is_some_and(|it| it == "conf") && !is_hidden && path.is_file()
    };
    let mut paths: Vec<_> = paths.filter(is_conf).collect();
    paths.sort();
    paths
}

/// Which model each server was switched to: `.active-model.auto` in its directory.
fn active_models(configuration: &BarmanConfig) -> BTreeMap<String, String> {
    let model = |(name, settings): (&String, &SectionSettings)| {
        let directory = settings.text("backup_directory")?;
        let file = Path::new(directory).join(".active-model.auto");
        let model = fs::read_to_string(file).ok()?.trim().to_owned();
        (!model.is_empty()).then(|| (name.clone(), model))
    };
    configuration.servers.iter().filter_map(model).collect()
}

fn bad_conninfo(text: &str) -> Option<String> {
    let parsed = postgres::conninfo::parse(text);
    parsed.err().map(|error| error.to_string())
}

/// Follows links as far as the path exists.
fn real_path(text: &str) -> String {
    let path = Path::new(text);
    let existing = path.ancestors().find_map(|above| {
        let real = above.canonicalize().ok()?;
        Some(real.join(path.strip_prefix(above).ok()?))
    });
    let real = existing.unwrap_or_else(|| path.to_owned());
    real.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::config::server::ServerStanding;

    fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().display().to_string();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("ROOT", &root)).unwrap();
        }
        directory
    }

    const MAIN: &str = "[barman]\nbarman_home = ROOT/home\nbarman_user = anna\n\
                        configuration_files_directory = ROOT/d\n";

    #[test]
    fn files_are_read_in_barmans_order_and_its_own_changes_last() {
        let files = [
            ("barman.conf", MAIN),
            ("d/b.conf", "[main]\ndescription = b\ncompression = gzip\n"),
            ("d/a.conf", "[main]\ndescription = a\nslot_name = s\n"),
            ("d/.c.conf", "[main]\ndescription = hidden\n"),
            ("d/d.conf.old", "[main]\ndescription = old\n"),
            ("home/.barman.auto.conf", "[main]\ncompression = zstd\n"),
            ("home/main/.active-model.auto", "m\n"),
        ];
        let directory = home(&files);
        let candidates = [
            directory.path().join("nowhere"),
            directory.path().join("barman.conf"),
        ];
        let main = read_main(&candidates).unwrap();
        assert_eq!(main.user(), "anna");
        let loaded = main.read_others().unwrap();
        let server = &loaded.servers["main"];
        assert_eq!(server.settings.text("description"), Some("b"));
        assert_eq!(server.settings.text("compression"), Some("zstd"));
        assert_eq!(server.settings.text("slot_name"), Some("s"));
        assert_eq!(server.active_model.as_deref(), Some("m"));
        assert_eq!(server.standing(), ServerStanding::Disabled);
    }

    #[test]
    fn links_lead_to_the_same_directory() {
        let directory = home(&[
            ("barman.conf", MAIN),
            (
                "d/a.conf",
                "[a]\nconninfo=x\n[b]\nconninfo=x\nwals_directory = ROOT/link/a/wals\n",
            ),
            ("home/.keep", ""),
        ]);
        std::os::unix::fs::symlink("home", directory.path().join("link")).unwrap();
        let main = read_main(&[directory.path().join("barman.conf")]).unwrap();
        let loaded = main.read_others().unwrap();
        assert_eq!(loaded.collisions.len(), 1);
        assert_eq!(loaded.collisions[0].other_option, "wals_directory");
    }

    #[test]
    fn what_is_missing_or_no_text_is_named() {
        let missing = read_main(&[PathBuf::from("/nowhere/barman.conf")]);
        let missing = missing.unwrap_err().to_string();
        assert!(
            missing.ends_with("none of /nowhere/barman.conf"),
            "{missing}"
        );
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("barman.conf");
        fs::write(&path, b"[barman]\n\xFF").unwrap();
        let bad = read_main(&[path]).unwrap_err().to_string();
        assert!(
            bad.contains("barman.conf: stream did not contain valid UTF-8"),
            "{bad}"
        );
    }
}
