//! What we write, PostgreSQL accepts; what either writes, we read; what is damaged, we refuse.

use proptest::prelude::*;

use super::*;

/// See `fixtures/README.md`: the bytes that `pg_verifybackup` accepted.
const ACCEPTED: &[u8] = include_bytes!("../../../fixtures/backup_manifest-15");

fn entries() -> [FileEntry; 2] {
    let modified = "2026-11-21T10:22:27.9Z".parse().unwrap();
    [
        FileEntry {
            path: b"PG_VERSION".to_vec(),
            size: 3,
            modified,
            crc32c: crc32c::crc32c(b"15\n"),
        },
        FileEntry {
            path: b"base/1/\xe9".to_vec(),
            size: 0,
            modified,
            crc32c: crc32c::crc32c(b""),
        },
    ]
}

fn range() -> WalRange {
    let timeline = TimelineId::new(1);
    WalRange {
        timeline,
        start: Lsn::new(0x200_0028),
        end: Lsn::new(0x200_0100),
    }
}

fn render(version: u32, entries: &[FileEntry], wal_ranges: Vec<WalRange>) -> String {
    let (mut stream, mut text) = ManifestStream::begin(PgVersion::new(version), SystemId::new(77));
    for (index, entry) in entries.iter().enumerate() {
        let separator = if index == 0 {
            FIRST_SEPARATOR
        } else {
            SEPARATOR
        };
        let entry = format!("{separator}{}", render_entry(entry));
        stream.add(entry.as_bytes());
        text += &entry;
    }
    text + &stream.finish(&ManifestTrailer { wal_ranges })
}

/// A whole manifest: what is read, and the files that were shown.
#[derive(Debug)]
struct Parsed {
    files: Vec<ManifestFile>,
    manifest: Manifest,
}

fn parse(bytes: &[u8]) -> Result<Parsed, BadManifest> {
    let mut files = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let unchecked = read(&mut json, |file| files.push(file))?;
    json.end()?;
    let mut digest = ManifestDigest::default();
    digest.update(bytes);
    let manifest = unchecked.check(digest)?;
    assert_eq!(manifest.file_count, files.len());
    Ok(Parsed { files, manifest })
}

/// Replaces text in a manifest and gives it the right checksum again.
fn sealed(text: &str, from: &str, to: &str) -> Vec<u8> {
    assert!(text.contains(from), "{from}");
    let changed = text.replace(from, to);
    let body = changed.rfind("\"Manifest-Checksum\"").unwrap();
    let checksum = hex(&Sha256::digest(&changed[..body]));
    format!(
        "{}\"Manifest-Checksum\": \"{checksum}\"}}\n",
        &changed[..body]
    )
    .into_bytes()
}

#[test]
fn the_bytes_that_pg_verifybackup_accepted_are_still_written() {
    assert_eq!(
        render(150_018, &entries(), vec![range()]).as_bytes(),
        ACCEPTED
    );
}

#[test]
fn an_entry_is_written_as_postgresql_writes_it() {
    // From the manifest of pg_basebackup 17.10.
    let entry = FileEntry {
        path: "PG_VERSION".into(),
        size: 3,
        modified: "2026-11-21T10:22:29Z".parse().unwrap(),
        crc32c: crc32c::crc32c(b"17\n"),
    };
    assert_eq!(
        render_entry(&entry),
        "{ \"Path\": \"PG_VERSION\", \"Size\": 3, \"Last-Modified\": \"2026-11-21 10:22:29 GMT\", \
         \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"64440205\" }"
    );
}

#[test]
fn the_system_identifier_is_written_since_17() {
    // From the manifest of pg_basebackup 17.10.
    let header_17 = header(PgVersion::new(170_010), SystemId::new(7710568166486311336));
    assert_eq!(
        header_17,
        "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\
         \"System-Identifier\": 7710568166486311336,\n\"Files\": ["
    );
    assert!(!header(PgVersion::new(160_014), SystemId::new(7)).contains("System-Identifier"));
}

#[test]
fn what_is_written_is_read() {
    for (version, manifest_version, system_id) in [
        (130_023, 1, None),
        (160_014, 1, None),
        (170_010, 2, Some(77)),
        (180_006, 2, Some(77)),
    ] {
        let text = render(version, &entries(), vec![range(), range()]);
        let Parsed { files, manifest } = parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.version, manifest_version);
        assert_eq!(manifest.system_id, system_id.map(SystemId::new));
        assert_eq!(manifest.wal_ranges, [range(), range()]);
        assert_eq!(files[1].path, b"base/1/\xe9");
        assert_eq!(files[1].checksum, FileChecksum::Crc32c(0));
    }
}

#[test]
fn a_manifest_without_files_is_written_and_read() {
    let Parsed { files, manifest } = parse(render(170_010, &[], vec![]).as_bytes()).unwrap();
    assert_eq!((files, manifest.wal_ranges), (vec![], vec![]));
}

#[test]
fn other_checksums_are_read() {
    let text = render(150_018, &entries()[..1], vec![range()]);
    let checksum = "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"";
    let entry = format!(", {checksum}{}\"", hex(&entries()[0].crc32c.to_le_bytes()));
    let file = |bytes: &[u8]| parse(bytes).unwrap().files[0].checksum.clone();
    assert_eq!(file(&sealed(&text, &entry, "")), FileChecksum::None);
    for (algorithm, expected) in [
        ("SHA224", FileChecksum::Sha224(vec![0xAB; 28])),
        ("SHA256", FileChecksum::Sha256(vec![0xAB; 32])),
        ("SHA384", FileChecksum::Sha384(vec![0xAB; 48])),
        ("SHA512", FileChecksum::Sha512(vec![0xAB; 64])),
    ] {
        let length = algorithm[3..].parse::<usize>().unwrap() / 8;
        let digits = "aB".repeat(length);
        let other =
            format!(", \"Checksum-Algorithm\": \"{algorithm}\", \"Checksum\": \"{digits}\"");
        assert_eq!(file(&sealed(&text, &entry, &other)), expected);
        let short = other.replacen("aB", "", 1);
        assert!(matches!(
            parse(&sealed(&text, &entry, &short)),
            Err(BadManifest::File { .. })
        ));
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    for place in 0..ACCEPTED.len() {
        let mut damaged = ACCEPTED.to_vec();
        damaged[place] ^= 1;
        assert!(parse(&damaged).is_err(), "byte {place}");
    }
}

#[test]
fn a_manifest_cut_anywhere_is_refused() {
    for length in 0..ACCEPTED.len() {
        assert!(parse(&ACCEPTED[..length]).is_err(), "{length} bytes");
    }
    assert!(matches!(parse(b""), Err(BadManifest::Cut)));
}

#[test]
fn a_manifest_is_digested_in_pieces_of_any_size() {
    let mut digest = ManifestDigest::default();
    for byte in ACCEPTED {
        digest.update(&[*byte]);
    }
    let unchecked = read(&mut serde_json::Deserializer::from_slice(ACCEPTED), drop).unwrap();
    unchecked.check(digest).unwrap();
}

#[test]
fn a_manifest_with_a_wrong_value_is_refused() {
    let text = render(150_018, &entries(), vec![range()]);
    let refused = |from, to| parse(&sealed(&text, from, to)).unwrap_err().to_string();
    assert_eq!(
        refused("Version\": 1", "Version\": 3"),
        "backup manifest has the unknown version 3"
    );
    assert_eq!(
        refused("Version\": 1", "Version\": 2"),
        "backup manifest of version 2 has a system identifier too many or too few"
    );
    assert_eq!(
        refused("10:22:27 GMT", "10:22:27 CET"),
        "backup manifest, file 1: Last-Modified cannot be read"
    );
    assert_eq!(
        refused("626173652f312fe9", "626173652f312fe"),
        "backup manifest, file 2: Encoded-Path cannot be read"
    );
    assert_eq!(
        refused("0/2000028", "2000028"),
        "backup manifest, WAL range 1: not two LSNs"
    );
    assert!(refused("\"Size\": 3", "\"Size\": -3").contains("cannot be read"));
    assert!(refused("\"Size\": 3", "\"Size\": 3, \"Color\": 1").contains("unknown field"));
}

proptest! {
    #[test]
    fn any_path_round_trips(
        path: Vec<u8>, text: String, size: u64, seconds in 0..4_000_000_000i64,
    ) {
        let modified = Timestamp::from_second(seconds).unwrap();
        for path in [path, text.into_bytes()] {
            let entry = FileEntry { path, size, modified, crc32c: 0x1234_5678 };
            let rendered = render(180_000, std::slice::from_ref(&entry), vec![]);
            let file = parse(rendered.as_bytes()).unwrap().files.remove(0);
            prop_assert_eq!(file.path, entry.path);
            prop_assert_eq!((file.size, file.modified), (size, modified));
            prop_assert_eq!(file.checksum, FileChecksum::Crc32c(0x1234_5678));
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        let _ = parse(&bytes);
    }
}
