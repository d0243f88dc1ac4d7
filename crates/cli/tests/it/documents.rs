//! Manual pages and completions: written for every name, and understood by who reads them.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::{NAMES, start};

#[test]
fn every_name_has_a_manual_page_with_its_options() {
    let place = TempDir::new().unwrap();
    let words = format!("install-man {}", place.path().display());
    assert_eq!(start("barman", &words).status, 0);
    for name in NAMES {
        let page = fs::read_to_string(place.path().join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}");
    }
    let page = fs::read_to_string(place.path().join("barman-cloud-backup.1")).unwrap();
    for text in ["immediate\\-checkpoint", "s3://backups/pg"] {
        assert!(page.contains(text), "{text} is not in\n{page}");
    }
    let sections = [
        "EXAMPLES",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "SEE ALSO",
    ];
    let places = sections.map(|title| page.find(&format!(".SH \"{title}\"\n")).unwrap());
    assert!(places.is_sorted(), "{page}");
    let example = ".nf\n  barman\\-cloud\\-backup \\-\\-zstd";
    assert!(page.contains(example) && !page.contains("EXTRA"), "{page}");
}

#[test]
fn bash_completes_an_option_of_every_cloud_command() {
    let place = TempDir::new().unwrap();
    let words = format!("install-completions bash {}", place.path().display());
    assert_eq!(start("barman", &words).status, 0);
    for name in NAMES.iter().filter(|name| name.contains("cloud")) {
        let file = place.path().join(name);
        // Debian's bash-completion calls the function in this way.
        let script = format!(
            "source {}; COMP_WORDS=({name} --verb); COMP_CWORD=1; \
             _{function} {name} --verb {name}; echo \"${{COMPREPLY[@]}}\"",
            file.display(),
            function = name.replace('-', "__"),
        );
        let asked = Command::new("bash").args(["-c", &script]).output().unwrap();
        let answer = String::from_utf8(asked.stdout).unwrap();
        let complaints = String::from_utf8_lossy(&asked.stderr);
        assert_eq!(answer.trim(), "--verbose", "{name}: {complaints}");
    }
    for (shell, file) in [
        ("zsh", "_barman-cloud-backup"),
        ("fish", "barman-cloud-backup.fish"),
    ] {
        let words = format!("install-completions {shell} {}", place.path().display());
        assert_eq!(start("barman", &words).status, 0);
        let script = fs::read_to_string(place.path().join(file)).unwrap();
        assert!(script.contains("immediate-checkpoint"), "{script}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let said = start("barman", "install-man /no/such/directory");
    assert_eq!(said.status, 1);
    assert!(
        said.stderr.contains("/no/such/directory"),
        "{}",
        said.stderr
    );
    assert_eq!(start("barman", "install-completions perl /tmp").status, 2);
}
