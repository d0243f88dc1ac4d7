//! The one executable that answers to all of Barman's names.
//!
//! `main` is a table from program name to function. What a command does is in its own file; what an
//! error says and which status it ends in is decided in [`failure`].

#[cfg(target_env = "gnu")]
mod allocator;
mod arguments;
mod cloud;
#[cfg(test)]
mod compatibility;
mod documents;
mod failure;
mod install;
mod later;
mod log;
mod progress;
#[cfg(test)]
mod reference;
mod render;
mod runtime;
mod server;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use cloud::{CloudCommand, check_wal_archive, restore, wal_archive, wal_restore};
use cloud::{backup, backup_delete, backup_keep, backup_list, backup_show};
use failure::Exit;

/// One of the names this program answers to.
struct Program {
    name: &'static str,
    /// Runs it with the words that follow the name.
    run: fn(&'static str, Vec<OsString>) -> ExitCode,
    /// How it ends in a mistake of its own, with these words.
    broken_exit: fn(&[OsString]) -> Exit,
    /// Its command line, for manual pages and completions.
    command_line: fn(&'static str) -> Command,
}

const fn cloud<C: CloudCommand>(name: &'static str) -> Program {
    Program {
        name,
        run: cloud::start::<C>,
        broken_exit: C::broken_exit,
        command_line: cloud::command_line::<C>,
    }
}

const fn wal_client(name: &'static str) -> Program {
    Program {
        name,
        run: server::wal_clients::start,
        broken_exit: |_| Exit::StopsRecovery,
        command_line: server::wal_clients::command_line,
    }
}

/// Every name, `barman` first: it is also what an unknown name means.
const PROGRAMS: &[Program] = &[
    Program {
        name: "barman",
        run: server::barman::start,
        broken_exit: |_| Exit::Other,
        command_line: server::barman::command_line,
    },
    wal_client("barman-wal-archive"),
    wal_client("barman-wal-restore"),
    cloud::<backup::Args>("barman-cloud-backup"),
    cloud::<backup_delete::Args>("barman-cloud-backup-delete"),
    cloud::<backup_keep::Args>("barman-cloud-backup-keep"),
    cloud::<backup_list::Args>("barman-cloud-backup-list"),
    cloud::<backup_show::Args>("barman-cloud-backup-show"),
    cloud::<check_wal_archive::Args>("barman-cloud-check-wal-archive"),
    cloud::<restore::Args>("barman-cloud-restore"),
    cloud::<wal_archive::Args>("barman-cloud-wal-archive"),
    cloud::<wal_restore::Args>("barman-cloud-wal-restore"),
];

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    allocator::set_up();
    let mut words = std::env::args_os();
    let started_as = words.next().unwrap_or_default();
    let name = Path::new(&started_as).file_name().unwrap_or_default();
    let program = PROGRAMS.iter().find(|program| name == program.name);
    let program = program.unwrap_or(&PROGRAMS[0]);
    let words: Vec<OsString> = words.collect();
    let broken = (program.broken_exit)(&words);
    failure::panic::guarded(|| (program.run)(program.name, words), broken)
}
