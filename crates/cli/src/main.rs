//! The one executable that answers to all of Barman's names.
//!
//! `main` is a table from program name to function. What a command does is in its own file; what an
//! error says and which status it ends in is decided in [`failure`].

mod arguments;
mod cloud;
#[cfg(test)]
mod compatibility;
mod failure;
mod install;
mod later;
mod log;
mod progress;
mod render;
mod runtime;
mod server;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use cloud::{backup, backup_delete, backup_keep, backup_list, backup_show};
use cloud::{check_wal_archive, restore, start, wal_archive, wal_restore};

/// Runs a program under its name with the words that follow it.
type Run = fn(&'static str, Vec<OsString>) -> ExitCode;

/// Every name, `barman` first: it is also what an unknown name means.
const PROGRAMS: &[(&str, Run)] = &[
    ("barman", server::barman::start),
    ("barman-wal-archive", server::wal_clients::start),
    ("barman-wal-restore", server::wal_clients::start),
    ("barman-cloud-backup", start::<backup::Args>),
    ("barman-cloud-backup-delete", start::<backup_delete::Args>),
    ("barman-cloud-backup-keep", start::<backup_keep::Args>),
    ("barman-cloud-backup-list", start::<backup_list::Args>),
    ("barman-cloud-backup-show", start::<backup_show::Args>),
    (
        "barman-cloud-check-wal-archive",
        start::<check_wal_archive::Args>,
    ),
    ("barman-cloud-restore", start::<restore::Args>),
    ("barman-cloud-wal-archive", start::<wal_archive::Args>),
    ("barman-cloud-wal-restore", start::<wal_restore::Args>),
];

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let started_as = words.next().unwrap_or_default();
    let name = Path::new(&started_as).file_name().unwrap_or_default();
    let (name, run) = PROGRAMS
        .iter()
        .find(|(known, _)| name == *known)
        .unwrap_or(&PROGRAMS[0]);
    run(name, words.collect())
}
