//! A certificate authority for one run, and a certificate of it for `localhost`, by openssl.

use std::path::{Path, PathBuf};

use crate::process::Program;

/// Files that were created, in PEM.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The authority's own certificate.
    pub authority: PathBuf,
}

/// Creates `ca.crt`, `server.crt` and `server.key` in `folder`.
pub(crate) fn create(folder: &Path) -> Certificate {
    let openssl = |words: &str| {
        let words = words.split_whitespace();
        Program::new("openssl")
            .args(words)
            .current_dir(folder)
            .run()
            .success();
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.crt -days 2 -subj /CN=tests \
         -addext keyUsage=critical,keyCertSign,cRLSign"
    ));
    openssl(&format!(
        "req {key} -keyout server.key -out server.csr -subj /CN=localhost"
    ));
    let extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n\
                      basicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid\n";
    std::fs::write(folder.join("extensions"), extensions)
        .unwrap_or_else(|error| panic!("cannot write extensions: {error}"));
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
         -extfile extensions -out server.crt",
    );
    Certificate {
        authority: folder.join("ca.crt"),
    }
}
