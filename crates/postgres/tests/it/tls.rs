//! TLS: what each mode verifies, with authorities and certificates made for the test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use postgres::ConnectError;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::cluster::{Cluster, PASSWORD};

type Authority = CertifiedIssuer<'static, KeyPair>;

const TLS_ON: &str = "ssl = on\nssl_cert_file = '../tls/server.crt'\n\
                      ssl_key_file = '../tls/server.key'\n";

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key for a common name and alternative names.
fn leaf(authority: &Authority, common_name: &str, names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let key = KeyPair::generate().unwrap();
    (
        params.signed_by(&key, authority).unwrap().pem(),
        key.serialize_pem(),
    )
}

impl Cluster {
    /// Writes a file of `run/tls` that only its owner can read.
    fn write_tls(&self, name: &str, text: &str) -> PathBuf {
        let directory = self.path("run/tls");
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if name.starts_with("server") || name == "clients.crt" {
            self.give_to_server(&path);
        }
        path
    }

    /// Starts a server with this certificate; `root.crt` holds the authority that is trusted.
    async fn start_tls((cert, key): (String, String), root: &str, settings: &str) -> Self {
        let cluster = Cluster::prepare();
        cluster.write_tls("server.crt", &cert);
        cluster.write_tls("server.key", &key);
        cluster.write_tls("root.crt", root);
        cluster.run(&format!("{TLS_ON}{settings}")).await
    }

    /// Connects as `scram` under the name `localhost` to 127.0.0.1.
    async fn try_tls(&self, settings: &str) -> Result<bool, ConnectError> {
        let password = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
        let root = self.path("run/tls/root.crt");
        let settings = settings.replace("ROOT", root.to_str().unwrap());
        let mut client = self
            .connect(&format!(
                "host=localhost hostaddr=127.0.0.1 user=scram password='{password}' {settings}"
            ))
            .await?;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let encrypted = client.query(sql).await.unwrap()[0].get(0) == Some("t");
        assert_eq!(client.is_encrypted(), encrypted);
        Ok(encrypted)
    }

    async fn tls_error(&self, settings: &str) -> String {
        self.try_tls(settings)
            .await
            .expect_err(settings)
            .to_string()
    }
}

#[tokio::test]
async fn each_mode_verifies_what_it_promises() {
    let (ours, other) = (authority("ours"), authority("other"));
    let server = leaf(&ours, "whatever", &["localhost"]);
    let cluster = Cluster::start_tls(server, &ours.pem(), "").await;
    cluster.write_tls("other.crt", &other.pem());
    let other = cluster.path("run/tls/other.crt");
    let other = format!("sslrootcert={}", other.display());

    assert!(!cluster.try_tls("sslmode=disable").await.unwrap());
    assert!(!cluster.try_tls("sslmode=allow").await.unwrap());
    for mode in ["prefer", "require"] {
        assert!(
            cluster.try_tls(&format!("sslmode={mode}")).await.unwrap(),
            "{mode}"
        );
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        assert!(
            cluster
                .try_tls(&format!("sslmode={mode} sslrootcert=ROOT"))
                .await
                .unwrap()
        );
        let error = cluster.tls_error(&format!("sslmode={mode} {other}")).await;
        assert!(
            error.contains("certificate is not accepted"),
            "{mode}: {error}"
        );
    }
    let wrong_host = "host=db.example.org sslrootcert=ROOT";
    assert!(
        cluster
            .try_tls(&format!("{wrong_host} sslmode=verify-ca"))
            .await
            .unwrap()
    );
    let error = cluster
        .tls_error(&format!("{wrong_host} sslmode=verify-full"))
        .await;
    assert!(
        error.contains("it is not for host \"db.example.org\""),
        "{error}"
    );
    let error = cluster
        .tls_error("host='' sslmode=verify-full sslrootcert=ROOT")
        .await;
    assert!(error.contains("needs a host name"), "{error}");
    let error = cluster
        .tls_error("sslmode=verify-ca sslrootcert=/nonexistent")
        .await;
    assert!(error.contains("/nonexistent does not exist"), "{error}");
    // As libpq does it: a root that does not fit breaks TLS, and `prefer` goes on without.
    assert!(
        !cluster
            .try_tls(&format!("sslmode=prefer {other}"))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn modes_fall_back_as_the_server_wants_it() {
    let ours = authority("ours");
    let server = leaf(&ours, "localhost", &["localhost"]);
    let cluster = Cluster::start_tls(server, &ours.pem(), "").await;
    assert!(cluster.try_tls("user=tlsonly sslmode=allow").await.unwrap());
    assert!(
        cluster
            .try_tls("user=tlsonly sslmode=prefer")
            .await
            .unwrap()
    );
    assert!(
        !cluster
            .try_tls("user=plainonly sslmode=prefer")
            .await
            .unwrap()
    );
    cluster.tls_error("user=plainonly sslmode=require").await;
    cluster.tls_error("user=tlsonly sslmode=disable").await;

    let plain = Cluster::start().await;
    assert!(!plain.try_tls("sslmode=prefer").await.unwrap());
    let error = plain.tls_error("sslmode=require").await;
    assert!(error.contains("the server does not support TLS"), "{error}");
}

#[tokio::test]
async fn scram_is_bound_to_the_channel_in_both_versions_of_tls() {
    let ours = authority("ours");
    let server = leaf(&ours, "localhost", &["localhost"]);
    let cluster = Cluster::start_tls(server, &ours.pem(), "").await;
    for versions in [
        "",
        "ssl_max_protocol_version=TLSv1.2",
        "ssl_min_protocol_version=TLSv1.3",
    ] {
        let settings = format!("sslmode=require channel_binding=require {versions}");
        assert!(cluster.try_tls(&settings).await.unwrap(), "{versions}");
    }
    let settings = "user=md5user sslmode=require channel_binding=require";
    let error = cluster.tls_error(settings).await;
    assert!(error.contains("asks for an MD5 password"), "{error}");
    assert!(
        cluster
            .try_tls("sslmode=require channel_binding=disable")
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_certificate_without_alternative_names_is_for_its_common_name() {
    let ours = authority("ours");
    let cluster = Cluster::start_tls(leaf(&ours, "localhost", &[]), &ours.pem(), "").await;
    assert!(
        cluster
            .try_tls("sslmode=verify-full sslrootcert=ROOT")
            .await
            .unwrap()
    );
    let error = cluster
        .tls_error("host=other sslmode=verify-full sslrootcert=ROOT")
        .await;
    assert!(error.contains("not for host"), "{error}");
}

#[tokio::test]
async fn a_self_signed_certificate_is_its_own_root() {
    let own = authority("localhost");
    let server = (own.pem(), own.key().serialize_pem());
    let cluster = Cluster::start_tls(server, &own.pem(), "").await;
    assert!(
        cluster
            .try_tls("sslmode=verify-full sslrootcert=ROOT")
            .await
            .unwrap()
    );
    cluster.write_tls("root.crt", &authority("localhost").pem());
    let error = cluster
        .tls_error("sslmode=verify-ca sslrootcert=ROOT")
        .await;
    assert!(error.contains("not accepted"), "{error}");
}

#[tokio::test]
async fn a_chain_through_an_intermediate_authority_is_followed() {
    let root = authority("root");
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params
        .distinguished_name
        .push(DnType::CommonName, "intermediate");
    let key = KeyPair::generate().unwrap();
    let middle = CertifiedIssuer::signed_by(params, key, &root).unwrap();
    let (cert, key) = leaf(&middle, "localhost", &["localhost"]);
    let chain = format!("{cert}{}", middle.pem());
    let cluster = Cluster::start_tls((chain, key), &root.pem(), "").await;
    assert!(
        cluster
            .try_tls("sslmode=verify-full sslrootcert=ROOT")
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_client_certificate_opens_the_door() {
    let ours = authority("ours");
    let clients = authority("clients");
    let cluster = Cluster::prepare();
    cluster.write_tls("clients.crt", &clients.pem());
    let (cert, key) = leaf(&ours, "localhost", &["localhost"]);
    cluster.write_tls("server.crt", &cert);
    cluster.write_tls("server.key", &key);
    cluster.write_tls("root.crt", &ours.pem());
    let cluster = cluster
        .run(&format!("{TLS_ON}ssl_ca_file = '../tls/clients.crt'\n"))
        .await;
    let (cert, key) = leaf(&clients, "certuser", &[]);
    let cert = cluster.write_tls("client.crt", &cert);
    let key = cluster.write_tls("client.key", &key);
    let settings = format!(
        "user=certuser sslmode=verify-full sslrootcert=ROOT sslcert={} sslkey={}",
        cert.display(),
        key.display()
    );
    assert!(cluster.try_tls(&settings).await.unwrap());
    let error = cluster
        .tls_error(&format!("{settings} sslcertmode=disable"))
        .await;
    assert!(
        error.contains("requires a valid client certificate"),
        "{error}"
    );
    let error = cluster
        .tls_error(&format!("{settings} sslkey=/nonexistent"))
        .await;
    assert!(error.contains("has no private key /nonexistent"), "{error}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = cluster.tls_error(&settings).await;
    assert!(
        error.contains("others have access to private key"),
        "{error}"
    );
}

/// The recipe of the PostgreSQL manual, "Creating Certificates", makes such certificates with
/// OpenSSL before 3.2.
#[tokio::test]
async fn certificates_of_version_1_are_accepted_as_openssl_makes_them() {
    let directory = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(directory.path())
            .output()
            .expect("the program openssl");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    openssl("req -new -x509 -days 10 -nodes -out root.crt -keyout root.key -subj /CN=root");
    openssl("req -new -nodes -out server.csr -keyout server.key -subj /CN=localhost");
    openssl(
        "x509 -req -in server.csr -days 10 -CA root.crt -CAkey root.key -CAcreateserial \
         -out server.crt",
    );
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    let server = (read("server.crt"), read("server.key"));
    let cluster = Cluster::start_tls(server, &read("root.crt"), "").await;
    for version in ["TLSv1.2", "TLSv1.3"] {
        let versions =
            format!("ssl_min_protocol_version={version} ssl_max_protocol_version={version}");
        for mode in ["require", "verify-ca", "verify-full"] {
            let settings =
                format!("sslmode={mode} sslrootcert=ROOT channel_binding=require {versions}");
            assert!(cluster.try_tls(&settings).await.unwrap(), "{settings}");
        }
    }
    cluster.write_tls("root.crt", &authority("root").pem());
    let error = cluster
        .tls_error("sslmode=verify-ca sslrootcert=ROOT")
        .await;
    assert!(error.contains("not accepted"), "{error}");
}
