//! What a command of `barman` is: its words on the command line, and what it does on a host.

use clap::{ArgMatches, Command};

use super::host::Host;
use crate::arguments;
use crate::failure::{Failure, Kind};

/// A command of `barman`: its words on the command line and what it does.
pub struct ServerCommand {
    pub name: &'static str,
    /// Its older name.
    pub alias: Option<&'static str>,
    arguments: fn(Command) -> Command,
    run: fn(&ArgMatches, &Host) -> Result<(), Failure>,
}

/// What the arguments of a command do.
pub trait HostWork: clap::Args {
    fn run(self, host: &Host) -> Result<(), Failure>;
}

pub const fn command<W: HostWork>(
    name: &'static str,
    alias: Option<&'static str>,
) -> ServerCommand {
    ServerCommand {
        name,
        alias,
        arguments: W::augment_args,
        run: run::<W>,
    }
}

fn run<W: HostWork>(matches: &ArgMatches, host: &Host) -> Result<(), Failure> {
    let arguments = W::from_arg_matches(matches);
    let arguments = arguments.map_err(|it| Failure::new(Kind::Usage, it.to_string()))?;
    arguments.run(host)
}

impl ServerCommand {
    /// Does what its arguments say.
    pub fn run(&self, given: &ArgMatches, host: &Host) -> Result<(), Failure> {
        (self.run)(given, host)
    }

    /// Its command line, for the parser and the documentation.
    pub fn command_line(&self) -> Command {
        let command = (self.arguments)(Command::new(self.name));
        let command = command
            .infer_long_args(true)
            .args_override_self(true)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .arg(arguments::help_flag(Some('h')));
        match self.alias {
            Some(alias) => command.alias(alias),
            None => command,
        }
    }
}
