//! What a PostgreSQL cluster says about itself: version, system identifier, WAL segment size.
//!
//! The values come from a connection, from `pg_control` or from a WAL segment's header; this module
//! leaves asking to the `postgres` crate. A [`SegmentSize`] that exists is one PostgreSQL accepts.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use thiserror::Error;

/// A server's `server_version_num`, such as `150018` for 15.18.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PgVersion(u32);

impl PgVersion {
    /// Takes the number as `SHOW server_version_num` prints it.
    pub const fn new(server_version_num: u32) -> PgVersion {
        PgVersion(server_version_num)
    }

    /// The number as PostgreSQL prints it.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The major version since PostgreSQL 10, where it is one number: 15 for 15.18.
    ///
    /// The 9.x versions all answer 9.
    pub const fn major(self) -> u32 {
        self.0 / 10_000
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PgVersion {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<PgVersion, ParseIntError> {
        text.parse().map(PgVersion)
    }
}

/// The number `initdb` gave a cluster. Every copy of the cluster and every WAL segment carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemId(u64);

impl SystemId {
    /// Takes the identifier as `pg_control_system()` gives it, unsigned.
    pub const fn new(identifier: u64) -> SystemId {
        SystemId(identifier)
    }

    /// The identifier as a number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SystemId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<SystemId, ParseIntError> {
        text.parse().map(SystemId)
    }
}

/// The length in bytes of every WAL segment of a cluster (`initdb --wal-segsize`).
///
/// Always a power of two from 1 MiB to 1 GiB (PostgreSQL manual, "WAL Configuration").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentSize(u32);

/// A number of bytes that cannot be the length of a WAL segment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("WAL segment size {bytes} is not a power of two from 1 MiB to 1 GiB")]
pub struct BadSegmentSize {
    /// What was offered, in bytes.
    pub bytes: u64,
}

impl SegmentSize {
    /// 16 MiB, what `initdb` uses unless told otherwise.
    pub const DEFAULT: SegmentSize = SegmentSize(16 << 20);

    const SMALLEST: u64 = 1 << 20;
    const LARGEST: u64 = 1 << 30;

    /// Takes a number of bytes that PostgreSQL would accept.
    pub fn new(bytes: u64) -> Result<SegmentSize, BadSegmentSize> {
        let accepted = bytes.is_power_of_two() && (Self::SMALLEST..=Self::LARGEST).contains(&bytes);
        match u32::try_from(bytes) {
            Ok(size) if accepted => Ok(SegmentSize(size)),
            _ => Err(BadSegmentSize { bytes }),
        }
    }

    /// The length in bytes.
    pub const fn bytes(self) -> u64 {
        self.0 as u64
    }

    /// How many segments share the first 16 digits of their names: one 4 GiB "log".
    pub const fn segments_per_log(self) -> u64 {
        (1 << 32) / self.bytes()
    }
}

impl Default for SegmentSize {
    fn default() -> SegmentSize {
        SegmentSize::DEFAULT
    }
}

impl fmt::Display for SegmentSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_knows_its_major() {
        for (number, major) in [(90_603, 9), (100_023, 10), (130_023, 13), (180_006, 18)] {
            assert_eq!(PgVersion::new(number).major(), major);
        }
        assert_eq!(PgVersion::new(150_018).to_string(), "150018");
        assert_eq!("150018".parse(), Ok(PgVersion::new(150_018)));
    }

    #[test]
    fn a_system_identifier_uses_all_64_bits() {
        let id: SystemId = "18446744073709551615".parse().unwrap();
        assert_eq!(id.value(), u64::MAX);
        assert_eq!(id.to_string(), "18446744073709551615");
        assert!("-1".parse::<SystemId>().is_err());
    }

    #[test]
    fn segment_sizes_are_powers_of_two_from_1_mib_to_1_gib() {
        for shift in 20..=30 {
            let size = SegmentSize::new(1 << shift).unwrap();
            assert_eq!(size.bytes() * size.segments_per_log(), 1 << 32);
        }
        for bytes in [
            0,
            1,
            1 << 19,
            (1 << 20) + 1,
            3 << 20,
            1 << 31,
            1 << 32,
            u64::MAX,
        ] {
            assert_eq!(SegmentSize::new(bytes), Err(BadSegmentSize { bytes }));
        }
        assert_eq!(SegmentSize::default().segments_per_log(), 256);
    }
}
