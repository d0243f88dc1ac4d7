//! Tests that `docs/compatibility.md` and the parsers say the same.
//!
//! Under the heading of a command, and under "Every cloud command", the document has a row for each
//! option: its spellings in backticks, then `same`, `different`, `not yet` or `ours`.

use std::collections::BTreeMap;

use clap::Command;

use crate::PROGRAMS;
use crate::barman;
use crate::program::Program;
use crate::unsupported;

const DOCUMENT: &str = include_str!("../../../docs/compatibility.md");
const SHARED_HEADING: &str = "Every cloud command";

/// Spellings of an option, such as "--gzip -z", and what the document or the parser says of it.
type Rows = BTreeMap<String, String>;

#[test]
fn every_option_has_its_row_and_every_row_its_option() {
    let cloud = PROGRAMS
        .iter()
        .filter(|program| program.name.starts_with("barman-cloud-"));
    let checked = cloud.map(check).count();
    assert_eq!(checked, 9);
}

#[test]
fn every_option_of_barman_has_its_row_and_every_row_its_option() {
    check_server("barman", &barman::command_line("barman"));
    for command in barman::COMMANDS {
        check_server(&format!("barman {}", command.name), &command.command_line());
    }
}

fn check_server(name: &str, command: &Command) {
    let documented = documented_rows(name);
    let parsed = parsed_rows(command);
    for option in parsed.keys() {
        let is_there = documented.contains_key(option);
        assert!(is_there, "{name}: docs/compatibility.md lacks `{option}`");
    }
    for option in documented.keys() {
        let is_there = parsed.contains_key(option);
        assert!(is_there, "{name}: no option `{option}`, but it has a row");
    }
}

fn check(program: &Program) {
    let name = program.name;
    let mut documented = documented_rows(SHARED_HEADING);
    documented.extend(documented_rows(name));
    let parsed = parsed_rows(&(program.command_line)(name));
    for (option, kind) in &parsed {
        let row = documented.get(option);
        let row = row.unwrap_or_else(|| panic!("{name}: docs/compatibility.md lacks `{option}`"));
        let fits = row == kind || (kind == "same" && row == "different");
        assert!(
            fits,
            "{name} {option}: the document says {row}, the parser {kind}"
        );
    }
    for option in documented.keys() {
        assert!(
            parsed.contains_key(option),
            "{name}: no option `{option}`, but it has a row"
        );
    }
}

fn documented_rows(heading: &str) -> Rows {
    let section = DOCUMENT
        .split("\n### ")
        .find_map(|section| section.strip_prefix(heading)?.strip_prefix('\n'))
        .unwrap_or_else(|| panic!("docs/compatibility.md has no heading {heading}"));
    let own = section.split("\n## ").next().unwrap_or_default();
    own.lines()
        .filter(|line| line.starts_with("| `-"))
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            let mut spellings: Vec<&str> = cells[0]
                .split('`')
                .filter(|word| word.starts_with('-'))
                .collect();
            spellings.sort_unstable();
            (spellings.join(" "), cells[1].trim().to_owned())
        })
        .collect()
}

fn parsed_rows(command: &Command) -> Rows {
    command
        .get_arguments()
        .filter(|arg| !arg.is_positional())
        .map(|arg| {
            let longs = arg.get_long_and_visible_aliases().unwrap_or_default();
            let shorts = arg.get_short_and_visible_aliases().unwrap_or_default();
            let longs = longs.iter().map(|name| format!("--{name}"));
            let mut spellings: Vec<String> = longs
                .chain(shorts.iter().map(|letter| format!("-{letter}")))
                .collect();
            spellings.sort_unstable();
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let kind = match arg.get_help_heading() {
                Some(unsupported::HEADING) => "not yet",
                _ if help.ends_with("[barman-rs only]") => "ours",
                _ => "same",
            };
            (spellings.join(" "), kind.to_owned())
        })
        .collect()
}
