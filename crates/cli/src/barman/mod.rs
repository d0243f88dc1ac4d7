//! `barman` itself: for now the way to install the other names, and refusals that say what works.

pub mod status;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::arguments;
use crate::documents;
use crate::failure::{Failure, Kind};
use crate::install;
use crate::output::cloud_log::Log;
use crate::program::{Call, Program};

/// The commands of the Barman server, with their other names.
const SERVER_COMMANDS: &[&str] = &[
    "archive-wal",
    "backup",
    "check",
    "check-archived-wal-range",
    "check-backup",
    "check-wal-archive",
    "cloud-wal-archive",
    "cloud-wal-restore",
    "config-switch",
    "config-update",
    "cron",
    "delete",
    "diagnose",
    "export-backup",
    "generate-manifest",
    "get-wal",
    "import-backup",
    "keep",
    "list-backup",
    "list-backups",
    "list-files",
    "list-process",
    "list-processes",
    "list-server",
    "list-servers",
    "lock-directory-cleanup",
    "put-wal",
    "rebuild-xlogdb",
    "receive-wal",
    "recover",
    "replication-status",
    "restore",
    "show-backup",
    "show-backups",
    "show-server",
    "show-servers",
    "status",
    "switch-wal",
    "switch-xlog",
    "sync-backup",
    "sync-info",
    "sync-wals",
    "terminate-process",
    "verify",
    "verify-backup",
];

const ABOUT: &str = "Back up PostgreSQL servers and recover them to any moment.";

const AFTER_HELP: &str = "\
This is one program under many names. Working now, each with its own --help:
  barman-cloud-backup             back up a server into an object store
  barman-cloud-backup-list        list the backups there
  barman-cloud-backup-show        show one of them
  barman-cloud-backup-keep        keep one, whatever retention says
  barman-cloud-backup-delete      delete one, or what a policy does not need
  barman-cloud-restore            make a data directory from one
  barman-cloud-wal-archive        PostgreSQL's archive_command
  barman-cloud-wal-restore        PostgreSQL's restore_command
  barman-cloud-check-wal-archive  is the archive free for a new server?

Commands of this name:
  install-links DIR               make the other names, as symbolic links to this program
  install-man DIR                 write the manual page of every name
  install-completions SHELL DIR   write the completions of every name for bash, zsh or fish
  help                            print this help
The commands of the Barman server (backup, list-backups, restore, cron, ...) are known but not \
there yet; they end with exit status 1.

Example:
  barman install-links /usr/local/bin
  barman install-man /usr/local/share/man/man1
  barman install-completions bash /usr/share/bash-completion/completions

Exit status:
  0  done    1  it failed, or is not there yet    2  the command line is wrong";

const HINT: &str = "The barman-cloud commands work now: 'barman --help' lists them.";

/// Runs `barman`.
pub fn start(call: Call) -> ExitCode {
    let Call {
        name,
        words,
        programs,
    } = call;
    let mut command = command_line(name);
    if words.first().is_none_or(|word| word == "help") {
        // A reader that went away (`barman | head`) is no failure of ours.
        let _ = command.print_help();
        return ExitCode::SUCCESS;
    }
    let log = Log::new(0, 0);
    match arguments::parse(&mut command, &words, status::of(Kind::Usage)) {
        Err(status) => status,
        Ok(matches) => run(&mut command, &matches, programs)
            .map_or_else(|failure| end(&failure, &log), |()| ExitCode::SUCCESS),
    }
}

fn end(failure: &Failure, log: &Log) -> ExitCode {
    failure.tell(log, status::advice);
    ExitCode::from(status::of(failure.kind))
}

/// Whoever installs by hand wants to see that it was done.
fn tell_installed(count: usize, directory: &Path) {
    let text = format!("{count} names are in {}", directory.display());
    Log::new(0, 0).done(&text);
}

fn run(command: &mut Command, matches: &ArgMatches, programs: &[Program]) -> Result<(), Failure> {
    if matches.get_flag("version") {
        // Scripts take the first word; the rest is said so that nobody is misled.
        let _ = arguments::print(&format!(
            "{} Barman by the barman-rs project (not by EnterpriseDB)\n",
            arguments::VERSION
        ));
        return Ok(());
    }
    match matches.subcommand() {
        Some(("install-links", given)) => {
            let directory: &PathBuf = given.get_one("directory").expect("clap requires it");
            install::install_links(programs, directory)?;
            tell_installed(programs.len(), directory);
            Ok(())
        }
        Some(("install-man", given)) => {
            let directory: &PathBuf = given.get_one("directory").expect("clap requires it");
            documents::write_manual(programs, directory)?;
            tell_installed(programs.len(), directory);
            Ok(())
        }
        Some(("install-completions", given)) => {
            let shell: &documents::Shell = given.get_one("shell").expect("clap requires it");
            let directory: &PathBuf = given.get_one("directory").expect("clap requires it");
            documents::write_completions(programs, *shell, directory)?;
            tell_installed(programs.len(), directory);
            Ok(())
        }
        Some((name, _)) if SERVER_COMMANDS.contains(&name) => Err(Failure::new(
            Kind::NotBuilt,
            format!("the server command 'barman {name}' is not there yet"),
        )
        .with_hint(HINT)),
        Some((name, _)) => Err(Failure::new(
            Kind::Usage,
            format!("barman has no command '{name}'"),
        )
        .with_hint(HINT)),
        None => {
            let _ = command.print_help();
            Ok(())
        }
    }
}

/// The command line of `barman`: its global options, and any command at all.
pub fn command_line(name: &'static str) -> Command {
    let directory = || {
        Arg::new("directory")
            .value_name("DIR")
            .required(true)
            .value_parser(value_parser!(PathBuf))
    };
    let install = |name: &'static str| Command::new(name).disable_help_flag(true).hide(true);
    let shell = Arg::new("shell")
        .value_name("SHELL")
        .required(true)
        .value_parser(value_parser!(documents::Shell));
    arguments::dress(Command::new(name), name)
        .about(ABOUT)
        .after_help(AFTER_HELP)
        .allow_external_subcommands(true)
        .subcommand(install("install-links").arg(directory()))
        .subcommand(install("install-man").arg(directory()))
        .subcommand(install("install-completions").arg(shell).arg(directory()))
        .override_usage("barman [OPTIONS] COMMAND [ARGUMENTS]...")
        .args(global_options())
        .arg(arguments::help_flag(Some('h')))
        .arg(arguments::version_flag('v').action(ArgAction::SetTrue))
}

fn global_options() -> [Arg; 6] {
    let word = |name: &'static str| Arg::new(name).long(name);
    [
        word("config")
            .short('c')
            .value_name("FILE")
            .help("Configuration file"),
        word("color")
            .visible_alias("colour")
            .value_name("WHEN")
            .value_parser(["never", "always", "auto"])
            .help("Colours"),
        word("log-level")
            .value_name("LEVEL")
            .help("Level of the log file"),
        word("quiet")
            .short('q')
            .action(ArgAction::SetTrue)
            .help("Print results only"),
        word("debug")
            .short('d')
            .action(ArgAction::SetTrue)
            .help("Print debugging lines"),
        word("format")
            .short('f')
            .value_parser(["console", "json"])
            .help("Form of results"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_commands_are_sorted_so_that_a_missing_one_is_seen() {
        assert!(SERVER_COMMANDS.is_sorted());
    }
}
