//! Help and version of every name.

use super::{NAMES, start};

#[test]
fn every_name_explains_itself_on_standard_output() {
    for name in NAMES {
        let said = start(name, "--help");
        assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{name}");
        insta::assert_snapshot!(format!("help_{name}"), said.stdout);
    }
}

#[test]
fn every_command_of_the_server_explains_itself() {
    for command in ["list-servers", "receive-wal", "show-servers"] {
        let said = start("barman", &format!("{command} --help"));
        assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{command}");
        insta::assert_snapshot!(format!("help_barman_{command}"), said.stdout);
    }
}

#[test]
fn a_cloud_command_gives_its_version_in_two_words() {
    // CloudNativePG takes what follows the last space for a semantic version.
    for name in NAMES.iter().filter(|name| **name != "barman") {
        let said = start(name, "-V");
        let expected = format!("{name} 3.20.1+rs.{}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            (said.status, said.stdout, said.stderr),
            (0, expected, String::new())
        );
    }
}

#[test]
fn barman_gives_its_version_as_the_first_word() {
    for words in ["--version", "-v", "--vers"] {
        let said = start("barman", words);
        assert_eq!(said.status, 0);
        assert!(said.stdout.starts_with("3.20.1+rs."), "{}", said.stdout);
        assert!(said.stdout.contains(" Barman "), "{}", said.stdout);
    }
}

#[test]
fn barman_alone_and_barman_help_print_the_help() {
    let help = start("barman", "--help").stdout;
    for words in ["", "help", "-h"] {
        let said = start("barman", words);
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (0, help.as_str()),
            "barman {words}"
        );
    }
}
