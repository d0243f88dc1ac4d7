//! What starting costs. Times are not tested; the mechanisms that keep them at some milliseconds
//! are.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use tempfile::TempDir;

use super::{NAMES, Said, start_with};

/// A file that tells whether anybody opened it.
struct Watched {
    folder: TempDir,
    opened: Arc<AtomicBool>,
}

impl Watched {
    fn new() -> Watched {
        let folder = TempDir::new().expect("a temporary directory");
        let path = folder.path().join("authorities");
        mknodat(CWD, &path, FileType::Fifo, Mode::from(0o600), 0).expect("a new pipe");
        let opened = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&opened);
        std::thread::spawn(move || {
            // Waits for a reader, who gets an empty file.
            let fifo = OpenOptions::new()
                .write(true)
                .open(path)
                .expect("somebody reads");
            seen.store(true, Ordering::SeqCst);
            drop(fifo);
        });
        Watched { folder, opened }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("authorities")
    }

    fn was_opened(self) -> bool {
        let opened = self.opened.load(Ordering::SeqCst);
        let flags = OFlags::NONBLOCK.bits() as i32;
        // Lets the thread go.
        let _ = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(self.path());
        opened
    }
}

/// What a program says that finds these certificates, and whether it read them.
fn with_certificates(name: &str, words: &str) -> (Said, bool) {
    let watched = Watched::new();
    let path = watched.path();
    let path = path.to_str().expect("plain words");
    let nothing = watched.folder.path().join("nothing");
    fs::create_dir(&nothing).expect("a new folder");
    let variables = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("SSL_CERT_FILE", path),
        ("SSL_CERT_DIR", nothing.to_str().expect("plain words")),
        ("REQUESTS_CA_BUNDLE", ""),
    ];
    let said = start_with(name, words, &variables);
    (said, watched.was_opened())
}

#[test]
fn versions_helps_and_refusals_read_no_certificates() {
    for name in NAMES {
        for words in ["--version", "--help", "--no-such-option"] {
            let (_, opened) = with_certificates(name, words);
            assert!(!opened, "{name} {words}");
        }
    }
}

#[test]
fn plain_http_reads_no_certificates() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Until the program of the test ends: an empty catalogue is looked around in, too.
    std::thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let _ = client.read(&mut [0; 4096]).unwrap();
            let body = "<ListBucketResult></ListBucketResult>";
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
            write!(client, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    let words = format!("--endpoint-url http://127.0.0.1:{port} s3://bucket/path main");
    let (said, opened) = with_certificates("barman-cloud-backup-list", &words);
    assert_eq!(said.status, 0, "{}", said.whole());
    assert!(!opened);
}

#[test]
fn tls_reads_them() {
    // Nobody need listen there, for the client comes first: that the two tests above see nothing
    // is not for want of looking.
    let words = "--endpoint-url https://127.0.0.1:9 s3://bucket/path main";
    let (said, opened) = with_certificates("barman-cloud-backup-list", words);
    assert!(opened);
    // Nor does an empty file leave the user without a word about it.
    assert_eq!(said.status, 4, "{}", said.whole());
    assert!(said.stderr.contains("ca-certificates"), "{}", said.whole());
}

#[test]
fn random_numbers_cost_no_time_to_collect() {
    // The names of the collector's functions (jitterentropy) stay in a program that has them, as
    // the tests' has. See .cargo/config.toml.
    let program = fs::read(env!("CARGO_BIN_EXE_barman")).unwrap();
    let has = |name: &[u8]| program.windows(name.len()).any(|part| part == name);
    assert!(!has(b"jent_entropy_collector"));
}
