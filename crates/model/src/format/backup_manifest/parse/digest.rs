//! The checksum of a manifest while it is read: SHA-256 of everything before the last line.

use sha2::{Digest, Sha256};

use crate::format::backup_manifest::hex;

/// Digests a manifest that comes in pieces, and holds back what may be its last line.
#[derive(Default)]
pub struct ManifestDigest {
    /// Everything up to the beginning of `line`.
    before: Sha256,
    /// What came since the last line feed but one: the last line, if nothing follows.
    line: Vec<u8>,
}

impl ManifestDigest {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.line.extend_from_slice(bytes);
        let without_end = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if let Some(at) = without_end.iter().rposition(|byte| *byte == b'\n') {
            self.before.update(&self.line[..=at]);
            self.line.drain(..=at);
        }
    }

    /// The checksum that the manifest must have; `None` if its last line has none.
    pub(super) fn finish(self) -> Option<String> {
        let line = self.line.strip_suffix(b"\n")?;
        if !line
            .trim_ascii_start()
            .starts_with(b"\"Manifest-Checksum\"")
        {
            return None;
        }
        Some(hex(&self.before.finalize()))
    }
}
