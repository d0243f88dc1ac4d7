//! Why each dependency is there: a comment above it in the crate's `Cargo.toml`, and all of them
//! together in `docs/reference/dependencies.md`, which is made from those comments.

use std::fmt::Write as _;
use std::fs;

use crate::boundaries::OUR_CRATES;
use crate::tree::{File, Findings, files, top};

const PAGE: &str = "docs/reference/dependencies.md";
const UPDATE: &str = "UPDATE_REFERENCE";

struct Dependency {
    name: String,
    /// Counted from 1.
    line: usize,
    is_for_tests: bool,
    /// What the comment above it, or above its group, says.
    reason: String,
    has_own_version: bool,
}

fn dependencies(file: &File) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = "";
    let mut reason = String::new();
    let mut is_in_comment = false;
    for (number, line) in file.text.lines().enumerate() {
        if let Some(text) = line.strip_prefix("# ") {
            if !is_in_comment {
                reason.clear();
            }
            let space = if reason.is_empty() { "" } else { " " };
            reason = format!("{reason}{space}{}", text.trim());
        } else if line.starts_with('[') || line.trim().is_empty() {
            reason.clear();
            section = if line.is_empty() { section } else { line };
        } else if section.ends_with("dependencies]") && line.starts_with(char::is_alphanumeric) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            found.push(Dependency {
                name: name.to_owned(),
                line: number + 1,
                is_for_tests: section == "[dev-dependencies]",
                reason: reason.clone(),
                has_own_version: !line.contains("workspace = true"),
            });
        }
        is_in_comment = line.starts_with('#');
    }
    found
}

fn manifests(all: &[File]) -> impl Iterator<Item = (&str, &File)> {
    let of_crate = |file: &File| file.path.ends_with("/Cargo.toml");
    let named = |file| File::crate_name(file).map(|name| (name, file));
    all.iter()
        .filter(move |file| of_crate(file))
        .filter_map(named)
}

#[test]
fn every_dependency_has_a_reason_and_one_version() {
    let mut findings = Findings::default();
    for (_, file) in manifests(&files()) {
        for it in dependencies(file) {
            if !OUR_CRATES.contains(&it.name.as_str()) && it.reason.is_empty() {
                findings.add(file, it.line, format!("{} has no reason above it", it.name));
            }
            if it.has_own_version {
                findings.add(file, it.line, "versions live in the Cargo.toml at the top");
            }
        }
    }
    findings.none();
}

#[test]
fn the_page_of_dependencies_gives_the_reasons_of_the_manifests() {
    let mut page = "# What we build on, and why\n\nMade from the manifests of the crates; \
                    a test keeps it so.\n"
        .to_owned();
    for (name, file) in manifests(&files()) {
        let mut rows = dependencies(file);
        rows.retain(|it| !OUR_CRATES.contains(&it.name.as_str()));
        write!(page, "\n## {name}\n\n| | |\n| --- | --- |\n").unwrap();
        for it in rows {
            let what_for = if it.is_for_tests { " (tests)" } else { "" };
            writeln!(page, "| `{}`{what_for} | {} |", it.name, it.reason).unwrap();
        }
    }
    if std::env::var_os(UPDATE).is_some() {
        fs::write(top().join(PAGE), &page).unwrap();
    }
    let there = fs::read_to_string(top().join(PAGE)).unwrap_or_default();
    assert!(
        there == page,
        "{PAGE} is older than the manifests: {UPDATE}=1 cargo test -p testkit --test tidy"
    );
}
