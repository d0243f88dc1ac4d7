//! Words in quotes that belong to one room: the keys of the layout, and the words of a front end.

use super::sources::{CRATES, Source, sources};
use crate::scan::Leave;
use crate::tree::{File, files};

/// Parts of object keys: how a backup's files are called is the layout's knowledge.
const KEYS: [&str; 3] = [
    "\"backup.info\"",
    "annotations/keep\"",
    "annotations/damage\"",
];

/// Names of programs and what they call themselves: said by `cli` alone.
const FRONT_END: [&str; 2] = ["barman-cloud-", "Barman backup cloud"];

/// Lines outside the layout that have a literal key in quotes.
pub fn key_literals() -> Vec<String> {
    let outside = |file: &File| !file.path.starts_with("crates/model/src/layout");
    lines(&CRATES, &KEYS, outside)
}

/// Lines below `cli` that have a front end's words in quotes.
pub fn front_end_words() -> Vec<String> {
    lines(&CRATES[..4], &FRONT_END, |_| true)
}

fn lines(crates: &[&str], words: &[&str], wanted: impl Fn(&File) -> bool) -> Vec<String> {
    let all = files();
    let of_crates = |file: &&File| file.crate_name().is_some_and(|name| crates.contains(&name));
    let sources = all.iter().filter(of_crates).filter(|file| file.is_source());
    let mut found = Vec::new();
    for file in sources.filter(|file| wanted(file)) {
        let is_test_file = file.path.ends_with("_tests.rs");
        for (number, line) in file.code(Leave::Quoted).lines().enumerate() {
            if !is_test_file && words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn events_of_the_engine_are_facts_and_no_sentences() {
    let is_events = |source: &Source| source.path == "crates/engine/src/progress.rs";
    let events = sources("engine").into_iter().find(is_events);
    let events = events.expect("the engine has its events in progress.rs");
    let mut fields = Vec::new();
    for item in &events.items {
        match item {
            syn::Item::Enum(it) => {
                fields.extend(it.variants.iter().flat_map(|variant| &variant.fields));
            }
            syn::Item::Struct(it) => fields.extend(&it.fields),
            _ => {}
        }
    }
    assert!(!fields.is_empty(), "the events have no fields");
    let is_text = |field: &&syn::Field| {
        let words = ["text", "message", "line"];
        field
            .ident
            .as_ref()
            .is_some_and(|name| words.iter().any(|word| name == word))
    };
    assert!(
        !fields.iter().any(is_text),
        "crates/engine/src/progress.rs: the words of an event are said by cli/src/output/events.rs"
    );
}
