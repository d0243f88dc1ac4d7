//! The checksum of a manifest while it is read: SHA-256 of everything before the last line.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::format::backup_manifest::hex;

/// Reads through, and remembers what the last line may be.
pub struct Digested<R> {
    source: R,
    /// Everything up to the beginning of `line`.
    before: Sha256,
    /// What came since the last line feed but one: the last line, if nothing follows.
    line: Vec<u8>,
}

impl<R: Read> Digested<R> {
    pub fn new(source: R) -> Digested<R> {
        Digested {
            source,
            before: Sha256::new(),
            line: Vec::new(),
        }
    }

    /// The checksum that the manifest must have; `None` if its last line has none.
    pub fn digest(self) -> Option<String> {
        let line = self.line.strip_suffix(b"\n")?;
        if !line
            .trim_ascii_start()
            .starts_with(b"\"Manifest-Checksum\"")
        {
            return None;
        }
        Some(hex(&self.before.finalize()))
    }

    /// Digests what can no longer be part of the last line.
    fn take(&mut self, bytes: &[u8]) {
        self.line.extend_from_slice(bytes);
        let without_end = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if let Some(at) = without_end.iter().rposition(|byte| *byte == b'\n') {
            self.before.update(&self.line[..=at]);
            self.line.drain(..=at);
        }
    }
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.take(&buffer[..count]);
        Ok(count)
    }
}
