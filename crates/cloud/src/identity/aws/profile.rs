//! A profile: its keys from both AWS files, and where each came from.
//!
//! botocore merges the two files key by key, the credentials file over the config file; static
//! keys alone are looked up in each file by itself, in the order of the credential chain. A file
//! that cannot be read is an empty one, as for botocore; but who then misses something is told.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::aws_file::{AwsFile, AwsFileEntry, BadAwsFile, Section};
use crate::environment::Environment;

/// AWS's two files of one user; a file that is not there, or cannot be read, is an empty one.
#[derive(Clone, Default)]
pub struct AwsFiles {
    /// `~/.aws/config` or AWS_CONFIG_FILE.
    pub config: AwsFile,
    /// `~/.aws/credentials` or AWS_SHARED_CREDENTIALS_FILE.
    pub credentials: AwsFile,
    config_path: PathBuf,
    credentials_path: PathBuf,
    unread: Vec<String>,
}

impl AwsFiles {
    /// Reads both files from where `environment` says they are.
    ///
    /// # Errors
    /// When one of them cannot be understood.
    pub fn read(environment: &Environment) -> Result<Self, BadAwsFile> {
        let place = |variable: &str, default: &str| match environment.get(variable) {
            // In bytes that are no UTF-8 nothing is expanded.
            Some(text) if text.contains(char::REPLACEMENT_CHARACTER) => environment
                .path(variable)
                .unwrap_or_else(|| environment.expand(text)),
            Some(text) => environment.expand(text),
            None => environment.expand(default),
        };
        let config_path = place("AWS_CONFIG_FILE", "~/.aws/config");
        let credentials_path = place("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
        let mut unread = Vec::new();
        Ok(AwsFiles {
            config: read_file(&config_path, &mut unread)?,
            credentials: read_file(&credentials_path, &mut unread)?,
            config_path,
            credentials_path,
            unread,
        })
    }

    /// Where was looked, and what could not be read there.
    pub(super) fn places(&self) -> String {
        let (config, credentials) = (self.config_path.display(), self.credentials_path.display());
        let unread = self.unread_too();
        format!("{config} nor {credentials}{unread}")
    }

    /// What could not be read, to go behind the words of an error; empty if nothing.
    pub(super) fn unread_too(&self) -> String {
        if self.unread.is_empty() {
            String::new()
        } else {
            format!(" (cannot read {})", self.unread.join(" and "))
        }
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
            unread: Vec::new(),
        })
    }

    /// The profile `name`; `None` when neither file has it.
    pub(super) fn profile(&self, name: &str) -> Option<Profile> {
        let in_config = self.config.profile(name);
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

    /// Whether there is a `[services name]`.
    pub(super) fn has_services(&self, name: &str) -> bool {
        self.config.section_of_kind("services", name).is_some()
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

/// A file larger than this is none of AWS's.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Bytes that are not UTF-8 are replaced: only the value that has them cannot be used.
fn read_file(path: &Path, unread: &mut Vec<String>) -> Result<AwsFile, BadAwsFile> {
    match read_text(path) {
        Ok(text) => AwsFile::parse(&text, path),
        Err(error) if is_absent(&error) => Ok(AwsFile::default()),
        Err(error) => {
            unread.push(format!("{}: {error}", path.display()));
            Ok(AwsFile::default())
        }
    }
}

/// Only a plain file is opened: a command does not wait for the other end of a pipe.
fn read_text(path: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    if metadata.len() > LARGEST {
        return Err(io::Error::other("it is too large"));
    }
    let bytes = std::fs::read(path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn located(section: Option<&Section>, path: &Path) -> ProfileSettings {
    let entries = section.into_iter().flatten();
    let located = entries.map(|(key, entry)| {
        let place = format!("{}:{}", path.display(), entry.line);
        (
            key.clone(),
            ProfileSetting {
                entry: entry.clone(),
                place,
            },
        )
    });
    located.collect()
}

pub(super) type ProfileSettings = BTreeMap<String, ProfileSetting>;

/// One key of a profile.
#[derive(Clone)]
pub(super) struct ProfileSetting {
    entry: AwsFileEntry,
    /// `file:line`.
    pub(super) place: String,
}

impl ProfileSetting {
    pub(super) fn value(&self) -> &str {
        &self.entry.value
    }
}

/// One profile. Nothing in it is printed: some values are secrets.
pub(super) struct Profile {
    pub(super) name: String,
    /// The keys of the config file alone.
    pub(super) config: ProfileSettings,
    /// The keys of the credentials file alone.
    pub(super) credentials: ProfileSettings,
    merged: ProfileSettings,
}

impl Profile {
    /// A key of either file, the credentials file first.
    pub(super) fn get(&self, key: &str) -> Option<&ProfileSetting> {
        self.merged.get(key)
    }

    /// A key's value, unless it is empty.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.get(key)
            .map(ProfileSetting::value)
            .filter(|value| !value.is_empty())
    }

    /// A key of a nested block, such as `addressing_style` below `s3 =`.
    pub(super) fn nested(&self, block: &str, key: &str) -> Option<&str> {
        self.get(block)?.entry.nested.get(key).map(String::as_str)
    }
}
