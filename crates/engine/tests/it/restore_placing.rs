//! Where a restore puts what is in archives, and whose it is then.

use std::sync::Arc;

use engine::restore::{LinkPolicy, RestoreError, RestoreWorld, Verified, execute, plan};
use engine::tarball::write::TarWriter;
use jiff::Timestamp;
use model::backup::BackupInfo;
use model::format::backup_manifest::{self, FileEntry, ManifestTrailer, WalRange};
use model::layout::Layout;
use model::postgres::{PgVersion, SystemId};
use model::wal::lsn::Lsn;
use model::wal::timeline::TimelineId;

use crate::restore::{
    ID, add, archive, archive_with, control, finished, request, restore, restore_from, special,
    world,
};
use crate::stores::{Fault, bucket};

/// A raw header with owner numbers and names, as another host wrote it.
fn owned(path: &str, (uid, gid): (u64, u64), (user, group): (&str, &str)) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(path).unwrap();
    header.set_mode(0o4755);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_username(user).unwrap();
    header.set_groupname(group).unwrap();
    header.set_mtime(1);
    header.set_size(0);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[tokio::test]
async fn owners_are_known_by_name_and_their_numbers_are_never_cut_short() {
    use std::os::unix::fs::MetadataExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut blocks = owned("named", (4242, 4243), ("nobody", "root"));
    blocks.extend(owned(
        "strange",
        (4242, 4243),
        ("no such account", "nor group"),
    ));
    blocks.extend(owned("deep/er/file", (4242, 4243), ("", "")));
    let attempt = restore(archive_with(blocks)).await;
    attempt.outcome.as_ref().unwrap();
    let looks = |path: &str| {
        let metadata = attempt.directory.path().join("data").join(path).metadata();
        let metadata = metadata.unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    assert_eq!(looks("named"), (65534, 0, 0o755));
    assert_eq!(looks("strange"), (4242, 4243, 0o755));
    assert_eq!(looks("deep"), (4242, 4243, 0o700));
    assert_eq!(looks("deep/er"), (4242, 4243, 0o700));
    // 2^32 would be root.
    for uid in [1 << 32, u64::from(u32::MAX)] {
        let attempt = restore(archive_with(owned("f", (uid, 0), ("", "")))).await;
        assert!(attempt.outcome.is_err(), "{uid}");
        assert!(!attempt.has("data/f"));
    }
}

#[tokio::test]
async fn a_hard_link_becomes_a_file_with_the_content_of_the_first() {
    for size in [5, 3 << 20] {
        let content = vec![7; size];
        let mut tar = TarWriter::new(Vec::new());
        add(&mut tar, "base/first", &content);
        let mut bytes = tar.into_inner();
        bytes.extend(special("base/second", b'1', "./base/first"));
        bytes.extend(special("third", b'1', "base/second"));
        bytes.extend(special("control", b'1', "global/pg_control"));
        let attempt = restore(archive_with(bytes)).await;
        attempt.outcome.as_ref().unwrap();
        let read = |path: &str| std::fs::read(attempt.directory.path().join("data").join(path));
        for path in ["base/first", "base/second", "third"] {
            assert!(read(path).unwrap() == content, "{path}");
        }
        assert!(read("control").unwrap() == control());
    }
}

#[tokio::test]
async fn a_hard_link_to_what_is_not_below_the_directory_is_refused() {
    for (first, cause) in [
        ("../../etc/passwd", "leads out"),
        ("/etc/passwd", "leads out"),
        ("nothing", "not in the archive"),
        ("base", "not in the archive"),
        ("second", "not in the archive"),
    ] {
        let mut tar = TarWriter::new(Vec::new());
        add(&mut tar, "base/file", b"x");
        let mut bytes = tar.into_inner();
        bytes.extend(special("second", b'1', first));
        let attempt = restore(archive_with(bytes)).await;
        let error = attempt.outcome.as_ref().unwrap_err();
        let told = std::error::Error::source(error).unwrap().to_string();
        assert!(told.contains(cause), "{first}: {told}");
        assert!(!attempt.has("data/second") && !attempt.has("data/global/pg_control"));
    }
}

#[tokio::test]
async fn what_leads_postgresql_to_other_places_is_not_restored() {
    let attempt = restore(archive(|tar| add(tar, "tablespace_map", b"16384 /etc\n"))).await;
    attempt.outcome.as_ref().unwrap();
    assert!(!attempt.has("data/tablespace_map"));
}

#[tokio::test]
async fn a_second_control_file_is_refused() {
    let attempt = restore(archive(|tar| add(tar, "./global//pg_control", &control()))).await;
    assert!(attempt.outcome.is_err());
    assert!(!attempt.has("data/global/pg_control"));
    let (bucket, _) = bucket(Fault::None);
    let layout = Layout::new("", "main").unwrap();
    for file in ["data.tar", "data_0001.tar"] {
        let mut tar = TarWriter::new(Vec::new());
        add(&mut tar, "global/pg_control", &control());
        let key = format!("{}/{file}", layout.base(&ID.parse().unwrap()));
        bucket
            .write(&key, tar.finish().unwrap().into())
            .await
            .unwrap();
    }
    let attempt = restore_from(bucket, layout).await;
    assert!(matches!(attempt.outcome, Err(RestoreError::Control(_))));
}

/// A manifest of a backup that begins at 0/2000028, with these files.
fn manifest_with(listed: &[(&str, &[u8])]) -> String {
    let (mut stream, mut text) =
        backup_manifest::ManifestStream::begin(PgVersion::new(150_018), SystemId::new(1));
    let lines: Vec<_> = listed
        .iter()
        .map(|(path, content)| {
            backup_manifest::render_entry(&FileEntry {
                path: path.as_bytes().to_vec(),
                size: content.len() as u64,
                modified: Timestamp::UNIX_EPOCH,
                crc32c: crc32c::crc32c(content),
            })
        })
        .collect();
    let entries =
        backup_manifest::FIRST_SEPARATOR.to_owned() + &lines.join(backup_manifest::SEPARATOR);
    stream.add(entries.as_bytes());
    text += &entries;
    let range = WalRange {
        timeline: TimelineId::new(1),
        start: Lsn::new(0x0200_0028),
        end: Lsn::new(0x0200_0100),
    };
    text + &stream.finish(&ManifestTrailer {
        wal_ranges: vec![range],
    })
}

#[tokio::test]
async fn what_a_manifest_never_lists_is_not_missed_in_it() {
    let control = control();
    let listed: [(&str, &[u8]); 3] = [
        ("PG_VERSION", b"15\n"),
        ("global/pg_control", &control),
        ("backup_label", b"START"),
    ];
    let text = manifest_with(&listed);
    let outcome = |extra: &'static str| {
        let text = text.clone();
        async move {
            let whole = archive(|tar| {
                add(tar, "backup_manifest", text.as_bytes());
                add(tar, extra, b"x");
            });
            let (bucket, _) = bucket(Fault::None);
            let layout = Layout::new("", "main").unwrap();
            let key = format!("{}/data.tar", layout.base(&ID.parse().unwrap()));
            bucket.write(&key, whole.into()).await.unwrap();
            let directory = tempfile::tempdir().unwrap();
            let (world, _keep) = world(bucket, layout);
            let info = BackupInfo {
                begin_xlog: Some(Lsn::new(0x0200_0028)),
                ..finished()
            };
            let plan = plan(&request(directory.path()), &info, &world)
                .await
                .unwrap();
            execute(plan, &world).await
        }
    };
    for extra in [
        "postgresql.auto.conf",
        "standby.signal",
        "pg_wal/x",
        "tablespace_map",
    ] {
        let restored = outcome(extra).await.unwrap();
        assert_eq!(
            restored.verified,
            Verified::EveryFile { count: 3 },
            "{extra}"
        );
    }
    let refused = outcome("base/extra").await.unwrap_err();
    assert!(refused.to_string().contains("base/extra"), "{refused}");
}

/// Keeps what a restore warns of.
#[derive(Default)]
struct Warnings(std::sync::Mutex<Vec<String>>);

impl engine::progress::Progress for Warnings {
    fn event(&self, event: engine::progress::Event<'_>) {
        if let engine::progress::Event::Warning(warning) = event {
            self.0.lock().unwrap().push(format!("{warning:?}"));
        }
    }
}

#[tokio::test]
async fn each_link_that_is_left_out_is_named() {
    let mut blocks = special("postgresql.conf", b'2', "/etc/postgresql.conf");
    blocks.extend(special("base/out", b'1', "../../etc/passwd"));
    blocks.extend(special("base/gone", b'1', "nothing"));
    blocks.extend(special("pg_tblspc/16999", b'2', "/srv/new"));
    let (bucket, _) = bucket(Fault::None);
    let layout = Layout::new("", "main").unwrap();
    let key = format!("{}/data.tar", layout.base(&ID.parse().unwrap()));
    bucket
        .write(&key, archive_with(blocks).into())
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (world, _keep) = world(bucket, layout);
    let warnings = Arc::new(Warnings::default());
    let world = RestoreWorld {
        links: LinkPolicy::Skip,
        progress: warnings.clone(),
        ..world
    };
    let plan = plan(&request(directory.path()), &finished(), &world).await;
    execute(plan.unwrap(), &world).await.unwrap();
    let told = warnings.0.lock().unwrap();
    for (path, cause) in [
        (
            "data/postgresql.conf",
            "Link { to: \"/etc/postgresql.conf\" }",
        ),
        ("data/base/out", "LeadsOut"),
        ("data/base/gone", "LinkToNothing { to: \"nothing\" }"),
        ("data/pg_tblspc/16999", "record does not have"),
    ] {
        assert!(
            directory.path().join(path).symlink_metadata().is_err(),
            "{path}"
        );
        let is_named = told
            .iter()
            .any(|text| text.contains(path) && text.contains(cause));
        assert!(is_named, "{path}: {told:?}");
    }
    assert_eq!(told.len(), 4, "{told:?}");
}
