//! Options of Barman that are known here but not built yet.
//!
//! Each is one row of a table: the parser knows it, the last lines of `--help` name it, and giving
//! it is refused with words instead of being ignored. Building an option means moving it from its
//! table into the arguments of its command.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::failure::{Failure, Kind};

/// What stands before their names.
pub const HEADING: &str = "Options of Barman that this version still refuses";

/// An option that is parsed and refused.
pub struct Unsupported {
    /// The long name, without dashes; the first one if it has several spellings.
    pub long: &'static str,
    /// The other spellings.
    pub aliases: &'static [&'static str],
    /// What follows it.
    pub takes: Takes,
    /// What it is for, for `--help`.
    pub help: &'static str,
}

/// What an option that is not built yet takes.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// One value, called this in the help.
    Value(&'static str),
}

impl Unsupported {
    /// A row without other spellings.
    pub const fn option(long: &'static str, takes: Takes, help: &'static str) -> Unsupported {
        Unsupported {
            long,
            aliases: &[],
            takes,
            help,
        }
    }

    /// The same row with other spellings.
    pub const fn aliases(self, aliases: &'static [&'static str]) -> Unsupported {
        Unsupported { aliases, ..self }
    }

    fn arg(&self) -> Arg {
        let arg = Arg::new(self.long)
            .long(self.long)
            .visible_aliases(self.aliases.iter().copied())
            .help(self.help)
            .help_heading(HEADING)
            .hide(true);
        match self.takes {
            Takes::Value(name) => arg
                .value_name(name)
                .action(ArgAction::Append)
                .allow_hyphen_values(true),
        }
    }

    /// Whether this option was typed, going by a command line that could not be parsed.
    fn is_typed_in(&self, words: &[std::ffi::OsString]) -> bool {
        let names = || std::iter::once(&self.long).chain(self.aliases);
        words
            .iter()
            .filter_map(|word| word.to_str()?.strip_prefix("--"))
            .any(|word| {
                let name = word.split_once('=').map_or(word, |(name, _)| name);
                names().any(|known| *known == name)
            })
    }
}

/// The command with the options of the tables added to it.
pub fn add(command: Command, tables: &[&'static [Unsupported]]) -> Command {
    let names: Vec<String> = rows(tables).map(|row| format!("--{}", row.long)).collect();
    let command = command.args(rows(tables).map(Unsupported::arg));
    if names.is_empty() {
        return command;
    }
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    command.after_help(format!("{help}\n\n{HEADING}: {}", names.join(", ")))
}

/// Refuses the first option of the tables that was given.
pub fn refuse_given(
    tables: &[&'static [Unsupported]],
    matches: &ArgMatches,
) -> Result<(), Failure> {
    let given =
        |row: &&Unsupported| matches.value_source(row.long) == Some(ValueSource::CommandLine);
    rows(tables)
        .find(given)
        .map_or(Ok(()), |row| Err(refusal(row)))
}

/// The refusal for a command line that could not be parsed, perhaps because of such an option.
pub fn refuse_typed(
    tables: &[&'static [Unsupported]],
    words: &[std::ffi::OsString],
) -> Option<Failure> {
    rows(tables).find(|row| row.is_typed_in(words)).map(refusal)
}

/// All rows of the tables.
fn rows(tables: &[&'static [Unsupported]]) -> impl Iterator<Item = &'static Unsupported> {
    tables.iter().flat_map(|table| table.iter())
}

fn refusal(row: &Unsupported) -> Failure {
    Failure::new(
        Kind::NotBuilt,
        format!("option --{} is not there yet", row.long),
    )
    .with_hint(
        "This version refuses what it cannot do instead of ignoring it. \
         Leave the option out, or see docs/compatibility.md for what works now.",
    )
}
