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

/// One name the executable can be started under.
struct Program {
    name: &'static str,
    run: fn(&'static str, Vec<OsString>) -> ExitCode,
}

/// Every name, `barman` first: it is also what an unknown name means.
const PROGRAMS: &[Program] = &[
    Program {
        name: "barman",
        run: server::barman::start,
    },
    Program {
        name: "barman-wal-archive",
        run: server::wal_clients::start,
    },
    Program {
        name: "barman-wal-restore",
        run: server::wal_clients::start,
    },
    Program {
        name: "barman-cloud-backup",
        run: cloud::start::<cloud::backup::Args>,
    },
    Program {
        name: "barman-cloud-backup-delete",
        run: cloud::start::<cloud::backup_delete::Args>,
    },
    Program {
        name: "barman-cloud-backup-keep",
        run: cloud::start::<cloud::backup_keep::Args>,
    },
    Program {
        name: "barman-cloud-backup-list",
        run: cloud::start::<cloud::backup_list::Args>,
    },
    Program {
        name: "barman-cloud-backup-show",
        run: cloud::start::<cloud::backup_show::Args>,
    },
    Program {
        name: "barman-cloud-check-wal-archive",
        run: cloud::start::<cloud::check_wal_archive::Args>,
    },
    Program {
        name: "barman-cloud-restore",
        run: cloud::start::<cloud::restore::Args>,
    },
    Program {
        name: "barman-cloud-wal-archive",
        run: cloud::start::<cloud::wal_archive::Args>,
    },
    Program {
        name: "barman-cloud-wal-restore",
        run: cloud::start::<cloud::wal_restore::Args>,
    },
];

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let started_as = words.next().unwrap_or_default();
    let name = Path::new(&started_as).file_name().unwrap_or_default();
    let program = PROGRAMS
        .iter()
        .find(|program| name == program.name)
        .unwrap_or(&PROGRAMS[0]);
    (program.run)(program.name, words.collect())
}
