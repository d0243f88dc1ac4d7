//! Restoring archives that somebody else wrote, some of them with bad intentions.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use engine::codec::Encoder;
use engine::progress::Silent;
use engine::restore::{
    LinkPolicy, RestoreError, RestoreWorld, Restored, UnlistedPolicy, Verified, execute, plan,
};
use engine::stop::StopFlag;
use engine::store::Bucket;
use engine::tarball::write::{MemberHeader, TarWriter};
use model::backup::{BackupInfo, BackupStatus};
use model::codec::Codec;
use model::format::backup_manifest::{self, ManifestTrailer, WalRange};
use model::layout::Layout;
use model::postgres::{PgVersion, SystemId};
use model::restore::request::RestoreRequest;
use model::restore::space::SpacePolicy;
use model::wal::lsn::Lsn;
use model::wal::timeline::TimelineId;

use crate::stores::{Fault, bucket, repository};

pub const ID: &str = "20261121T081044";

pub fn header(path: &str, size_bytes: u64) -> MemberHeader<'_> {
    MemberHeader {
        path: path.as_bytes(),
        mode: 0o600,
        uid: 0,
        gid: 0,
        mtime: 1,
        size_bytes,
    }
}

pub fn add(tar: &mut TarWriter<Vec<u8>>, path: &str, content: &[u8]) {
    tar.begin_file(&header(path, content.len() as u64)).unwrap();
    tar.write_all(content).unwrap();
    tar.end_file().unwrap();
}

/// The first 8 KiB of a real control file: see crates/model/fixtures/README.md.
pub fn control() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/fixtures");
    let mut found = Vec::new();
    for entry in walk(&path) {
        if entry.to_string_lossy().contains("control") {
            found.push(entry);
        }
    }
    found.sort();
    std::fs::read(found.first().expect("a fixture of pg_control")).unwrap()
}

fn walk(path: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(walk(&path))
        } else {
            all.push(path)
        }
    }
    all
}

/// A raw member of another kind, such as a symbolic link.
pub fn special(path: &str, kind: u8, link: &str) -> Vec<u8> {
    let mut block = [0u8; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..108].copy_from_slice(b"0000777\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(b"00000000000\0");
    block[136..148].copy_from_slice(b"00000000000\0");
    block[148..156].fill(b' ');
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.to_vec()
}

pub struct Attempt {
    pub directory: tempfile::TempDir,
    pub outcome: Result<Restored, RestoreError>,
}

impl Attempt {
    pub fn has(&self, path: &str) -> bool {
        self.directory.path().join(path).symlink_metadata().is_ok()
    }
}

pub async fn restore(archive: Vec<u8>) -> Attempt {
    restore_as("data.tar", archive).await
}

async fn restore_as(file: &str, archive: Vec<u8>) -> Attempt {
    let (bucket, layout) = stored(file, archive).await;
    restore_from(bucket, layout).await
}

async fn stored(file: &str, archive: Vec<u8>) -> (Bucket, Layout) {
    let (bucket, _) = bucket(Fault::None);
    let layout = Layout::new("", "main").unwrap();
    let key = format!("{}/{file}", layout.base(&ID.parse().unwrap()));
    bucket.write(&key, archive.into()).await.unwrap();
    (bucket, layout)
}

pub async fn restore_from(bucket: Bucket, layout: Layout) -> Attempt {
    restore_recorded(&finished(), (bucket, layout)).await
}

pub async fn restore_recorded(info: &BackupInfo, (bucket, layout): (Bucket, Layout)) -> Attempt {
    let directory = tempfile::tempdir().unwrap();
    let (world, _keep) = world(bucket, layout);
    let request = request(directory.path());
    let outcome = match plan(&request, info, &world).await {
        Ok(plan) => execute(plan, &world).await,
        Err(error) => Err(error),
    };
    Attempt { directory, outcome }
}

/// What a restore works with, and the way to give it up.
pub fn world(bucket: Bucket, layout: Layout) -> (RestoreWorld, StopFlag) {
    let stop = StopFlag::default();
    let give_up = stop.clone();
    let world = RestoreWorld {
        repository: repository(&bucket, &layout),
        links: LinkPolicy::Refuse,
        unlisted: UnlistedPolicy::Refuse,
        progress: Arc::new(Silent),
        stages: Arc::default(),
        stop,
    };
    (world, give_up)
}

/// A restore of [`ID`] into a new directory below this one.
pub fn request(directory: &Path) -> RestoreRequest {
    RestoreRequest {
        backup: ID.parse().unwrap(),
        destination: directory.join("data"),
        tablespaces: vec![],
        jobs: NonZeroUsize::new(2).unwrap(),
        max_memory_bytes: None,
        space: SpacePolicy::Check,
    }
}

/// The record of a backup that is complete.
pub fn finished() -> BackupInfo {
    BackupInfo {
        status: BackupStatus::Done,
        ..BackupInfo::default()
    }
}

pub fn archive(extra: impl FnOnce(&mut TarWriter<Vec<u8>>)) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    tar.directory(&header(".", 0)).unwrap();
    add(&mut tar, "./PG_VERSION", b"15\n");
    extra(&mut tar);
    add(&mut tar, "global/pg_control", &control());
    add(&mut tar, "backup_label", b"START");
    tar.finish().unwrap()
}

/// An archive with a raw block in front of everything else.
pub fn archive_with(block: Vec<u8>) -> Vec<u8> {
    let mut bytes = block;
    bytes.extend(archive(|_| {}));
    bytes
}

#[tokio::test]
async fn a_sound_archive_is_restored_with_its_control_file() {
    let attempt = restore(archive(|_| {})).await;
    attempt.outcome.as_ref().unwrap();
    for path in [
        "data/PG_VERSION",
        "data/global/pg_control",
        "data/backup_label",
        "data/pg_wal",
    ] {
        assert!(attempt.has(path), "{path}");
    }
}

#[tokio::test]
async fn no_member_leaves_the_target_directory() {
    for path in [
        "../evil",
        "/tmp/barman-evil",
        "base/../../evil",
        "./../evil",
    ] {
        let attempt = restore(archive(|tar| add(tar, path, b"x"))).await;
        let error = attempt.outcome.as_ref().unwrap_err();
        let cause = std::error::Error::source(error)
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(cause.contains("refused"), "{path}: {error}: {cause}");
        assert!(!attempt.has("evil"), "{path}");
        assert!(!attempt.has("data/global/pg_control"), "{path}");
    }
    assert!(!Path::new("/tmp/barman-evil").exists());
}

/// The first may still be on its way to the disk when the second is met.
#[tokio::test]
async fn two_members_of_the_same_path_are_refused() {
    for size in [1, 3 << 20] {
        let attempt = restore(archive(|tar| {
            add(tar, "base/5/1", &vec![1; size]);
            add(tar, "./base//5/1", b"x");
        }))
        .await;
        let error = attempt.outcome.as_ref().unwrap_err();
        let cause = std::error::Error::source(error).map(ToString::to_string);
        let told = "./base//5/1 is refused: another member has the same path";
        assert!(cause.is_some_and(|cause| cause.contains(told)), "{error}");
        assert!(!attempt.has("data/global/pg_control"));
    }
}

#[tokio::test]
async fn links_and_devices_in_an_archive_are_refused() {
    for kind in [b'1', b'2', b'3', b'6'] {
        let attempt = restore(archive_with(special("base", kind, "/etc"))).await;
        assert!(attempt.outcome.is_err(), "{}", kind as char);
        assert!(!attempt.has("data/base"));
        assert!(!attempt.has("data/global/pg_control"));
    }
}

#[tokio::test]
async fn a_link_for_pg_wal_becomes_a_directory_of_its_own() {
    let attempt = restore(archive_with(special("./pg_wal", b'2', "/somewhere/else"))).await;
    attempt.outcome.as_ref().unwrap();
    let metadata = attempt
        .directory
        .path()
        .join("data/pg_wal")
        .symlink_metadata()
        .unwrap();
    assert!(metadata.is_dir());
}

#[tokio::test]
async fn a_manifest_of_another_backup_is_not_believed() {
    let other = backup_manifest::ManifestStream::begin(PgVersion::new(150_018), SystemId::new(1));
    let (stream, mut text) = other;
    let range = WalRange {
        timeline: TimelineId::new(1),
        start: Lsn::new(0x0200_0028),
        end: Lsn::new(0x0200_0100),
    };
    text += &stream.finish(&ManifestTrailer {
        wal_ranges: vec![range],
    });
    let attempt = restore(archive(|tar| add(tar, "backup_manifest", text.as_bytes()))).await;
    let restored = attempt.outcome.as_ref().unwrap();
    let begin = Some(Lsn::new(0x0200_0028));
    assert_eq!(restored.verified, Verified::ForeignManifest { begin });
    assert!(!attempt.has("data/backup_manifest"));
}

const LABEL: &str = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n\
                     CHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\n\
                     BACKUP FROM: primary\nSTART TIME: 2026-11-21 08:21:28 UTC\nLABEL: x\n\
                     START TIMELINE: 1\n";

/// A backup that begins at 0/2000028, with a manifest that lists a file of other content.
fn damaged_with_manifest() -> Vec<u8> {
    let begun = backup_manifest::ManifestStream::begin(PgVersion::new(150_018), SystemId::new(1));
    let (mut stream, mut text) = begun;
    let entry = backup_manifest::FileEntry {
        path: b"base/1".to_vec(),
        size: 5,
        modified: jiff::Timestamp::UNIX_EPOCH,
        crc32c: 1,
    };
    let entry = backup_manifest::render_entry(&entry);
    let entry = format!("{}{entry}", backup_manifest::FIRST_SEPARATOR);
    stream.add(entry.as_bytes());
    text += &entry;
    text += &stream.finish(&ManifestTrailer {
        wal_ranges: vec![WalRange {
            timeline: TimelineId::new(1),
            start: Lsn::new(0x0200_0028),
            end: Lsn::new(0x0200_0100),
        }],
    });
    let mut tar = TarWriter::new(Vec::new());
    add(&mut tar, "PG_VERSION", b"15\n");
    add(&mut tar, "base/1", b"other");
    add(&mut tar, "global/pg_control", &control());
    add(&mut tar, "backup_manifest", text.as_bytes());
    add(&mut tar, "backup_label", LABEL.as_bytes());
    tar.finish().unwrap()
}

#[tokio::test]
async fn a_wrong_begin_in_the_record_does_not_switch_the_comparison_off() {
    let info = BackupInfo {
        begin_xlog: Some(Lsn::new(0x0900_0028)),
        backup_label: Some(LABEL.to_owned()),
        ..finished()
    };
    let place = stored("data.tar", damaged_with_manifest()).await;
    let attempt = restore_recorded(&info, place).await;
    let error = attempt.outcome.as_ref().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("files differ from the backup manifest"),
        "{error}"
    );
    assert!(!attempt.has("data/global/pg_control"));
}

#[tokio::test]
async fn archives_of_another_backup_than_the_recorded_one_are_refused() {
    let info = BackupInfo {
        begin_xlog: Some(Lsn::new(0x0900_0028)),
        ..finished()
    };
    let place = stored("data.tar", damaged_with_manifest()).await;
    let attempt = restore_recorded(&info, place).await;
    let error = attempt.outcome.as_ref().unwrap_err();
    let told = "another backup: their backup_label begins at 0/2000028, the record at 0/9000028";
    assert!(error.to_string().contains(told), "{error}");
    assert!(!attempt.has("data/global/pg_control"));
}

/// gzip checks its content only at the end of its stream, behind tar's end mark.
#[tokio::test]
async fn a_flipped_bit_in_a_compressed_archive_is_noticed_without_a_manifest() {
    let mut encoder = Encoder::create(Codec::Gzip, Some(0), Vec::new()).unwrap();
    encoder
        .write_all(&archive(|tar| add(tar, "base/1", &[3; 50_000])))
        .unwrap();
    let mut bytes = encoder.finish().unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let attempt = restore_as("data.tar.gz", bytes).await;
    assert!(matches!(attempt.outcome, Err(RestoreError::Extract { .. })));
    assert!(!attempt.has("data/global/pg_control"));
}

#[tokio::test]
async fn an_archive_that_ends_early_is_never_startable() {
    let whole = archive(|tar| add(tar, "base/1", &[3; 5000]));
    for length in (512..whole.len() - 512).step_by(700) {
        let attempt = restore(whole[..length].to_vec()).await;
        assert!(attempt.outcome.is_err(), "cut at {length}");
        assert!(!attempt.has("data/global/pg_control"), "cut at {length}");
    }
}

#[tokio::test]
async fn a_backup_without_control_file_is_refused() {
    let mut tar = TarWriter::new(Vec::new());
    add(&mut tar, "PG_VERSION", b"15\n");
    let attempt = restore(tar.finish().unwrap()).await;
    assert!(matches!(attempt.outcome, Err(RestoreError::Control(_))));
}

#[tokio::test]
async fn a_backup_without_archives_is_refused_before_anything_is_made() {
    let (bucket, _) = bucket(Fault::None);
    let attempt = restore_from(bucket, Layout::new("", "main").unwrap()).await;
    assert!(matches!(attempt.outcome, Err(RestoreError::Cannot(_))));
    assert!(!attempt.has("data"));
}
