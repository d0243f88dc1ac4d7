//! The nine `barman-cloud-*` commands: one file each, with its arguments, its help and its words.
//!
//! [`start`] is what they have in common: parse, refuse what is not built yet, set up the log, run,
//! and turn a failure into lines and a status.

mod advice;
pub mod backup;
pub mod backup_delete;
pub mod backup_keep;
pub mod backup_list;
pub mod backup_show;
pub mod check_wal_archive;
pub mod restore;
mod status;
pub mod wal_archive;
pub mod wal_restore;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, Command, Parser};

use status::Statuses;

use crate::arguments;
use crate::failure::{Failure, Kind};
use crate::options::every_command::Common;
use crate::output::cloud_log::Log;
use crate::program::Call;
use crate::unsupported::{self, Unsupported};

/// One command: its arguments and what it does with them.
pub trait CloudCommand: Parser {
    /// The options of Barman that the command refuses for now.
    const UNSUPPORTED: &'static [&'static [Unsupported]];

    /// The statuses of its failures; the words may be those of a wrong command line.
    fn statuses_by_words(_words: &[OsString]) -> Statuses {
        Statuses::Barmans
    }

    /// The statuses of its failures.
    fn statuses(&self) -> Statuses {
        Statuses::Barmans
    }

    /// Refuses the options that are not built yet, if one was given.
    fn refuse_unsupported(matches: &ArgMatches) -> Result<(), Failure> {
        unsupported::refuse_given(Self::UNSUPPORTED, matches)
    }

    /// The options that every command has.
    fn common(&self) -> &Common;

    /// Does the work. What it returns is said and turned into a status by [`start`].
    fn run(self, log: &Log) -> Result<(), Failure>;
}

/// Runs a command under its program name.
pub fn start<C: CloudCommand>(Call { name, words, .. }: Call) -> ExitCode {
    let mut command = command_line::<C>(name);
    let log = Log::new(0, 0);
    let statuses = C::statuses_by_words(&words);
    let refuse = |refusal: Failure| end(&refusal, statuses, &log);
    let matches = match arguments::parse(&mut command, &words, statuses.of(Kind::Usage)) {
        Ok(matches) => matches,
        Err(status) if status == ExitCode::SUCCESS => return status,
        Err(status) => {
            return unsupported::refuse_typed(C::UNSUPPORTED, &words).map_or(status, refuse);
        }
    };
    if let Err(refusal) = C::refuse_unsupported(&matches) {
        return refuse(refusal);
    }
    match C::from_arg_matches(&matches) {
        Ok(args) => {
            let (log, statuses) = (args.common().log(), args.statuses());
            args.run(&log).map_or_else(
                |failure| end(&failure, statuses, &log),
                |()| ExitCode::SUCCESS,
            )
        }
        Err(error) => refuse(Failure::new(Kind::Usage, error.to_string())),
    }
}

fn end(failure: &Failure, statuses: Statuses, log: &Log) -> ExitCode {
    failure.tell(log, advice::words);
    ExitCode::from(statuses.of(failure.kind))
}

/// The status of a mistake in the program itself: what its caller takes for a failure.
pub fn broken_status<C: CloudCommand>(words: &[OsString]) -> u8 {
    C::statuses_by_words(words).of(Kind::Broken)
}

/// The whole command line of a command, as the parser and the documentation see it.
pub fn command_line<C: CloudCommand>(name: &'static str) -> Command {
    let command = arguments::dress(C::command(), name)
        .arg(arguments::version_flag('V'))
        .arg(arguments::help_flag(None));
    unsupported::add(command, C::UNSUPPORTED)
}

/// The arguments of a command line that is right, for tests.
#[cfg(test)]
pub fn parse_words<C: CloudCommand>(words: &[&str]) -> C {
    let argv = std::iter::once("barman-cloud-command").chain(words.iter().copied());
    let matches = command_line::<C>("barman-cloud-command").try_get_matches_from(argv);
    C::from_arg_matches(&matches.expect("the words are right")).expect("and complete")
}
