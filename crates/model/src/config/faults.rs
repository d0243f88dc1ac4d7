//! What keeps a server from working: options that contradict each other, or lack one another.
//!
//! Facts: Barman 3.20.1, by running it on such configurations. A server with a fault is disabled:
//! what it has can be looked at, nothing new is made for it.

use std::collections::BTreeMap;

use super::ini::FilePlace;
use super::settings::SectionSettings;

/// What cannot work, with the options that make it so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{option} is not set")]
    Missing { option: &'static str },
    #[error("{option} is no connection string: {cause}{}", written(place.as_ref()))]
    BadConninfo {
        option: &'static str,
        cause: String,
        place: Option<FilePlace>,
    },
    #[error("{option} does not go with backup_method = {method}{}", written(place.as_ref()))]
    NotWithMethod {
        option: &'static str,
        method: String,
        place: Option<FilePlace>,
    },
    #[error("backup_method = {method} needs {option}")]
    MethodNeeds {
        option: &'static str,
        method: String,
    },
    #[error("streaming_archiver as the only archiver needs {option}")]
    StreamingNeeds { option: &'static str },
    #[error("{option} and {other} are the same directory, {directory}")]
    SameDirectory {
        option: &'static str,
        other: &'static str,
        directory: String,
    },
    #[error("its active model {model} is not in the configuration")]
    NoSuchModel { model: String },
}

fn written(place: Option<&FilePlace>) -> String {
    place.map_or_else(String::new, |place| format!(" ({place})"))
}

/// What only the world outside can tell about a text.
pub struct Outside<'a> {
    /// What is wrong with a connection string, if anything.
    pub bad_conninfo: &'a dyn Fn(&str) -> Option<String>,
    /// A directory's real path, links followed.
    pub real_path: &'a dyn Fn(&str) -> String,
}

/// The directories of which no two may be the same.
pub const DIRECTORIES: [&str; 6] = [
    "backup_directory",
    "basebackups_directory",
    "errors_directory",
    "incoming_wals_directory",
    "streaming_wals_directory",
    "wals_directory",
];

/// Finds the faults of a server that is to make backups.
pub(super) fn find(settings: &SectionSettings, outside: &Outside<'_>) -> Vec<Fault> {
    let mut faults = same_directories(settings, outside);
    let method = settings.text("backup_method").unwrap_or_default();
    let streams = method == "postgres" || settings.is_on("streaming_archiver");
    let mut conninfo = |option: &'static str, is_needed: bool| match settings.text(option) {
        None if is_needed => faults.push(Fault::Missing { option }),
        None => {}
        Some(text) => faults.extend(
            (outside.bad_conninfo)(text).map(|cause| Fault::BadConninfo {
                option,
                cause,
                place: settings.place(option).cloned(),
            }),
        ),
    };
    conninfo("conninfo", true);
    conninfo("streaming_conninfo", streams);
    conninfo("wal_conninfo", false);
    conninfo("wal_streaming_conninfo", false);
    conninfo("primary_conninfo", false);
    faults.extend(method_faults(settings, method));
    if settings.is_on("streaming_archiver") && !settings.is_on("archiver") {
        let needed = ["streaming_conninfo", "slot_name"];
        let missing = needed.into_iter().filter(|it| settings.text(it).is_none());
        faults.extend(missing.map(|option| Fault::StreamingNeeds { option }));
    }
    faults
}

/// Options that a method cannot do anything with.
fn refused_by(method: &str) -> &'static [&'static str] {
    match method {
        "postgres" => &[
            "network_compression",
            "reuse_backup",
            "tablespace_bandwidth_limit",
        ],
        "rsync" | "local-rsync" => &["backup_compression"],
        "snapshot" => &[
            "backup_compression",
            "bandwidth_limit",
            "network_compression",
            "reuse_backup",
            "tablespace_bandwidth_limit",
        ],
        _ => &[],
    }
}

fn needed_by(method: &str) -> &'static [&'static str] {
    match method {
        "rsync" => &["ssh_command"],
        "snapshot" => &[
            "ssh_command",
            "snapshot_disks",
            "snapshot_instance",
            "snapshot_provider",
        ],
        _ => &[],
    }
}

fn method_faults(settings: &SectionSettings, method: &str) -> Vec<Fault> {
    use super::values::OptionValue;
    let is_given = |option: &str| match settings.value(option) {
        OptionValue::Unset | OptionValue::Boolean(false) => false,
        OptionValue::Text(word) => !(option == "reuse_backup" && word == "off"),
        _ => true,
    };
    let local_only = (method == "local-rsync").then_some("ssh_command");
    let refused = refused_by(method).iter().copied().chain(local_only);
    let refused = refused
        .filter(|it| is_given(it))
        .map(|option| Fault::NotWithMethod {
            option,
            method: method.to_owned(),
            place: settings.place(option).cloned(),
        });
    let needed = needed_by(method).iter().copied().filter(|it| !is_given(it));
    let needed = needed.map(|option| Fault::MethodNeeds {
        option,
        method: method.to_owned(),
    });
    refused.chain(needed).collect()
}

/// The directories of a server by their real paths. A URL is no directory.
pub(super) fn directories(
    settings: &SectionSettings,
    outside: &Outside<'_>,
) -> Vec<(&'static str, String)> {
    let path = |option: &'static str| {
        let text = settings.text(option).filter(|it| !it.contains("://"))?;
        Some((option, (outside.real_path)(text)))
    };
    DIRECTORIES.into_iter().filter_map(path).collect()
}

fn same_directories(settings: &SectionSettings, outside: &Outside<'_>) -> Vec<Fault> {
    let mut seen: BTreeMap<String, &'static str> = BTreeMap::new();
    let mut faults = Vec::new();
    for (option, directory) in directories(settings, outside) {
        match seen.get(&directory) {
            Some(other) => faults.push(Fault::SameDirectory {
                option,
                other,
                directory,
            }),
            None => drop(seen.insert(directory, option)),
        }
    }
    faults
}
