//! The one executable that answers to all of Barman's names.
//!
//! `main` is a table from program name to function. What a command does is in its own file; what an
//! error says and which status it ends in is decided in [`failure`].

#[cfg(target_env = "gnu")]
mod allocator;
mod arguments;
mod barman;
mod barman_client;
mod barman_cloud;
#[cfg(test)]
mod compatibility;
mod documents;
mod failure;
mod install;
mod options;
mod output;
mod program;
#[cfg(test)]
mod reference;
mod render;
mod runtime;
mod unsupported;
mod wal_prefetch;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use barman_cloud::{CloudCommand, check_wal_archive, restore, wal_archive, wal_restore};
use barman_cloud::{backup, backup_delete, backup_keep, backup_list, backup_show};
use failure::Kind;
use program::{Call, Program};

const fn cloud<C: CloudCommand>(name: &'static str) -> Program {
    Program {
        name,
        run: barman_cloud::start::<C>,
        broken_status: barman_cloud::broken_status::<C>,
        command_line: barman_cloud::command_line::<C>,
    }
}

const fn wal_client(name: &'static str) -> Program {
    Program {
        name,
        run: barman_client::start,
        broken_status: |_| barman_client::status::of(Kind::Broken),
        command_line: barman_client::command_line,
    }
}

/// Every name, `barman` first: it is also what an unknown name means.
const PROGRAMS: &[Program] = &[
    Program {
        name: "barman",
        run: barman::start,
        broken_status: |_| barman::status::of(Kind::Broken),
        command_line: barman::command_line,
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
    let broken = (program.broken_status)(&words);
    let call = Call {
        name: program.name,
        words,
        programs: PROGRAMS,
    };
    failure::panic::guarded(|| (program.run)(call), broken)
}
