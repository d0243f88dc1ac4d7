//! `barman` itself: its global options and its commands, the way to install the other names, and
//! refusals of what is not there yet.

mod command;
mod host;
mod host_output;
mod list_servers;
mod log_file;
mod receive_wal;
mod redact;
mod show_servers;
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
use command::{ServerCommand, command};
use host::Host;
use host_output::{Colours, HostOutput, OutputFormat, OutputManner};

/// The commands of the Barman server that are not there yet, with their other names.
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
    "lock-directory-cleanup",
    "put-wal",
    "rebuild-xlogdb",
    "recover",
    "replication-status",
    "restore",
    "show-backup",
    "show-backups",
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

/// The commands that work, by name.
pub const COMMANDS: &[ServerCommand] = &[
    command::<list_servers::Args>("list-servers", Some("list-server")),
    command::<receive_wal::Args>("receive-wal", None),
    command::<show_servers::Args>("show-servers", Some("show-server")),
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

Commands of the Barman server, each with its own --help:
  list-servers                    the servers of the configuration
  show-servers SERVER...          their options, and what PostgreSQL says
  receive-wal SERVER              receive WAL until stopped; look after the slot

Other commands of this name:
  install-links DIR               make the other names, as symbolic links to this program
  install-man DIR                 write the manual page of every name
  install-completions SHELL DIR   write the completions of every name for bash, zsh or fish
  help                            print this help
The other commands of the Barman server (backup, list-backups, restore, cron, ...) are known but \
not there yet; they end with exit status 1.

Examples:
  barman receive-wal --create-slot main
  barman --format json show-servers all
  barman install-links /usr/local/bin
  barman install-man /usr/local/share/man/man1
  barman install-completions bash /usr/share/bash-completion/completions

Exit status:
  0  done    1  it failed, or is not there yet    2  the command line is wrong";

const HINT: &str = "'barman --help' lists what works now.";

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
        Ok(matches) => match server_command(&matches) {
            Some((command, given)) => serve(command, &matches, given),
            None => run(&mut command, &matches, programs)
                .map_or_else(|failure| end(&failure, &log), |()| ExitCode::SUCCESS),
        },
    }
}

fn server_command(matches: &ArgMatches) -> Option<(&'static ServerCommand, &ArgMatches)> {
    let (name, given) = matches.subcommand()?;
    let command = COMMANDS.iter().find(|command| command.name == name)?;
    Some((command, given))
}

/// Runs a command of the server, with the configuration read and the account changed.
fn serve(command: &ServerCommand, matches: &ArgMatches, given: &ArgMatches) -> ExitCode {
    let format = matches.get_one::<OutputFormat>("format");
    let colours = matches.get_one::<Colours>("color");
    let output = HostOutput::new(OutputManner {
        format: format.copied().unwrap_or(OutputFormat::Console),
        is_quiet: matches.get_flag("quiet"),
        is_debugging: matches.get_flag("debug"),
        colours: colours.copied().unwrap_or(Colours::Auto),
    });
    match Host::open(matches, output) {
        Ok(host) => {
            let ended = command.run(given, &host);
            host.output.finish(ended)
        }
        Err(none) => none.output.finish(Err(none.failure)),
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
        .subcommands(COMMANDS.iter().map(ServerCommand::command_line))
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
            .value_parser(value_parser!(PathBuf))
            .help(
                "BarmanConfig file; else $BARMAN_CONFIG_FILE, ~/.barman.conf or /etc/barman.conf",
            ),
        word("color")
            .visible_alias("colour")
            .value_name("WHEN")
            .value_parser(value_parser!(Colours))
            .help("Colours on the console"),
        word("log-level")
            .value_name("LEVEL")
            .value_parser(["NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
            .help("What is worth a line of the log, instead of log_level"),
        word("quiet")
            .short('q')
            .action(ArgAction::SetTrue)
            .help("Print warnings and errors only"),
        word("debug")
            .short('d')
            .action(ArgAction::SetTrue)
            .help("Print debugging lines"),
        word("format")
            .short('f')
            .value_parser(value_parser!(OutputFormat))
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
