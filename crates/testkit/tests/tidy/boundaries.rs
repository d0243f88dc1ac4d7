//! Who may do what: the pure crate, the silent libraries, the one durable rename, and the places
//! that know a cloud by name.

use crate::scan::Leave;
use crate::tree::{File, Findings, files};

pub const OUR_CRATES: [&str; 6] = ["model", "postgres", "engine", "cloud", "cli", "testkit"];

#[test]
fn model_does_no_input_or_output_and_reads_no_clock() {
    const BANNED: [&str; 10] = [
        "std::fs",
        "std::net",
        "std::process",
        "std::env",
        "std::io",
        "::now()",
        "async fn",
        "SystemTime",
        "Instant",
        "tokio",
    ];
    ban("model", &BANNED, "belongs into engine");
}

#[test]
fn only_cli_prints() {
    const BANNED: [&str; 5] = ["println!", "eprintln!", "print!", "eprint!", "dbg!"];
    for name in OUR_CRATES.iter().filter(|name| **name != "cli") {
        ban(name, &BANNED, "a library is silent");
    }
}

#[test]
fn no_function_is_left_for_later() {
    for name in OUR_CRATES {
        ban(name, &["todo!", "unimplemented!"], "is not finished");
    }
}

// Unit tests may do what they like; the code before them may not.
fn ban(crate_name: &str, banned: &[&str], why: &str) {
    let mut findings = Findings::default();
    for file in sources_of(&files(), &[crate_name]) {
        let code = file.code(Leave::Code);
        findings.add_lines(file, &code, |line| {
            let word = banned.iter().find(|word| has_token(line, word))?;
            Some(format!("{word}: {why}"))
        });
    }
    findings.none();
}

#[test]
fn only_the_durable_write_renames() {
    let mut findings = Findings::default();
    let all = files();
    for file in sources_of(&all, &["model", "postgres", "engine", "cli"]) {
        if file.path == "crates/engine/src/durable.rs" {
            continue;
        }
        findings.add_lines(file, &file.code(Leave::Code), |line| {
            let renames = ["fs::rename", ".rename(", "renameat"];
            renames
                .iter()
                .any(|word| line.contains(word))
                .then(|| "renames".into())
        });
    }
    findings.none();
}

#[test]
fn only_cloud_and_cli_know_a_provider_by_name() {
    const PROVIDERS: [&str; 8] = [
        "aws",
        "amazon",
        "s3",
        "azure",
        "google",
        "gcs",
        "gcp",
        "seaweedfs",
    ];
    let mut findings = Findings::default();
    let all = files();
    for file in sources_of(&all, &["model", "postgres", "engine"]) {
        // Options of Barman's configuration carry a provider's name.
        if file.path == "crates/model/src/config/table.rs" {
            continue;
        }
        // The TLS library is called after a provider but serves everybody.
        let code = file
            .code(Leave::Quoted)
            .to_lowercase()
            .replace("aws_lc_rs", "");
        findings.add_lines(file, &code, |line| {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric());
            let found = words.find(|word| PROVIDERS.contains(word))?;
            Some(format!("'{found}' belongs into cloud"))
        });
    }
    findings.none();
}

#[test]
fn what_a_location_means_is_asked_in_one_place() {
    const KINDS: [&str; 4] = [
        "Location::S3",
        "Location::Azure",
        "Location::Google",
        "Location::Directory",
    ];
    let mut findings = Findings::default();
    let all = files();
    let answers = |file: &File| {
        file.path == "crates/cloud/src/lib.rs"
            || file.path.starts_with("crates/cloud/src/location/")
            || file.path.ends_with("_tests.rs")
    };
    for file in sources_of(&all, &["cloud", "cli"]).filter(|file| !answers(file)) {
        findings.add_lines(file, &file.code(Leave::Code), |line| {
            let kind = KINDS.iter().find(|kind| has_token(line, kind))?;
            Some(format!("{kind}: ask the open place, see `ObjectPlace`"))
        });
    }
    findings.none();
}

#[test]
fn crates_depend_downwards_only() {
    let mut findings = Findings::default();
    let all = files();
    for (rank, name) in OUR_CRATES[..5].iter().enumerate() {
        let manifest = format!("crates/{name}/Cargo.toml");
        let file = all
            .iter()
            .find(|file| file.path == manifest)
            .expect("each crate has one");
        findings.add_lines(file, &file.text, |line| {
            let dependency = line.strip_suffix(".workspace = true")?;
            let other = OUR_CRATES[..5]
                .iter()
                .position(|name| *name == dependency)?;
            (other >= rank).then(|| format!("{name} may not know {dependency}"))
        });
    }
    findings.none();
}

fn sources_of<'a>(all: &'a [File], crates: &'a [&str]) -> impl Iterator<Item = &'a File> {
    let wanted = |file: &&File| file.crate_name().is_some_and(|name| crates.contains(&name));
    all.iter().filter(wanted).filter(|file| file.is_source())
}

// Is the word there, and not merely as a part of a longer one?
fn has_token(line: &str, word: &str) -> bool {
    let joins = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(position, _)| {
        let goes_on_before = word.starts_with(joins) && line[..position].ends_with(joins);
        let goes_on_after =
            word.ends_with(joins) && line[position + word.len()..].starts_with(joins);
        !goes_on_before && !goes_on_after
    })
}
