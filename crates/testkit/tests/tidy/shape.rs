//! Sizes, names, and how a module opens.

use crate::scan::{Leave, blank, functions};
use crate::tree::{Findings, files};

const MAX_LINE: usize = 100;
const MAX_DOCUMENT_LINE: usize = 120;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_FILE_LINES: usize = 500;
const MAX_PARAMETERS: usize = 4;

#[test]
fn no_line_of_code_is_longer_than_a_hundred_characters() {
    let mut findings = Findings::default();
    let kinds = [".rs", "Cargo.toml", ".md", ".py", "Makefile"];
    let wanted =
        |path: &str| kinds.iter().any(|kind| path.ends_with(kind)) || path.starts_with("scripts/");
    for file in files().iter().filter(|file| wanted(&file.path)) {
        let is_document = file.path.ends_with(".md");
        let most = if is_document {
            MAX_DOCUMENT_LINE
        } else {
            MAX_LINE
        };
        findings.add_lines(file, &file.text, |line| {
            // A table's row or an address cannot be broken.
            // Nor can a line of a format that is shown as it is.
            let quoted = line.starts_with("{ \"");
            let row = line.starts_with('|') || line.contains("://") || quoted;
            let unbreakable = is_document && row;
            let length = line.chars().count();
            (length > most && !unbreakable).then(|| format!("{length} characters"))
        });
    }
    findings.none();
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut findings = Findings::default();
    for file in files().iter().filter(|file| file.is_rust()) {
        for function in functions(&blank(&file.text, Leave::Code)) {
            let above = file
                .text
                .lines()
                .nth(function.line.saturating_sub(2))
                .unwrap_or_default();
            if function.lines > MAX_FUNCTION_LINES && !above.contains("// A table") {
                let what = format!("fn {} has {} lines", function.name, function.lines);
                findings.add(file, function.line, what);
            }
        }
    }
    findings.none();
}

#[test]
fn no_file_has_more_than_five_hundred_lines_of_code() {
    let mut findings = Findings::default();
    for file in files().iter().filter(|file| file.is_rust()) {
        let lines = file.before_tests().lines().count();
        if lines > MAX_FILE_LINES {
            findings.add(file, lines, format!("{lines} lines before the unit tests"));
        }
    }
    findings.none();
}

#[test]
fn every_module_opens_by_saying_what_it_is_for() {
    let mut findings = Findings::default();
    for file in files().iter().filter(|file| file.is_rust()) {
        let first = file.text.lines().next().unwrap_or_default();
        if first
            .strip_prefix("//!")
            .is_none_or(|text| text.trim().is_empty())
        {
            findings.add(file, 1, "does not open with a //! comment");
        }
    }
    findings.none();
}

#[test]
fn there_are_no_drawers_of_everything() {
    const DRAWERS: [&str; 9] = [
        "util", "utils", "misc", "common", "helper", "helpers", "manager", "handler", "handlers",
    ];
    let mut findings = Findings::default();
    for file in files().iter().filter(|file| file.is_rust()) {
        let names = file.path.trim_end_matches(".rs").split(['/', '_']);
        for name in names.filter(|name| DRAWERS.contains(name)) {
            findings.add(
                file,
                1,
                format!("'{name}' says nothing about what is inside"),
            );
        }
        findings.add_lines(file, &file.text, |line| {
            let name = line
                .trim_start()
                .trim_start_matches("pub ")
                .strip_prefix("mod ")?;
            let name = name.trim_end_matches([' ', '{', ';']);
            DRAWERS
                .contains(&name)
                .then(|| format!("module '{name}' says nothing"))
        });
    }
    findings.none();
}

#[test]
fn public_functions_take_few_parameters_and_no_bare_booleans() {
    let mut findings = Findings::default();
    for file in files().iter().filter(|file| file.is_source()) {
        for function in functions(&file.code(Leave::Code))
            .iter()
            .filter(|found| found.is_public)
        {
            let booleans = function
                .parameters
                .iter()
                .filter(|text| text.ends_with(": bool"));
            for boolean in booleans {
                findings.add(
                    file,
                    function.line,
                    format!("{boolean}: say it with an enum"),
                );
            }
            if function.parameters.len() > MAX_PARAMETERS {
                let what = format!("{} parameters: take a struct", function.parameters.len());
                findings.add(file, function.line, what);
            }
        }
    }
    findings.none();
}

#[test]
fn the_names_of_tests_are_sentences() {
    let mut findings = Findings::default();
    for file in files().iter().filter(|file| file.is_rust()) {
        let code = blank(&file.text, Leave::Code);
        let lines: Vec<_> = code.lines().collect();
        for function in functions(&code) {
            let before = &lines[..function.line - 1];
            let attributes = before
                .iter()
                .rev()
                .take_while(|line| line.trim().starts_with("#["));
            let is_test = attributes.into_iter().any(|line| line.trim() == "#[test]");
            // In a macro the name comes from elsewhere.
            if is_test && function.name.split('_').count() < 3 {
                findings.add(
                    file,
                    function.line,
                    format!("{} is no sentence", function.name),
                );
            }
        }
    }
    findings.none();
}
