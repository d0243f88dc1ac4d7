//! The command reference in `docs/reference/`, made from the parsers and kept by a test.
//!
//! A page is what the parser knows of a program and nothing else, so that no option can be told
//! wrongly there: `UPDATE_REFERENCE=1 cargo test -p cli reference` writes the pages anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::StyledStr;
use clap::{Arg, Command};
use model::config::options::SectionKind;
use model::config::table::OPTIONS;

use crate::PROGRAMS;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference");
const WIDTH: usize = 100;
const UPDATE: &str = "UPDATE_REFERENCE";

#[test]
fn the_reference_says_what_the_parsers_know() {
    let is_update = std::env::var_os(UPDATE).is_some();
    let mut pages = vec![("README".to_owned(), contents())];
    pages.push(("barman.conf".to_owned(), configuration()));
    for program in PROGRAMS {
        let command = (program.command_line)(program.name);
        pages.push((program.name.to_owned(), page(command)));
    }
    for (name, text) in &pages {
        let path = Path::new(FOLDER).join(format!("{name}.md"));
        if is_update {
            fs::create_dir_all(FOLDER).unwrap();
            fs::write(&path, text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == *text,
            "docs/reference/{name}.md is not what the parser says: \
             {UPDATE}=1 cargo test -p cli reference"
        );
    }
    let known = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default();
        let names = pages.iter().map(|(name, _)| name.as_str());
        // That page is made from the manifests, by another test.
        names.chain(["dependencies"]).any(|name| stem == name)
    };
    let mut there = fs::read_dir(FOLDER).unwrap().map(|it| it.unwrap().path());
    assert_eq!(there.find(|path| !known(path)), None, "of no program");
}

fn contents() -> String {
    let mut text = "# Command reference\n\nMade from the parsers; a test keeps it so.\n\n\
                    | | |\n| --- | --- |\n"
        .to_owned();
    for program in PROGRAMS {
        let command = (program.command_line)(program.name);
        let about = words(command.get_about());
        let name = program.name;
        writeln!(text, "| [`{name}`]({name}.md) | {about} |").unwrap();
    }
    text + "| [`barman.conf`](barman.conf.md) | The options of the configuration file. |\n"
}

/// The page of the configuration file, made from the table that its parser uses.
fn configuration() -> String {
    let mut text = "# barman.conf\n\nMade from the table of options; a test keeps it so. Where an \
                    option may stand: G in `[barman]`,\nS in a server's section, M in a \
                    model's.\n\n\
                    | option | stands in | takes | default | since | for |\n\
                    | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for option in OPTIONS {
        let kinds = [
            (SectionKind::Global, 'G'),
            (SectionKind::Server, 'S'),
            (SectionKind::Model, 'M'),
        ];
        let stands = kinds
            .into_iter()
            .filter(|(kind, _)| option.may_stand_in(*kind));
        let stands: String = stands.map(|(_, letter)| letter).collect();
        let default = option
            .default
            .map(|it| format!("`{it}`"))
            .unwrap_or_default();
        let (name, kind, words) = (option.name, option.kind, option.words);
        let since = option.since.unwrap_or_default();
        writeln!(
            text,
            "| `{name}` | {stands} | {kind} | {default} | {since} | {words} |"
        )
        .unwrap();
    }
    text
}

fn page(mut command: Command) -> String {
    command.build();
    let mut text = format!("# {}\n\n", command.get_name());
    describe(&mut text, &command, "##");
    let own = command.get_subcommands().filter(|own| !own.is_hide_set());
    for own in own {
        let name = own.get_bin_name().unwrap_or(own.get_name());
        writeln!(text, "\n## {name}\n").unwrap();
        describe(&mut text, own, "###");
    }
    text
}

/// What a command is for, its usage, its arguments and options, and what the help says after them.
fn describe(text: &mut String, command: &Command, level: &str) {
    writeln!(text, "{}\n", words(command.get_about())).unwrap();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim().trim_start_matches("Usage: ");
    writeln!(text, "```text\n{usage}\n```").unwrap();
    let visible = || command.get_arguments().filter(|arg| !arg.is_hide_set());
    let mut arguments: Vec<_> = visible().filter(|arg| arg.is_positional()).collect();
    arguments.sort_by_key(|arg| arg.get_index());
    table(text, &format!("{level} Arguments"), arguments.into_iter());
    let options = || visible().filter(|arg| !arg.is_positional());
    table(
        text,
        &format!("{level} Options"),
        options().filter(|arg| arg.get_help_heading().is_none()),
    );
    let mut headings: Vec<&str> = Vec::new();
    for heading in options().filter_map(Arg::get_help_heading) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        table(
            text,
            &format!("{level} {heading}"),
            options().filter(|arg| arg.get_help_heading() == Some(heading)),
        );
    }
    if let Some(after) = command.get_after_help() {
        writeln!(text, "\n{level} More\n\n```text").unwrap();
        for line in after.to_string().lines() {
            wrap(text, line);
        }
        text.push_str("```\n");
    }
}

fn table<'a>(text: &mut String, heading: &str, rows: impl Iterator<Item = &'a Arg>) {
    let rows: Vec<&Arg> = rows.collect();
    if rows.is_empty() {
        return;
    }
    writeln!(text, "\n{heading}\n\n| | |\n| --- | --- |").unwrap();
    for arg in rows {
        writeln!(text, "| {} | {} |", spelling(arg), explanation(arg)).unwrap();
    }
}

/// `-J`, `--jobs` `N`, as it is typed.
fn spelling(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default();
    let values = values.iter().map(|name| name.to_string());
    let mut value = values.collect::<Vec<_>>().join(" ");
    if value.is_empty() {
        value = arg.get_id().to_string().to_uppercase();
    }
    if arg.is_positional() {
        return format!("`{value}`");
    }
    let shorts = arg.get_short_and_visible_aliases().unwrap_or_default();
    let longs = arg.get_long_and_visible_aliases().unwrap_or_default();
    let shorts = shorts.iter().map(|letter| format!("`-{letter}`"));
    let longs = longs.iter().map(|name| format!("`--{name}`"));
    let names = shorts.chain(longs).collect::<Vec<_>>().join(", ");
    if arg.get_action().takes_values() {
        format!("{names} `{value}`")
    } else {
        names
    }
}

fn explanation(arg: &Arg) -> String {
    let mut text = words(arg.get_help());
    let possible = arg.get_possible_values();
    if arg.get_action().takes_values() && !possible.is_empty() {
        let names = possible
            .iter()
            .map(|value| format!("`{}`", value.get_name()));
        let names = names.collect::<Vec<_>>().join(", ");
        write!(text, "; one of {names}").unwrap();
    }
    let defaults = arg.get_default_values();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        let shown = defaults.iter().map(|value| value.to_string_lossy());
        let shown = shown.collect::<Vec<_>>().join(" ");
        write!(text, " (default `{shown}`)").unwrap();
    }
    text.replace('|', "\\|").replace('<', "&lt;")
}

/// A paragraph of the help is one long line; examples and tables are indented and stay.
fn wrap(text: &mut String, line: &str) {
    let mut column = 0;
    for (number, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if column > 0 && column + length >= WIDTH {
            text.push('\n');
            column = 0;
        } else if number > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

fn words(text: Option<&StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
