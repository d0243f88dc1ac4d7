//! What Barman's archives look like, and that reading a changing file is safe.

use engine::tarball::read::TarReader;
use engine::tarball::write::{MemberHeader, TarWriter};

/// GNU tar, which Barman 3.20 extracts with, reads what we write.
#[test]
fn the_systems_tar_reads_our_archives() {
    let directory = tempfile::tempdir().unwrap();
    let long = format!("base/{}", "1".repeat(200));
    let mut tar = TarWriter::new(Vec::new());
    let header = MemberHeader {
        path: b".",
        mode: 0o700,
        uid: 0,
        gid: 0,
        mtime: 1,
        size_bytes: 0,
    };
    tar.directory(&header).unwrap();
    for path in ["./PG_VERSION", long.as_str(), "grüße"] {
        let file = MemberHeader {
            path: path.as_bytes(),
            mode: 0o600,
            size_bytes: 3,
            ..header
        };
        tar.begin_file(&file).unwrap();
        std::io::Write::write_all(&mut tar, b"15\n").unwrap();
        tar.end_file().unwrap();
    }
    let archive = directory.path().join("a.tar");
    std::fs::write(&archive, tar.finish().unwrap()).unwrap();
    let extracted = std::process::Command::new("tar")
        .args(["--extract", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(directory.path())
        .output()
        .unwrap();
    assert!(
        extracted.status.success() && extracted.stderr.is_empty(),
        "{extracted:?}"
    );
    for path in ["PG_VERSION", long.as_str(), "grüße"] {
        assert_eq!(
            std::fs::read(directory.path().join(path)).unwrap(),
            b"15\n",
            "{path}"
        );
    }
}

#[test]
fn random_bytes_are_an_error_and_never_a_panic() {
    let mut seed = 1u32;
    for length in [1, 511, 512, 513, 4096] {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        assert!(TarReader::new(bytes.as_slice()).next_member().is_err());
    }
}
