//! Expected keys were found in buckets that Barman 3.20.1 wrote to.

use proptest::prelude::*;

use super::*;
use crate::backup::id::BackupId;
use crate::codec::Codec;

fn id() -> BackupId {
    "20261121T081523".parse().unwrap()
}

fn tablespace(number: u32) -> ArchiveName {
    ArchiveName {
        set: ArchiveSet::Tablespace(16384),
        number,
    }
}

const DATA: ArchiveName = ArchiveName {
    set: ArchiveSet::Data,
    number: 0,
};

#[test]
fn keys_are_those_barman_wrote() {
    // Keys found in a bucket after Barman 3.20.1 wrote to `s3://…/p/x` for the server `pg`.
    let layout = Layout::new("p/x", "pg").unwrap();
    let base = "p/x/pg/base/20261121T081523";
    assert_eq!(layout.backup_info(&id()), format!("{base}/backup.info"));
    assert_eq!(
        layout.annotation_keep(&id()),
        format!("{base}/annotations/keep")
    );
    assert_eq!(layout.backup_label(&id()), format!("{base}/backup_label"));
    let keys = [
        (DATA, Codec::None, "data.tar"),
        (DATA, Codec::Gzip, "data.tar.gz"),
        (tablespace(0), Codec::Zstd, "16384.tar.zst"),
        (tablespace(0), Codec::Snappy, "16384.tar.snappy"),
        (tablespace(3), Codec::None, "16384_0003.tar"),
    ];
    for (name, codec, file) in keys {
        assert_eq!(
            layout.archive(&id(), &name, codec),
            format!("{base}/{file}")
        );
    }
}

#[test]
fn wal_keys_are_those_barman_wrote_and_are_read_back() {
    let layout = Layout::new("p/x", "pg").unwrap();
    let keys = [
        "p/x/pg/wals/0000000100000000/000000010000000000000007",
        "p/x/pg/wals/0000000100000000/00000001000000000000000C.00000028.backup.gz",
        "p/x/pg/wals/0000000100000000/000000010000000000000022.bz2",
        "p/x/pg/wals/0000000100000000/000000010000000000000023.xz",
        "p/x/pg/wals/0000000100000000/000000010000000000000024.snappy",
        "p/x/pg/wals/0000000100000000/000000010000000000000030.partial.gz",
        "p/x/pg/wals/00000002.history",
    ];
    for key in keys {
        let (name, codec) = layout.wal_of(key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!(layout.wal(&name, codec), key);
    }
}

#[test]
fn what_is_no_wal_of_this_server_is_not_taken_for_one() {
    let layout = Layout::new("p/x", "pg").unwrap();
    for key in [
        "p/x/pg/wals/0000000100000000/notes.txt",
        "p/x/pg/wals/0000000200000000/000000010000000000000007",
        "p/x/other/wals/0000000100000000/000000010000000000000007",
        "p/x/pg/wals/0000000100000000/000000010000000000000007.zip",
        "000000010000000000000007",
        "",
    ] {
        assert_eq!(layout.wal_of(key), None, "{key}");
    }
}

#[test]
fn a_key_below_base_names_its_backup() {
    let layout = Layout::new("", "pg").unwrap();
    let key = "pg/base/20261121T081523/annotations/keep";
    assert_eq!(layout.backup_of(key), Some((id(), "annotations/keep")));
    for key in [
        "pg/base/notes/x",
        "pg/base/20261121T081523",
        "pgx/base/",
        "pg/wals/x",
        "",
    ] {
        assert_eq!(layout.backup_of(key), None, "{key}");
    }
}

#[test]
fn slashes_mean_what_they_mean_to_barman() {
    // Where Barman 3.20.1 archived to, given these.
    for (prefix, server, root) in [
        ("p/x", "pg", "p/x/pg"),
        ("/p/x", "pg", "p/x/pg"),
        ("p/x/", "pg", "p/x/pg"),
        ("//p/", "pg", "p/pg"),
        ("p///", "pg", "p///pg"),
        ("p//q", "pg", "p//q/pg"),
        ("", "pg", "pg"),
        ("//", "pg", "pg"),
        ("p", "a/b", "p/a/b"),
        ("p", "a//b", "p/a//b"),
        ("p", "a/", "p/a"),
    ] {
        let layout = Layout::new(prefix, server).unwrap();
        assert_eq!(layout.server_root(), root, "{prefix} {server}");
        assert_eq!(layout.has_empty_parts(), root.contains("//"), "{root}");
        assert!(root.starts_with(layout.path()));
    }
}

#[test]
fn names_that_would_lead_elsewhere_are_refused() {
    use BadKeyPart::*;
    let servers = [
        ("", Empty),
        ("/", Slash),
        ("/a", Slash),
        ("..", Dots),
        (".", Dots),
        ("a/../b", Dots),
        ("a\nb", Control),
    ];
    for (server, expected) in servers {
        let error = Layout::new("p", server).unwrap_err();
        assert!(
            matches!(&error, BadLayout::Server { cause, .. } if *cause == expected),
            "{error}"
        );
    }
    for (prefix, expected) in [("a/../b", Dots), ("a/\0", Control)] {
        let error = Layout::new(prefix, "pg").unwrap_err();
        assert!(
            matches!(&error, BadLayout::Prefix { cause, .. } if *cause == expected),
            "{error}"
        );
    }
}

#[test]
fn unicode_stays_as_it_is() {
    let layout = Layout::new("größe", "s\u{308}erver ☃").unwrap();
    assert_eq!(layout.server_root(), "größe/s\u{308}erver ☃");
}

proptest! {
    #[test]
    fn no_key_has_a_segment_of_dots_or_a_slash_at_its_ends(
        prefix in "[a-z./ é]{0,12}",
        server in "[a-z./ é]{0,6}",
    ) {
        if let Ok(layout) = Layout::new(&prefix, &server) {
            let wal = "000000010000000000000007".parse().unwrap();
            for key in [
                layout.backup_info(&id()),
                layout.archive(&id(), &DATA, Codec::Lz4),
                layout.wal(&wal, Codec::Xz),
                layout.wals(),
            ] {
                let fine = |part: &str| ![".", ".."].contains(&part);
                prop_assert!(key.split('/').all(fine), "{}", key);
                prop_assert!(!key.starts_with('/') && !key.ends_with('/'), "{}", key);
            }
        }
    }

    #[test]
    fn any_key_is_looked_at_without_a_panic(key in "\\PC*") {
        let layout = Layout::new("p", "s").unwrap();
        layout.backup_of(&key);
        layout.wal_of(&key);
    }
}
