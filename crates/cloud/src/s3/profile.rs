//! A profile: its keys from both AWS files, and where each came from.
//!
//! botocore merges the two files key by key, the credentials file over the config file; static
//! keys alone are looked up in each file by itself, in the order of the credential chain.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::aws_file::{AwsFile, BadAwsFile, Entry, Section};
use crate::environment::Environment;

/// AWS's two files of one user; a file that does not exist is an empty one, as for botocore.
#[derive(Clone, Default)]
pub struct AwsFiles {
    /// `~/.aws/config` or AWS_CONFIG_FILE.
    pub config: AwsFile,
    /// `~/.aws/credentials` or AWS_SHARED_CREDENTIALS_FILE.
    pub credentials: AwsFile,
    config_path: PathBuf,
    credentials_path: PathBuf,
}

/// A file that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AwsFilesError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Bad(#[from] BadAwsFile),
}

impl AwsFiles {
    /// Reads both files from where `environment` says they are.
    pub fn read(environment: &Environment) -> Result<Self, AwsFilesError> {
        let place = |variable: &str, default: &str| {
            environment.expand_home(environment.get(variable).unwrap_or(default))
        };
        let config_path = place("AWS_CONFIG_FILE", "~/.aws/config");
        let credentials_path = place("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
        Ok(AwsFiles {
            config: read_file(&config_path)?,
            credentials: read_file(&credentials_path)?,
            config_path,
            credentials_path,
        })
    }

    /// Files from their texts, for tests of the rules.
    pub fn from_texts(config: &str, credentials: &str) -> Result<Self, BadAwsFile> {
        let (config_path, credentials_path) =
            (PathBuf::from("config"), PathBuf::from("credentials"));
        Ok(AwsFiles {
            config: AwsFile::parse(config, &config_path)?,
            credentials: AwsFile::parse(credentials, &credentials_path)?,
            config_path,
            credentials_path,
        })
    }

    /// The profile `name`; `None` when neither file has it.
    pub(super) fn profile(&self, name: &str) -> Option<Profile> {
        let in_config = self.config.section_of_kind("profile", name);
        let in_config = match in_config {
            None if name == "default" => self.config.section("default"),
            found => found,
        };
        let in_credentials = self.credentials.section(name);
        if in_config.is_none() && in_credentials.is_none() {
            return None;
        }
        let config = located(in_config, &self.config_path);
        let credentials = located(in_credentials, &self.credentials_path);
        let mut merged = config.clone();
        merged.extend(credentials.clone());
        Some(Profile {
            name: name.into(),
            config,
            credentials,
            merged,
        })
    }

    /// A setting of `[sso-session name]`.
    pub(super) fn sso_session(&self, name: &str, key: &str) -> Option<String> {
        let section = self.config.section_of_kind("sso-session", name)?;
        let value = &section.get(key)?.value;
        Some(value.clone()).filter(|value| !value.is_empty())
    }

    /// A setting of one service in the `[services name]` that a profile refers to.
    pub(super) fn service(&self, services: &str, service: &str, key: &str) -> Option<String> {
        let section = self.config.section_of_kind("services", services)?;
        section
            .get(service)?
            .nested
            .get(key)
            .filter(|value| !value.is_empty())
            .cloned()
    }
}

fn read_file(path: &Path) -> Result<AwsFile, AwsFilesError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(AwsFile::parse(&text, path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(AwsFile::default()),
        Err(source) => Err(AwsFilesError::Unreadable {
            path: path.into(),
            source,
        }),
    }
}

fn located(section: Option<&Section>, path: &Path) -> Settings {
    let entries = section.into_iter().flatten();
    let located = entries.map(|(key, entry)| {
        let place = format!("{}:{}", path.display(), entry.line);
        (
            key.clone(),
            Setting {
                entry: entry.clone(),
                place,
            },
        )
    });
    located.collect()
}

pub(super) type Settings = BTreeMap<String, Setting>;

/// One key of a profile.
#[derive(Clone)]
pub(super) struct Setting {
    entry: Entry,
    /// `file:line`.
    pub(super) place: String,
}

impl Setting {
    pub(super) fn value(&self) -> &str {
        &self.entry.value
    }
}

/// One profile. Nothing in it is printed: some values are secrets.
pub(super) struct Profile {
    pub(super) name: String,
    /// The keys of the config file alone.
    pub(super) config: Settings,
    /// The keys of the credentials file alone.
    pub(super) credentials: Settings,
    merged: Settings,
}

impl Profile {
    /// A key of either file, the credentials file first.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.merged.get(key)
    }

    /// A key's value, unless it is empty.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.get(key)
            .map(Setting::value)
            .filter(|value| !value.is_empty())
    }

    /// A key of a nested block, such as `addressing_style` below `s3 =`.
    pub(super) fn nested(&self, block: &str, key: &str) -> Option<&str> {
        self.get(block)?.entry.nested.get(key).map(String::as_str)
    }
}
