//! Files that change, vanish or are odd while they are archived.
//!
//! A finished backup on disk is sent, as in `jobs`: it takes the same way as a running server's.

use std::fs::{self, File};
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use engine::backup::{BackupWorld, Rules, send_taken};
use engine::progress::{Event, Progress};
use engine::stop::StopFlag;
use engine::store::TagSet;
use engine::tarball::read::{Member, MemberKind, TarReader};
use model::codec::Codec;
use model::layout::Layout;

use crate::jobs::taken;
use crate::stores::{Fault, bucket, repository};

/// Keeps warnings, and calls something at each step forward.
struct Watcher {
    warnings: Mutex<Vec<String>>,
    at_advance: Box<dyn Fn(u64) + Send + Sync>,
}

impl Progress for Watcher {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Warning(warning) => self.warnings.lock().unwrap().push(format!("{warning:?}")),
            Event::Advance { bytes } => (self.at_advance)(bytes),
            _ => {}
        }
    }
}

struct Archived {
    members: Vec<(Member, Vec<u8>)>,
    warnings: Vec<String>,
}

impl Archived {
    fn find(&self, path: &[u8]) -> Option<&(Member, Vec<u8>)> {
        self.members.iter().find(|(member, _)| member.path == path)
    }

    fn content(&self, path: &str) -> &[u8] {
        let found = self.find(path.as_bytes());
        &found.unwrap_or_else(|| panic!("{path} is not archived")).1
    }
}

/// Archives a small data directory that `prepare` has added to.
async fn archive(prepare: impl FnOnce(&Path)) -> Archived {
    archive_and(prepare, |_, _| {}).await
}

/// The same; `change` is called whenever some bytes are archived, with their number.
async fn archive_and(
    prepare: impl FnOnce(&Path),
    change: impl Fn(&Path, u64) + Send + Sync + 'static,
) -> Archived {
    let directory = tempfile::tempdir().unwrap();
    let taken = taken(directory.path());
    let data = directory.path().join("data");
    prepare(&data);
    let (bucket, store) = bucket(Fault::None);
    let watcher = Arc::new(Watcher {
        warnings: Mutex::default(),
        at_advance: Box::new(move |bytes| change(&data, bytes)),
    });
    let world = BackupWorld {
        repository: repository(&bucket, &Layout::new("", "main").unwrap()),
        tags: TagSet::default(),
        progress: Arc::clone(&watcher) as Arc<dyn Progress>,
        stages: Arc::default(),
        stop: StopFlag::default(),
    };
    let rules = Rules {
        jobs: NonZeroUsize::MIN,
        max_archive_bytes: 1 << 40,
        max_memory_bytes: None,
    };
    send_taken(&taken, Codec::None, &rules, &world)
        .await
        .unwrap();
    let mut members = Vec::new();
    for key in store.keys().await {
        if key.ends_with(".tar") {
            members.extend(read(&bucket.read(&key).await.unwrap()));
        }
    }
    let warnings = watcher.warnings.lock().unwrap().clone();
    Archived { members, warnings }
}

fn read(tar: &[u8]) -> Vec<(Member, Vec<u8>)> {
    let mut reader = TarReader::new(tar);
    let mut members = Vec::new();
    while let Some(member) = reader.next_member().unwrap() {
        let mut content = Vec::new();
        if member.kind == MemberKind::File {
            reader.read_to_end(&mut content).unwrap();
        }
        members.push((member, content));
    }
    members
}

#[tokio::test(flavor = "multi_thread")]
async fn times_before_1970_and_far_ahead_are_brought_into_the_range_of_headers() {
    let seconds = Duration::from_secs;
    let times = [
        (SystemTime::UNIX_EPOCH - seconds(1_000_000_000), 0),
        (
            SystemTime::UNIX_EPOCH + seconds(1_700_000_000),
            1_700_000_000,
        ),
        // The year 10000; what the file system keeps of it may be less.
        (
            SystemTime::UNIX_EPOCH + seconds(253_402_300_800),
            0o777_7777_7777,
        ),
    ];
    for (time, expected) in times {
        let archived = archive(|data| {
            for path in ["odd", "base/5/1"] {
                let file = File::options()
                    .append(true)
                    .create(true)
                    .open(data.join(path));
                file.unwrap().set_modified(time).unwrap();
            }
        })
        .await;
        for path in ["./odd", "base/5/1"] {
            let (member, _) = archived.find(path.as_bytes()).unwrap();
            assert!(member.mtime <= expected, "{path}: {}", member.mtime);
            assert!(
                expected > 1_700_000_000 || member.mtime == expected,
                "{path}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_that_yields_less_than_it_says_is_archived_as_what_was_read() {
    // Of a page, says its metadata; it has a few bytes.
    let source = "/sys/kernel/mm/transparent_hugepage/enabled";
    let expected = fs::read(source).unwrap();
    let archived = archive(|data| symlink(source, data.join("shrinking")).unwrap()).await;
    assert_eq!(archived.content("./shrinking"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_that_shrinks_is_told_unless_it_is_a_relation() {
    const SIZE: usize = 1 << 20;
    for (path, is_told) in [("0large", true), ("base/4/1", false)] {
        let archived = archive_and(
            |data| {
                fs::create_dir_all(data.join("base/4")).unwrap();
                fs::write(data.join(path), vec![7; SIZE]).unwrap();
            },
            move |data, bytes| {
                // Its first block: it comes before all other large ones.
                if bytes < 100_000 {
                    return;
                }
                let file = File::options().write(true).open(data.join(path)).unwrap();
                file.set_len(1000).unwrap();
            },
        )
        .await;
        let shown = if is_told { "./0large" } else { path };
        let content = archived.content(shown);
        assert_eq!(content.len(), SIZE, "{path}");
        assert_eq!(content.last(), Some(&0), "{path}");
        let told: Vec<_> = archived
            .warnings
            .iter()
            .filter(|text| text.contains(path))
            .collect();
        assert_eq!(told.len(), usize::from(is_told), "{:?}", archived.warnings);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_just_being_written_anew_is_waited_for() {
    let archived = archive_and(
        |data| {
            fs::write(data.join("a"), "first").unwrap();
            for name in ["emptied", "replaced"] {
                fs::write(data.join(name), "old").unwrap();
            }
        },
        |data, _| {
            if fs::read(data.join("emptied")).is_ok_and(|content| content == b"old") {
                File::create(data.join("emptied")).unwrap();
                fs::remove_file(data.join("replaced")).unwrap();
                let data = data.to_path_buf();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(50));
                    for name in ["emptied", "replaced"] {
                        fs::write(data.join(".new"), "new").unwrap();
                        fs::rename(data.join(".new"), data.join(name)).unwrap();
                    }
                });
            }
        },
    )
    .await;
    assert_eq!(archived.content("./emptied"), b"new");
    assert_eq!(archived.content("./replaced"), b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_any_bytes_and_lengths_are_archived() {
    let deep = ["d".repeat(200), "e".repeat(200), "f".repeat(255)].join("/");
    let names: [&[u8]; 4] = [
        b"line\nbreak",
        b"\xff\xfe",
        b"base/5/\xc3\x28",
        deep.as_bytes(),
    ];
    let archived = archive(|data| {
        for name in names {
            let path = data.join(std::ffi::OsStr::from_bytes(name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
    })
    .await;
    for name in names {
        let dotted = [b"./", name].concat();
        let found = archived.find(name).or_else(|| archived.find(&dotted));
        assert_eq!(found.unwrap().1, name);
    }
    assert_eq!(archived.warnings, [""; 0]);
}
