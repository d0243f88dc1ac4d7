//! The files of the checkout as text, and the report of what is wrong in them.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use crate::scan::{Leave, blank};

/// A text file of the checkout.
#[derive(Debug)]
pub struct File {
    /// From the top of the checkout, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    /// What follows `crates/`: the crate's name, if the file belongs to one.
    pub fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether the program is built from it, as opposed to tests.
    pub fn is_source(&self) -> bool {
        self.is_rust() && self.path.contains("/src/") && !self.path.contains("/tests")
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The text up to the unit tests, which come last in a file.
    pub fn before_tests(&self) -> &str {
        let end = self
            .text
            .find("\n#[cfg(test)]\nmod ")
            .unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// The code before the unit tests, as [`blank`] leaves it.
    pub fn code(&self, leave: Leave) -> String {
        blank(self.before_tests(), leave)
    }
}

/// The top of the checkout.
pub fn top() -> &'static Path {
    testkit::tools::checkout()
}

/// All text files but fixtures, snapshots and what is made by building.
pub fn files() -> Vec<File> {
    let mut found = Vec::new();
    collect(top(), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        found.len() > 10,
        "the checkout at {} seems empty",
        top().display()
    );
    found
}

fn collect(folder: &Path, found: &mut Vec<File>) {
    let entries = fs::read_dir(folder).unwrap();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            let made = ["target", ".cache", ".git", "fixtures", "snapshots"];
            if !made.contains(&name.as_str()) {
                collect(&path, found);
            }
        } else if name != ".git"
            && name != "Cargo.lock"
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path
                .strip_prefix(top())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.push(File { path, text });
        }
    }
}

/// Whether `path`, seen from the folder of `file`, leads to something.
pub fn leads_somewhere(file: &File, path: &str) -> bool {
    let folder = PathBuf::from(&file.path)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    top().join(folder).join(path).exists()
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Findings(Vec<String>);

impl Findings {
    /// Something wrong in a line of `file`, counted from 1.
    pub fn add(&mut self, file: &File, line: usize, what: impl Display) {
        self.0.push(format!("{}:{line}: {what}", file.path));
    }

    /// Adds `what` for every line of `text` in which `is_bad` finds something.
    pub fn add_lines(&mut self, file: &File, text: &str, is_bad: impl Fn(&str) -> Option<String>) {
        for (number, line) in text.lines().enumerate() {
            if let Some(what) = is_bad(line) {
                self.add(file, number + 1, what);
            }
        }
    }

    /// Fails the test when anything was found.
    pub fn none(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}
