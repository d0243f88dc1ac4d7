//! `barman-wal-archive` and `barman-wal-restore`: the clients of a Barman server, not built yet.

use std::process::ExitCode;

use clap::Command;

use crate::arguments;
use crate::failure::{Exit, Failure};
use crate::output::cloud_log::Log;
use crate::program::Call;

/// Refuses: neither may be taken for "archived" or for "no such WAL file".
///
/// The status is above 125, at which PostgreSQL stops recovery instead of taking it for the end of
/// the archive (PostgreSQL manual, "restore_command").
pub fn start(Call { name, words, .. }: Call) -> ExitCode {
    let asks = |long: &str, short: &str| words.iter().any(|word| word == long || word == short);
    if asks("--version", "-V") {
        let _ = arguments::print(&format!("{name} {}\n", arguments::VERSION));
        return ExitCode::SUCCESS;
    }
    let refusal = refusal(name);
    if asks("--help", "-h") {
        let hint = refusal.hint.unwrap_or_default();
        let _ = arguments::print(&format!("{}.\n{hint}\n", refusal.what));
        return ExitCode::SUCCESS;
    }
    refusal.report(&Log::new(0, 0))
}

fn refusal(name: &str) -> Failure {
    let instead = name.replace("barman-wal", "barman-cloud-wal");
    Failure::new(Exit::StopsRecovery, format!("{name} is not there yet")).with_hint(format!(
        "{instead} works now: it uses an object store or a directory and needs no Barman server."
    ))
}

/// A command line without options, for the manual page.
pub fn command_line(name: &'static str) -> Command {
    let refusal = refusal(name);
    let hint = refusal.hint.unwrap_or_default();
    arguments::dress(Command::new(name), name)
        .about(refusal.what)
        .after_help(hint)
        .arg(arguments::help_flag(Some('h')))
        .arg(arguments::version_flag('V'))
}
