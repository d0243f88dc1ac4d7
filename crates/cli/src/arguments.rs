//! Command lines as Barman's argparse takes them, on top of clap.
//!
//! Unique prefixes of long options are accepted, options and positional arguments may be mixed, a
//! repeated option counts once with its last value. A command line that cannot be parsed is
//! answered on standard error with the usage, what is wrong, and where to look.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// The release of Barman whose interface this is, with our own version as build metadata.
///
/// Scripts and operators read the first part to learn what a Barman can do, and semantic
/// versioning lets them ignore what follows the plus sign.
pub const VERSION: &str = concat!("3.20.1+rs.", env!("CARGO_PKG_VERSION"));

/// Long help lines break here when the terminal is wider.
const HELP_WIDTH: usize = 100;

/// Gives a command the manners that all of ours share.
pub fn dress(command: Command, name: &'static str) -> Command {
    command
        .name(name)
        .bin_name(name)
        .version(VERSION)
        .infer_long_args(true)
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .max_term_width(HELP_WIDTH)
        .styles(styles())
}

/// `--help`, with the one-letter form where it is free.
pub fn help_flag(short: Option<char>) -> Arg {
    let flag = Arg::new("help")
        .long("help")
        .action(ArgAction::HelpShort)
        .help("Print this help")
        .help_heading(None);
    match short {
        Some(letter) => flag.short(letter),
        None => flag,
    }
}

/// `--version` with its one-letter form.
pub fn version_flag(short: char) -> Arg {
    Arg::new("version")
        .short(short)
        .long("version")
        .action(ArgAction::Version)
        .help("Print the version")
        .help_heading(None)
}

/// Writes to standard output. A reader that went away (`| head`) has all it wanted.
pub fn print(text: &str) -> std::io::Result<()> {
    match anstream::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Parses the words after the program's name. `Err` is a status: everything has been said.
pub fn parse(
    command: &mut Command,
    words: &[OsString],
    usage_status: u8,
) -> Result<ArgMatches, ExitCode> {
    let argv = std::iter::once(OsString::from(command.get_name())).chain(words.iter().cloned());
    command
        .try_get_matches_from_mut(argv)
        .map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                // A reader that went away (`--help | head`) is no failure of ours.
                let _ = error.print();
                ExitCode::SUCCESS
            }
            _ => {
                let mut command = spoken_to(command, words);
                let complaint = match not_text(words) {
                    Some(what) if error.kind() == ErrorKind::InvalidUtf8 => {
                        complaint(&mut command, &what, "write it in UTF-8")
                    }
                    _ => complain(&mut command, &error),
                };
                let _ = anstream::stderr().lock().write_all(complaint.as_bytes());
                ExitCode::from(usage_status)
            }
        })
}

/// The command, or the one of its own commands that the words are for.
fn spoken_to(command: &Command, words: &[OsString]) -> Command {
    let named = words.iter().find_map(|word| command.find_subcommand(word));
    match named.filter(|own| !own.is_hide_set()) {
        Some(own) => {
            let name = format!("{} {}", command.get_name(), own.get_name());
            own.clone().bin_name(name)
        }
        None => command.clone(),
    }
}

/// Names the option, or the place, of the first word that is not UTF-8; its value may be a secret.
fn not_text(words: &[OsString]) -> Option<String> {
    let number = words.iter().position(|word| word.to_str().is_none())?;
    let word = words[number].to_string_lossy();
    let before = number
        .checked_sub(1)
        .map(|before| words[before].to_string_lossy());
    let name = match (word.split_once('='), before) {
        (Some((name, _)), _) if name.starts_with("--") => name.to_owned(),
        _ if word.starts_with('-') => word.chars().take(2).collect(),
        (_, Some(before)) if before.starts_with('-') => before.into_owned(),
        _ => {
            return Some(format!(
                "word {} of the command line is not UTF-8",
                number + 1
            ));
        }
    };
    Some(format!("the value of {name} is not UTF-8"))
}

/// Says that a word of the command line is wrong, in the form of [`parse`]'s own complaints.
fn complaint(command: &mut Command, what: &str, hint: &str) -> String {
    let usage = command.render_usage().to_string();
    let name = shown_name(command).to_owned();
    format!("{usage}\n{name}: error: {what}\n{name}: hint: {hint}\n")
}

/// What the command is called in what is said about it.
fn shown_name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or(command.get_name())
}

fn complain(command: &mut Command, error: &clap::Error) -> String {
    let text = error.render().to_string();
    let body = text.split("\n\nUsage:").next().unwrap_or_default();
    let body = body.split("\n\nFor more").next().unwrap_or_default();
    let mut parts = body.split("\n\n");
    let what = parts.next().unwrap_or_default();
    let what = in_our_words(&one_line(what.trim_start_matches("error: ")));
    let tip = parts
        .next()
        .map(|tip| one_line(tip.trim_start().trim_start_matches("tip: ")));
    let name = shown_name(command);
    let hint = match unknown_word(error) {
        Some("-h") => format!("the help is at {name} --help"),
        _ => tip.unwrap_or_else(|| format!("{name} --help describes every option")),
    };
    match ambiguity(command, error) {
        Some(what) => complaint(command, &what, "type more of its name"),
        None => complaint(command, &what, &hint),
    }
}

/// clap takes an ambiguous prefix for an unknown option; a person wants to see the candidates.
fn ambiguity(command: &Command, error: &clap::Error) -> Option<String> {
    let prefix = unknown_word(error)?.strip_prefix("--")?.split('=').next()?;
    let mut candidates: Vec<String> = command
        .get_arguments()
        .filter_map(|arg| arg.get_long_and_visible_aliases())
        .filter_map(|names| names.into_iter().find(|name| name.starts_with(prefix)))
        .map(|name| format!("--{name}"))
        .collect();
    candidates.sort();
    (candidates.len() > 1).then(|| {
        format!(
            "ambiguous option --{prefix}: it could be {}",
            candidates.join(" or ")
        )
    })
}

fn unknown_word(error: &clap::Error) -> Option<&str> {
    use clap::error::{ContextKind, ContextValue};
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(word) => Some(word),
        _ => None,
    }
}

/// What Rust says of numbers is for programmers.
fn in_our_words(text: &str) -> String {
    const WORDS: [(&str, &str); 5] = [
        ("invalid digit found in string", "it is not a whole number"),
        ("cannot parse integer from empty string", "it is no number"),
        ("number too large to fit in target type", "it is too large"),
        ("number too small to fit in target type", "it is too small"),
        (
            "number would be zero for non-zero type",
            "it must be at least 1",
        ),
    ];
    let replace = |text: String, (from, to): (&str, &str)| text.replace(from, to);
    WORDS.into_iter().fold(text.to_owned(), replace)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn styles() -> Styles {
    Styles::styled()
        .header(AnsiColor::Green.on_default().bold())
        .usage(AnsiColor::Green.on_default().bold())
        .literal(AnsiColor::Cyan.on_default().bold())
        .placeholder(AnsiColor::Cyan.on_default())
}
