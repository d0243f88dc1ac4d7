//! What is left of the old house, counted: each number may only become smaller, and the bound goes
//! down with it. `scripts/house` prints the table; `scripts/house --list` what is behind it.

use super::circles::circles;
use super::imports::imports;
use super::names::{doubled, shapes, types};
use super::sources::{CRATES, sources};
use super::words::{front_end_words, key_literals};

struct Count {
    what: &'static str,
    found: Vec<String>,
    /// The bound: what there is today.
    most: usize,
}

fn counts() -> Vec<Count> {
    let (tuples, flags) = shapes();
    let pairs = |found: Vec<(String, String)>| {
        let lines = found
            .into_iter()
            .map(|(file, what)| format!("{file}: {what}"));
        lines.collect()
    };
    let doubled = doubled().into_iter();
    let doubled = doubled.map(|(name, places)| format!("{name}: {}", places.join(" ")));
    let count = |what, found, most| Count { what, found, most };
    vec![
        count(
            "type names that mean two things",
            doubled.collect(),
            DOUBLED_NAMES,
        ),
        count("public functions that take a tuple", pairs(tuples), TUPLES),
        count("matches on a flag", pairs(flags), FLAGS),
        count(
            "key literals outside the layout",
            key_literals(),
            KEY_LITERALS,
        ),
        count(
            "front-end words below cli",
            front_end_words(),
            FRONT_END_WORDS,
        ),
    ]
}

const DOUBLED_NAMES: usize = 13;
const TUPLES: usize = 8;
const FLAGS: usize = 0;
const KEY_LITERALS: usize = 0;
const FRONT_END_WORDS: usize = 0;

/// The files of a crate that import each other in a circle, with what ties them.
fn knotted() -> Vec<String> {
    let mut found = Vec::new();
    for name in CRATES {
        let sources = sources(name);
        let imports = imports(&sources);
        for circle in circles(&imports) {
            for file in &circle {
                let ties = imports[*file]
                    .iter()
                    .filter(|(other, _)| circle.contains(other));
                let ties = ties.map(|(other, names)| format!("{} {names:?}", sources[*other].path));
                let ties = ties.collect::<Vec<_>>().join(", ");
                found.push(format!("{} -> {ties}", sources[*file].path));
            }
        }
    }
    found
}

#[test]
fn no_two_files_of_a_crate_import_each_other_in_a_circle() {
    let knotted = knotted();
    assert!(knotted.is_empty(), "{}", knotted.join("\n"));
}

#[test]
fn what_is_left_of_the_old_house_only_becomes_less() {
    let counts = counts();
    println!("{} type names in the programs", types().len());
    for count in &counts {
        println!(
            "{:>5}  {} (at most {})",
            count.found.len(),
            count.what,
            count.most
        );
        if std::env::var_os("LIST").is_some() {
            println!("{}", count.found.join("\n"));
        }
    }
    for count in counts {
        let (what, now) = (count.what, count.found.len());
        let list = count.found.join("\n");
        assert!(
            now <= count.most,
            "{what}: {now}, at most {}\n{list}",
            count.most
        );
    }
}
