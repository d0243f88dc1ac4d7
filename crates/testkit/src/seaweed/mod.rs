//! SeaweedFS as the S3 server of the tests: it checks signatures, speaks TLS with a certificate of
//! an authority made for the occasion, and refuses parts that are too small, as Amazon does.
//!
//! One server serves a whole test process; each test makes a bucket of its own. What is in a
//! bucket is looked at through boto3, Amazon's own client, and not through our code. Such questions
//! go without TLS, which is for the programs under test.

mod bucket;

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use bucket::Bucket;

use crate::certificate;
use crate::moto::Moto;
use crate::postgres::free_port;
use crate::process::{Program, Service, ServiceFiles};
use crate::scratch::{Scratch, keep_files};
use crate::store_client::StoreClient;
use crate::tools::cached;

/// The one key that the server accepts.
pub const ACCESS_KEY: &str = "AKIATEST";
/// Its secret.
pub const SECRET_KEY: &str = "secrettest";
/// The region that requests are signed for; the server accepts any.
pub const REGION: &str = "us-east-1";

/// What the client can be asked.
const OPERATIONS: &str = include_str!("s3.py");
const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct SeaweedFs {
    https_port: u16,
    http_port: u16,
    authority: PathBuf,
    client: Arc<StoreClient>,
    service: Service,
}

impl SeaweedFs {
    /// The server that this test process shares; the first call starts it.
    pub fn shared() -> &'static SeaweedFs {
        static SERVER: OnceLock<SeaweedFs> = OnceLock::new();
        SERVER.get_or_init(|| SeaweedFs::start(None))
    }

    /// One that asks this Key Management Service for keys. It ends with the test process.
    pub fn with_kms(moto: &Moto) -> SeaweedFs {
        SeaweedFs::start(Some(moto))
    }

    /// Where it speaks TLS.
    pub fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.https_port)
    }

    /// Where it speaks plain HTTP: what a fault proxy forwards to.
    pub fn plain_address(&self) -> String {
        format!("127.0.0.1:{}", self.http_port)
    }

    /// The certificate of the authority that clients must trust, in PEM.
    pub fn authority(&self) -> &PathBuf {
        &self.authority
    }

    /// The environment of a client that is to reach this server through TLS.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(self.endpoint(), &self.authority)
    }

    /// A new empty bucket.
    pub fn bucket(&self) -> Bucket {
        let bucket = self.unmade_bucket();
        bucket.ask(&["create"]);
        bucket
    }

    /// A new empty bucket whose objects have versions and can be locked.
    pub fn bucket_with_locks(&self) -> Bucket {
        let bucket = self.unmade_bucket();
        bucket.ask(&["create_with_locks"]);
        bucket
    }

    fn unmade_bucket(&self) -> Bucket {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Bucket::new(
            format!("test-{number}"),
            self.environment(),
            Arc::clone(&self.client),
        )
    }

    fn start(kms: Option<&Moto>) -> SeaweedFs {
        let weed = cached("seaweedfs/weed");
        // The value lives in a static, which is never dropped: the guard removes the folder.
        let scratch = Scratch::new("s3");
        let folder = scratch.into_path();
        let certificate = certificate::create(&folder);
        let identities = folder.join("s3.json");
        let text = format!(
            r#"{{"identities":[{{"name":"tests","credentials":[{{"accessKey":"{ACCESS_KEY}",
            "secretKey":"{SECRET_KEY}"}}],
            "actions":["Admin","Read","Write","List","Tagging"]}}]{}}}"#,
            kms.map(kms_settings).unwrap_or_default()
        );
        std::fs::write(&identities, text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", identities.display()));
        let (https_port, http_port) = (free_port(), free_port());
        let mut server = Program::new(weed).current_dir(&folder);
        // Without a key of its own the server answers SSE-S3 with an internal error.
        server = server.env("WEED_S3_SSE_KEY", "any secret");
        server = server.args(["-logtostderr=true", "server", "-master.telemetry=false"]);
        server = server.args([
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-filer",
            "-s3",
            "-dir=.",
        ]);
        for option in ["master.port", "volume.port", "filer.port"] {
            server = server.arg(format!("-{option}={}", free_port()));
            server = server.arg(format!("-{option}.grpc={}", free_port()));
        }
        server = server.arg(format!("-s3.port={http_port}"));
        server = server.arg(format!("-s3.port.grpc={}", free_port()));
        server = server.arg(format!("-s3.port.https={https_port}"));
        server = server.args([
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.config=s3.json",
        ]);
        server = server
            .arg("-s3.cert.file=server.crt")
            .arg("-s3.key.file=server.key");
        // Every bucket takes several volumes; without a free one the server answers 500.
        server = server.args(["-master.volumeSizeLimitMB=1024", "-volume.max=5000"]);
        let removed_at_end = (!keep_files()).then(|| folder.clone());
        let files = ServiceFiles {
            log: folder.join("log"),
            removed_at_end,
        };
        let service = Service::start(&server, "KILL", files);
        let asked_at = environment(
            format!("http://127.0.0.1:{http_port}"),
            &certificate.authority,
        );
        let seaweed = SeaweedFs {
            https_port,
            http_port,
            authority: certificate.authority,
            client: Arc::new(StoreClient::new(OPERATIONS, asked_at)),
            service,
        };
        seaweed.wait_until_buckets_can_be_made();
        seaweed
    }

    // The ports are open before the files behind them can be used.
    fn wait_until_buckets_can_be_made(&self) {
        let is_open = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let made = self.service.wait_until(START_DEADLINE, || {
            is_open(self.https_port)
                && is_open(self.http_port)
                && self.client.try_ask("probe", &["create"], None).is_ok()
        });
        made.unwrap_or_else(|log| panic!("SeaweedFS: {log}"));
    }
}

fn environment(endpoint: String, authority: &Path) -> Vec<(String, String)> {
    let pairs = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_CA_BUNDLE", authority.display().to_string()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.into()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.into()),
        ("AWS_DEFAULT_REGION", REGION.into()),
        ("AWS_REGION", REGION.into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("AWS_CONFIG_FILE", "/dev/null".into()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".into()),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn kms_settings(moto: &Moto) -> String {
    format!(
        r#","kms":{{"default_provider":"aws","providers":{{"aws":{{"type":"aws",
        "region":"{REGION}","endpoint":"{}","access_key":"x","secret_key":"y"}}}}}}"#,
        moto.endpoint()
    )
}
