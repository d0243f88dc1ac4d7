//! What is not built yet is refused in words and with a status, never ignored.

use super::start;

#[test]
fn an_option_that_is_not_there_yet_is_refused_by_name() {
    insta::assert_snapshot!(
        start("barman-cloud-backup", "--snapshot-disk d s3://b/p main").whole()
    );
}

#[test]
fn the_older_form_of_tags_takes_all_words_that_follow() {
    let said = start("barman-cloud-backup", "--tags a,1 b,2 s3://b/p main");
    assert_eq!(said.status, 3, "{}", said.stderr);
    let said = start(
        "barman-cloud-backup",
        "--tags a,1 b,2 -t file:///nonexistent main",
    );
    assert_ne!(said.status, 3, "{}", said.stderr);
}

#[test]
fn older_spellings_of_options_are_known() {
    for (name, words, option) in [
        (
            "barman-cloud-backup",
            "--snapshot-zone z s3://b/p main",
            "--gcp-zone",
        ),
        (
            "barman-cloud-backup",
            "--snapshot-gcp-project=x s3://b/p main",
            "--gcp-project",
        ),
        (
            "barman-cloud-restore",
            "--snapshot-recovery-z z s3://b/p main auto /x",
            "--gcp-zone",
        ),
    ] {
        let said = start(name, words);
        assert_eq!(said.status, 3, "{name} {words}: {}", said.stderr);
        let expected = format!("option {option} is not there yet");
        assert!(
            said.stderr.contains(&expected),
            "{name} {words}: {}",
            said.stderr
        );
    }
}

#[test]
fn encryption_that_the_provider_does_not_know_is_refused() {
    let azure = "--cloud-provider azure-blob-storage https://a.blob.core.windows.net/c main /x";
    for (words, option) in [
        (
            "--encryption-scope x s3://b/p main /x",
            "--encryption-scope",
        ),
        ("--kms-key-name x file:///x main /x", "--kms-key-name"),
        (&format!("--kms-key-name x {azure}"), "--kms-key-name"),
    ] {
        let said = start("barman-cloud-wal-archive", words);
        assert_eq!(said.status, 3, "{words}: {}", said.stderr);
        let expected = format!("{option} is for ");
        assert!(said.stderr.contains(&expected), "{words}: {}", said.stderr);
    }
}

#[test]
fn every_spelling_of_the_azure_credential_takes_the_same_words() {
    for option in ["--azure-credential", "--credential", "--default"] {
        let words = format!("{option} nonsense gs://b main");
        let said = start("barman-cloud-backup-list", &words);
        assert_eq!(said.status, 3, "{words}: {}", said.stderr);
        assert!(said.stderr.contains("nonsense"), "{words}: {}", said.stderr);
        // The next thing that is wrong is the URL.
        let words = format!("{option} default gs://b main");
        let said = start("barman-cloud-backup-list", &words);
        assert_eq!(said.status, 4, "{words}: {}", said.stderr);
    }
}

#[test]
fn a_test_of_the_connection_judges_the_command_line_first() {
    for (name, words) in [
        ("barman-cloud-backup", "-t -S 1Gi file:///x main"),
        ("barman-cloud-backup", "-t -n latest file:///x main"),
        ("barman-cloud-backup", "-t --tag k file:///x main"),
        ("barman-cloud-wal-archive", "-t file:///x main nonsense"),
        (
            "barman-cloud-wal-archive",
            "-t --gzip --compression-level x file:///x main",
        ),
        ("barman-cloud-wal-restore", "-t file:///x main nonsense /y"),
        (
            "barman-cloud-restore",
            "-t --target-tli x file:///x main auto /y",
        ),
    ] {
        let said = start(name, words);
        assert_eq!(said.status, 3, "{name} {words}: {}", said.stderr);
    }
}

#[test]
fn commands_that_are_not_there_yet_end_with_an_error() {
    let all = [
        ("barman", "backup main"),
        ("barman", "-q list-backups all --minimal"),
        ("barman", "frobnicate"),
        ("barman-wal-archive", "host main /x"),
        ("barman-wal-restore", "host main x /x"),
    ]
    .map(|(name, words)| format!("$ {name} {words}\n{}", start(name, words).whole()));
    insta::assert_snapshot!(all.join("\n"));
}
