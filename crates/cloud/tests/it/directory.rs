//! `file://`: the conformance checks, and what only a directory does.

use std::fs;
use std::path::Path as FilePath;
use std::process::Command;

use cloud::{
    Environment, ErrorKind, Location, OpenError, Provider, StoreOptions, check_connectivity,
    diagnose, open,
};
use engine::store::Bucket;
use object_store::ObjectStoreExt;
use object_store::path::Path;

async fn try_open(path: &FilePath) -> Result<Bucket, OpenError> {
    let url = format!("file://{}", path.display());
    let location = Location::parse(&url, Provider::AwsS3).unwrap();
    open(&location, &StoreOptions::default(), &Environment::default()).await
}

fn names(directory: &FilePath) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_behaves_as_a_bucket() {
    let root = tempfile::tempdir().unwrap();
    let bucket = try_open(root.path()).await.unwrap();
    check_connectivity(&bucket).await.unwrap();
    super::conformance::check_bucket(&bucket, "conformance").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_the_name_of_its_file() {
    let root = tempfile::tempdir().unwrap();
    let bucket = try_open(root.path()).await.unwrap();
    for name in ["main/wals/größe 50%20+a", "main/x#y"] {
        bucket
            .objects
            .put(&Path::parse(name).unwrap(), name.into())
            .await
            .unwrap();
        assert_eq!(fs::read_to_string(root.path().join(name)).unwrap(), name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_directory_is_a_missing_bucket() {
    let root = tempfile::tempdir().unwrap();
    let error = try_open(&root.path().join("absent")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::MissingBucket);
    assert!(error.hint().unwrap().contains("mkdir -p"));
    assert!(error.to_string().contains("absent"), "{error}");
    fs::write(root.path().join("file"), "").unwrap();
    let error = try_open(&root.path().join("file")).await.err().unwrap();
    assert!(error.to_string().contains("not a directory"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_vanishes_is_not_an_empty_bucket() {
    let root = tempfile::tempdir().unwrap();
    let bucket = try_open(root.path()).await.unwrap();
    drop(root);
    let error = check_connectivity(&bucket).await.unwrap_err();
    assert_eq!(error.diagnosis.kind, ErrorKind::MissingBucket, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_go_with_their_last_object_and_the_root_stays() {
    let root = tempfile::tempdir().unwrap();
    let bucket = try_open(root.path()).await.unwrap();
    let key = Path::parse("main/base/x/data.tar").unwrap();
    bucket.objects.put(&key, "x".into()).await.unwrap();
    bucket.objects.delete(&key).await.unwrap();
    assert!(root.path().is_dir() && names(root.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_below_an_object_is_refused_with_the_files_name() {
    let root = tempfile::tempdir().unwrap();
    let bucket = try_open(root.path()).await.unwrap();
    bucket
        .objects
        .put(&Path::parse("main/a").unwrap(), "x".into())
        .await
        .unwrap();
    let below = Path::parse("main/a/b").unwrap();
    let error = bucket.objects.put(&below, "x".into()).await.unwrap_err();
    assert!(error.to_string().contains("main/a/b"), "{error}");
}

/// A limit on file size stands for a full disk: both make a write fail in the middle.
#[test]
fn a_write_that_fails_names_the_file_and_leaves_nothing_visible() {
    let test = "directory::write_past_the_limit";
    let output = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 2048; exec "$@""#, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test above, under a limit of 1 MiB for a file"]
async fn write_past_the_limit() {
    let root = tempfile::tempdir().unwrap();
    let bucket = try_open(root.path()).await.unwrap();
    let key = Path::parse("main/base/data.tar").unwrap();
    let content = vec![7u8; 3 << 20];
    let error = bucket
        .objects
        .put(&key, content.clone().into())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("main/base/data.tar"), "{error}");
    let mut upload = bucket.objects.put_multipart(&key).await.unwrap();
    let error = upload.put_part(content.into()).await.unwrap_err();
    assert!(error.to_string().contains("main/base/data.tar"), "{error}");
    assert!(diagnose(&error).cause.contains("File too large"), "{error}");
    upload.abort().await.unwrap();
    assert!(names(&root.path().join("main/base")).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_who_replace_one_file_one_does_and_what_is_gone_stays_gone() {
    let root = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let key = format!("main/base/{round}/backup.info");
        let bucket = try_open(root.path()).await.unwrap();
        bucket.write(&key, "first".into()).await.unwrap();
        let (_, version) = bucket.read_version(&key).await.unwrap();
        let rivals = (0..4).map(|rival| {
            let (bucket, key, version) = (bucket.clone(), key.clone(), version.clone());
            tokio::spawn(async move {
                let text = format!("by rival {rival}");
                bucket.replace(&key, version, text.into()).await.unwrap()
            })
        });
        let rivals: Vec<_> = rivals.collect();
        let deletion = (round % 2 == 0).then(|| {
            let (bucket, key) = (bucket.clone(), key.clone());
            tokio::spawn(async move { bucket.delete(&key).await.unwrap() })
        });
        let mut winners = 0;
        for rival in rivals {
            winners += usize::from(rival.await.unwrap());
        }
        match deletion {
            Some(deletion) => {
                deletion.await.unwrap();
                assert!(winners <= 1, "round {round}: {winners}");
                assert!(!bucket.exists(&key).await.unwrap(), "round {round}");
            }
            None => assert_eq!(winners, 1, "round {round}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_regular_file_is_listed_and_refused_and_never_taken_for_absent() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    std::os::unix::fs::symlink("nowhere", place("dangling")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(place("pipe"))
        .status();
    assert!(made.unwrap().success());
    let bucket = try_open(directory.path()).await.unwrap();
    for name in ["dangling", "pipe"] {
        let listed = bucket.list(name).await.unwrap();
        assert_eq!(listed.len(), 1, "{name}");
        bucket.read(name).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_neither_absent_nor_replaced() {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().unwrap();
    let bucket = try_open(root.path()).await.unwrap();
    bucket.write("main/wals/x", "kept".into()).await.unwrap();
    let at = |name: &str| root.path().join("main/wals").join(name);
    symlink("/nowhere", at("dangling")).unwrap();
    symlink("x", at("link")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    let made = Command::new("mkfifo").arg(at("fifo")).status().unwrap();
    assert!(made.success());
    for name in ["dangling", "directory", "fifo"] {
        let key = format!("main/wals/{name}");
        // Opening a fifo would wait for a writer for ever.
        let error = bucket.read(&key).await.unwrap_err();
        assert!(!error.is_not_found(), "{name}");
        bucket.exists(&key).await.unwrap_err();
    }
    assert_eq!(bucket.read("main/wals/link").await.unwrap(), "kept");
    for name in ["dangling", "link", "directory", "fifo"] {
        let key = format!("main/wals/{name}");
        let before = fs::symlink_metadata(at(name)).unwrap().file_type();
        bucket.write(&key, "new".into()).await.unwrap_err();
        let created = bucket.create(&key, "new".into(), &Default::default()).await;
        created.unwrap_err();
        assert_eq!(fs::symlink_metadata(at(name)).unwrap().file_type(), before);
    }
    assert_eq!(fs::read(at("x")).unwrap(), b"kept");
    assert!(!bucket.exists("main/wals/absent").await.unwrap());
}

#[test]
fn others_get_nothing_and_the_group_what_a_closed_directory_gives_it() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let location = Location::parse(
        &format!("file://{}", root.path().display()),
        Provider::AwsS3,
    );
    let location = location.unwrap();
    let table = [
        (0o700, 0o077),
        (0o755, 0o077),
        (0o775, 0o077),
        (0o1777, 0o077),
        (0o750, 0o027),
        (0o2770, 0o007),
        (0o710, 0o067),
    ];
    for (mode, umask) in table {
        fs::set_permissions(root.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(cloud::private_umask(&location), Some(umask), "{mode:o}");
    }
    let s3 = Location::parse("s3://bucket", Provider::AwsS3).unwrap();
    assert_eq!(cloud::private_umask(&s3), None);
}
