//! `barman-wal-archive` and `barman-wal-restore`: the clients of a Barman server, not built yet.

pub mod status;

use std::process::ExitCode;

use clap::Command;

use crate::arguments;
use crate::barman;
use crate::failure::{Failure, Kind};
use crate::output::cloud_log::Log;
use crate::program::Call;

/// Refuses: neither may be taken for "archived" or for "no such WAL file".
pub fn start(Call { name, words, .. }: Call) -> ExitCode {
    let asks = |long: &str, short: &str| words.iter().any(|word| word == long || word == short);
    if asks("--version", "-V") {
        let _ = arguments::print(&format!("{name} {}\n", arguments::VERSION));
        return ExitCode::SUCCESS;
    }
    if asks("--help", "-h") {
        let _ = arguments::print(&format!("{}.\n{}\n", what(name), instead(name)));
        return ExitCode::SUCCESS;
    }
    let refusal = Failure::new(Kind::NotBuilt, what(name)).with_hint(instead(name));
    refusal.tell(&Log::new(0, 0), barman::status::advice);
    ExitCode::from(status::of(refusal.kind))
}

fn what(name: &str) -> String {
    format!("{name} is not there yet")
}

fn instead(name: &str) -> String {
    let instead = name.replace("barman-wal", "barman-cloud-wal");
    format!(
        "{instead} works now: it uses an object store or a directory and needs no Barman server."
    )
}

/// A command line without options, for the manual page.
pub fn command_line(name: &'static str) -> Command {
    arguments::dress(Command::new(name), name)
        .about(what(name))
        .after_help(instead(name))
        .arg(arguments::help_flag(Some('h')))
        .arg(arguments::version_flag('V'))
}
