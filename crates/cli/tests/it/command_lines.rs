//! Wrong command lines end with status 3 (2 for `barman` itself) and say what is wrong.

use super::start;

#[test]
fn wrong_command_lines_are_answered_with_usage_cause_and_hint() {
    let all = [
        ("barman-cloud-backup", ""),
        ("barman-cloud-backup", "s3://b/p main extra"),
        ("barman-cloud-backup", "--gzp s3://b/p main"),
        ("barman-cloud-backup", "--snapshot s3://b/p main"),
        ("barman-cloud-backup", "-z --bzip2 s3://b/p main"),
        ("barman-cloud-backup", "-v -q s3://b/p main"),
        ("barman-cloud-backup", "--jobs=0 s3://b/p main"),
        ("barman-cloud-backup", "-J 1025 s3://b/p main"),
        (
            "barman-cloud-backup",
            "-J 18446744073709551616 s3://b/p main",
        ),
        ("barman-cloud-backup", "-p x s3://b/p main"),
        ("barman-cloud-backup", "s3://b/p main -h"),
        ("barman-cloud-backup", "--cloud-provider ftp s3://b/p main"),
        ("barman-cloud-backup-list", "-h"),
        ("barman-cloud-restore", "s3://b/p main"),
        (
            "barman-cloud-restore",
            "--target-time x --target-lsn 0/1 s3://b/p main auto /x",
        ),
        (
            "barman-cloud-restore",
            "-J 1000000000000 s3://b/p main latest /x",
        ),
        ("barman-cloud-wal-archive", "--zstd --xz s3://b/p main /x"),
        ("barman-cloud-wal-archive", "-p 65 s3://b/p main /x"),
        ("barman-cloud-wal-restore", "-p 257 s3://b/p main f /x"),
        ("barman", "--nonsense"),
        ("barman", "install-links"),
    ]
    .map(|(name, words)| format!("$ {name} {words}\n{}", start(name, words).whole()));
    insta::assert_snapshot!(all.join("\n"));
}
