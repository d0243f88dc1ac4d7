//! What is not built yet is refused in words and with a status, never ignored.

use super::start;

#[test]
fn an_option_that_is_not_there_yet_is_refused_by_name() {
    insta::assert_snapshot!(
        start("barman-cloud-backup", "--max-bandwidth 10MB s3://b/p main").whole()
    );
}

#[test]
fn an_option_that_swallows_the_positionals_is_refused_by_name_all_the_same() {
    let said = start("barman-cloud-backup", "--tags a,1 b,2 s3://b/p main");
    assert_eq!(said.status, 3);
    assert!(
        said.stderr.contains("option --tags is not there yet"),
        "{}",
        said.stderr
    );
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
            "barman-cloud-backup-list",
            "--credential azure-cli s3://b/p main",
            "--azure-credential",
        ),
        (
            "barman-cloud-restore",
            "--snapshot-recovery-z z s3://b/p main auto /x",
            "--gcp-zone",
        ),
        (
            "barman-cloud-wal-archive",
            "-e AES256 s3://b/p main /x",
            "--encryption",
        ),
        (
            "barman-cloud-wal-restore",
            "--sse-customer-key=file:///k s3://b/p main x /x",
            "--sse-customer-key",
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
