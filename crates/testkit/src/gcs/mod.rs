//! An emulator of Google Cloud Storage, ours, for no other has multipart uploads over the XML API,
//! which both Barman and we use. It is checked with Google's own Python client.
//!
//! One server serves a whole test process; each test makes a bucket of its own. What is in a bucket
//! is looked at through Google's client, not through our code.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::barman_peer::Peer;
use crate::postgres::free_port;
use crate::process::{Service, ServiceFiles};
use crate::scratch::{Scratch, keep_files};
use crate::store_client::StoreClient;

const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running emulator.
#[derive(Debug)]
pub struct GcsEmulator {
    port: u16,
    client: OnceLock<StoreClient>,
    service: Service,
}

impl GcsEmulator {
    /// The emulator that this test process shares; the first call starts it.
    pub fn shared() -> &'static GcsEmulator {
        static SERVER: OnceLock<GcsEmulator> = OnceLock::new();
        SERVER.get_or_init(GcsEmulator::start)
    }

    /// Host and port: what a proxy forwards to.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A new empty bucket.
    pub fn bucket(&'static self) -> GcsBucket {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let bucket = self.bucket_named(&format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        bucket.ask(&["create"]);
        bucket
    }

    /// A bucket that may not be there.
    pub fn bucket_named(&'static self, name: &str) -> GcsBucket {
        GcsBucket {
            name: name.to_owned(),
            server: self,
        }
    }

    fn start() -> GcsEmulator {
        let scratch = Scratch::new("gcs");
        // The value lives in a static, which is never dropped: the guard removes the folder.
        let folder = scratch.into_path();
        let port = free_port();
        let server = Peer::python()
            .args(["-c", include_str!("emulator.py"), &port.to_string()])
            .arg(folder.join("objects"))
            .current_dir(&folder);
        let files = ServiceFiles {
            log: folder.join("log"),
            removed_at_end: (!keep_files()).then(|| folder.clone()),
        };
        let service = Service::start(&server, "KILL", files);
        let up = service.wait_until(START_DEADLINE, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        up.unwrap_or_else(|log| panic!("the emulator of Google Cloud Storage: {log}"));
        GcsEmulator {
            port,
            client: OnceLock::new(),
            service,
        }
    }

    /// What it has printed: nothing, unless it is broken.
    pub fn log(&self) -> String {
        self.service.log()
    }
}

/// A bucket of one test.
#[derive(Debug, Clone)]
pub struct GcsBucket {
    name: String,
    server: &'static GcsEmulator,
}

impl GcsBucket {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The environment of a client that is to reach it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let host = format!("http://{}", self.server.address());
        let pairs = [
            ("STORAGE_EMULATOR_HOST", host.as_str()),
            ("GOOGLE_CLOUD_PROJECT", "tests"),
        ];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<String> {
        self.ask(&["keys"])
    }

    /// An object's own metadata, as `key=value` lines in order.
    pub fn metadata(&self, key: &str) -> Vec<String> {
        self.ask(&["metadata", key])
    }

    /// The name of the key that an object was to be encrypted with.
    pub fn kms_key(&self, key: &str) -> String {
        self.ask(&["kms_key", key]).concat()
    }

    /// Puts an object.
    pub fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        self.client()
            .ask(&self.name, &["put", key], Some(&body.into()));
    }

    /// Puts the emulator itself to the test, with Google's client, in a folder for its files.
    pub fn check_emulator(&self, folder: &std::path::Path) {
        self.ask(&["check", &folder.display().to_string()]);
    }

    fn ask(&self, words: &[&str]) -> Vec<String> {
        self.client().ask(&self.name, words, None)
    }

    fn client(&self) -> &StoreClient {
        let new = || StoreClient::new(include_str!("objects.py"), self.environment());
        self.server.client.get_or_init(new)
    }
}
