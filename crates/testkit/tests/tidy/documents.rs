//! What documents and comments may say, and that what they point to exists.

use std::fs;

use crate::tree::{File, Findings, files, leads_somewhere, top};

#[test]
fn no_file_names_a_registry_or_the_place_it_was_written_in() {
    // Put together here, so that this file does not find itself.
    let banned = [
        concat!("/wor", "k/"),
        concat!("registry.", "npmjs"),
        concat!("pypi", ".org"),
        concat!("pythonhosted", ".org"),
        concat!("deb.", "debian.org"),
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
    ];
    let mut findings = Findings::default();
    for file in &files() {
        findings.add_lines(file, &file.text, |line| {
            let found = banned.iter().find(|word| line.contains(**word))?;
            Some(format!("'{found}' means nothing to a reader elsewhere"))
        });
    }
    findings.none();
}

#[test]
fn what_is_left_to_do_says_why() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut findings = Findings::default();
    for file in &files() {
        findings.add_lines(file, &file.text, |line| {
            let (mark, after) = marks
                .iter()
                .find_map(|mark| Some((mark, line.split_once(mark)?.1)))?;
            let reason = after.strip_prefix(": ").unwrap_or_default();
            let is_word = after.starts_with(|letter: char| letter.is_alphanumeric());
            (!is_word && reason.len() < 20).then(|| format!("{mark} without a reason"))
        });
    }
    findings.none();
}

#[test]
fn links_in_documents_lead_to_files() {
    let mut findings = Findings::default();
    for file in files().iter().filter(|file| file.path.ends_with(".md")) {
        for (number, line) in file.text.lines().enumerate() {
            for target in links(line).filter(|target| !leads_somewhere(file, target)) {
                findings.add(file, number + 1, format!("{target} does not exist"));
            }
        }
    }
    findings.none();
}

// The targets of `[text](target)` that are files.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':'))
}

#[test]
fn paths_in_the_architecture_exist() {
    let mut findings = Findings::default();
    for file in files().iter().filter(|file| file.path == "ARCHITECTURE.md") {
        for (number, line) in file.text.lines().enumerate() {
            for path in line
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|span| is_path(span))
            {
                let exists =
                    leads_somewhere(file, path) || top().join("crates").join(path).exists();
                if !exists {
                    findings.add(file, number + 1, format!("{path} does not exist"));
                }
            }
        }
    }
    findings.none();
}

// A code span is a path of the tree when its first part is a folder of the top or a crate.
fn is_path(span: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-./".contains(letter);
    let Some((first, _)) = span.split_once('/') else {
        return false;
    };
    let known = top().join(first).is_dir() || top().join("crates").join(first).is_dir();
    known && !first.is_empty() && span.chars().all(is_plain)
}

#[test]
fn scripts_can_be_started() {
    use std::os::unix::fs::PermissionsExt;
    let mut findings = Findings::default();
    let is_script = |file: &&File| file.path.starts_with("scripts/") || file.path == ".ci/run";
    for file in files().iter().filter(is_script) {
        let mode = fs::metadata(top().join(&file.path))
            .unwrap()
            .permissions()
            .mode();
        if mode & 0o100 == 0 || !file.text.starts_with("#!") {
            findings.add(
                file,
                1,
                "is not executable or does not name its interpreter",
            );
        }
    }
    findings.none();
}

/// The files of a row of the architecture's table of ways.
fn way(row: &str) -> Vec<&str> {
    let files = row.split('`').filter(|word| word.starts_with("crates/"));
    files.collect()
}

/// The name that other files have for it: its folder's for a `mod.rs`.
fn module(path: &str) -> &str {
    let stem = path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
    stem.rsplit('/').next().unwrap_or(stem)
}

#[test]
fn from_the_command_line_to_the_decision_there_are_six_files_at_most() {
    let text = fs::read_to_string(top().join("ARCHITECTURE.md")).unwrap();
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| `barman-cloud-"));
    let mut commands = 0;
    for row in rows.filter(|row| row.contains(" → ")) {
        let way = way(row);
        assert!((3..=6).contains(&way.len()), "{row}");
        for at in 1..way.len() {
            let named = format!("{}::", module(way[at]));
            let names_it = |file: &&str| {
                let source = fs::read_to_string(top().join(file)).unwrap();
                source.contains(&named)
            };
            assert!(way[..at].iter().any(names_it), "{}", way[at]);
        }
        commands += 1;
    }
    assert_eq!(commands, 9);
}
