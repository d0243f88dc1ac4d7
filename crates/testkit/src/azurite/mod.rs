//! Azurite, Microsoft's own emulator of Azure Blob Storage: it checks signatures, and over TLS the
//! audience, issuer and lifetime of tokens.
//!
//! One server of each kind serves a whole test process; each test makes a container of its own.
//! What is in a container is looked at through Microsoft's Python client, not through our code.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::certificate;
use crate::postgres::free_port;
use crate::process::{Program, Service, ServiceFiles};
use crate::scratch::{Scratch, keep_files};
use crate::store_client::StoreClient;
use crate::tools::cached;

/// The one account.
pub const ACCOUNT: &str = "testaccount";
/// Its key.
pub const KEY: &str = "c2VjcmV0dGVzdCBzZWNyZXR0ZXN0IHNlY3JldHRlc3Q=";

const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running emulator.
#[derive(Debug)]
pub struct Azurite {
    port: u16,
    /// The authority that signed its certificate; `None` where it speaks plain HTTP.
    authority: Option<PathBuf>,
    client: OnceLock<StoreClient>,
    service: Service,
}

impl Azurite {
    /// The emulator that this test process shares; the first call starts it.
    pub fn shared() -> &'static Azurite {
        static SERVER: OnceLock<Azurite> = OnceLock::new();
        SERVER.get_or_init(|| Azurite::start(false))
    }

    /// One that speaks TLS and takes tokens besides keys.
    pub fn with_tls() -> &'static Azurite {
        static SERVER: OnceLock<Azurite> = OnceLock::new();
        SERVER.get_or_init(|| Azurite::start(true))
    }

    /// Host and port: what a proxy forwards to.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The account's address.
    pub fn account_url(&self) -> String {
        match self.authority {
            Some(_) => format!("https://localhost:{}/{ACCOUNT}", self.port),
            None => format!("http://{}/{ACCOUNT}", self.address()),
        }
    }

    /// A connection string with the account's key, for clients that reach the account at `url`.
    pub fn connection_string(&self, url: &str) -> String {
        let scheme = url.split(':').next().unwrap_or_default();
        format!(
            "DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={KEY};\
             BlobEndpoint={url};"
        )
    }

    /// The authority that clients must trust, in PEM.
    pub fn authority(&self) -> Option<&PathBuf> {
        self.authority.as_ref()
    }

    /// A new empty container.
    pub fn container(&'static self) -> Container {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let container =
            self.container_named(&format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        container.ask(&["create"]);
        container
    }

    /// A container that may not be there.
    pub fn container_named(&'static self, name: &str) -> Container {
        Container {
            name: name.to_owned(),
            server: self,
        }
    }

    fn start(with_tls: bool) -> Azurite {
        let scratch = Scratch::new("azurite");
        // The value lives in a static, which is never dropped: the guard removes the folder.
        let folder = scratch.into_path();
        let port = free_port();
        let mut server = Program::new("node").current_dir(&folder);
        server = server.arg(cached("azurite/node_modules/azurite/dist/src/blob/main.js"));
        server = server.args(["--blobHost", "127.0.0.1", "--blobPort"]);
        server = server.arg(port.to_string()).args(["-l", "."]);
        // Clients name versions of the protocol that are newer than the emulator's.
        server = server.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
        server = server.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}"));
        let authority = with_tls.then(|| certificate::create(&folder).authority);
        if with_tls {
            server = server.args(["--cert", "server.crt", "--key", "server.key"]);
            server = server.args(["--oauth", "basic"]);
        }
        let files = ServiceFiles {
            log: folder.join("log"),
            removed_at_end: (!keep_files()).then(|| folder.clone()),
        };
        let service = Service::start(&server, "KILL", files);
        let azurite = Azurite {
            port,
            authority,
            client: OnceLock::new(),
            service,
        };
        let up = azurite.service.wait_until(START_DEADLINE, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        up.unwrap_or_else(|log| panic!("Azurite: {log}"));
        azurite
    }
}

/// A container of one test.
#[derive(Debug, Clone)]
pub struct Container {
    name: String,
    server: &'static Azurite,
}

impl Container {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, for the commands.
    pub fn url(&self) -> String {
        format!("{}/{}", self.server.account_url(), self.name)
    }

    /// The environment of a client that is to reach it with the account's key.
    pub fn environment(&self) -> Vec<(String, String)> {
        let string = self.server.connection_string(&self.server.account_url());
        let mut pairs = vec![("AZURE_STORAGE_CONNECTION_STRING".to_owned(), string)];
        pairs.extend(self.trust());
        pairs
    }

    /// The part of the environment that makes clients trust the emulator's certificate.
    pub fn trust(&self) -> Option<(String, String)> {
        let authority = self.server.authority()?;
        Some(("REQUESTS_CA_BUNDLE".into(), authority.display().to_string()))
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<String> {
        self.ask(&["keys"])
    }

    /// A blob's index tags, as `key=value` lines in order.
    pub fn tags(&self, key: &str) -> Vec<String> {
        self.ask(&["tags", key])
    }

    /// How many committed blocks a blob is made of; none after a single upload.
    pub fn block_sizes(&self, key: &str) -> Vec<u64> {
        let said = self.ask(&["blocks", key]);
        let sizes = said.iter().map(|line| line.parse::<u64>());
        sizes.map(|size| size.unwrap_or_default()).collect()
    }

    /// A shared access signature for this container with these permissions, such as `rwdlc`, that
    /// ends in so many seconds.
    pub fn signature(&self, permissions: &str, seconds: i64) -> String {
        let seconds = seconds.to_string();
        self.ask(&["sas", permissions, &seconds]).concat()
    }

    /// Puts a blob.
    pub fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        self.client()
            .ask(&self.name, &["put", key], Some(&body.into()));
    }

    fn ask(&self, words: &[&str]) -> Vec<String> {
        self.client().ask(&self.name, words, None)
    }

    fn client(&self) -> &StoreClient {
        let new = || StoreClient::new(include_str!("blob.py"), self.environment());
        self.server.client.get_or_init(new)
    }
}
