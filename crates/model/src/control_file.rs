//! `global/pg_control`: the cluster's own record of who it is and where it stopped.
//!
//! The layout is `ControlFileData` of PostgreSQL's `catalog/pg_control.h`, little endian. For the
//! versions here (13 to 18) everything we read lies at one place; only the CRC32C at the end of the
//! structure moves. Offsets and meanings were verified against `pg_controldata` (see `fixtures/`).
//! A value that exists had a valid checksum: the file was neither torn nor cut.

use thiserror::Error;

use crate::postgres::{BadSegmentSize, SegmentSize, SystemId};
use crate::wal::lsn::Lsn;
use crate::wal::timeline::TimelineId;

/// What `pg_control` says, as far as backups and restores ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFile {
    /// The cluster.
    pub system_id: SystemId,
    /// The layout's version: 1300 for PostgreSQL 13 to 16, 1700 for 17, 1800 for 18.
    pub control_version: u32,
    /// The catalogue's version, `202209061`; part of the name of tablespace directories.
    pub catalog_version: u32,
    /// What the server was doing when it last wrote the file.
    pub state: ClusterState,
    /// When the file was last written, in seconds since 1970 UTC.
    pub modified_seconds: i64,
    /// Where the latest checkpoint record begins.
    pub checkpoint_lsn: Lsn,
    /// Where recovery from that checkpoint begins.
    pub redo_lsn: Lsn,
    /// The timeline of the latest checkpoint.
    pub timeline: TimelineId,
    /// Until where a standby must have replayed to be consistent; zero if it does not matter.
    pub min_recovery_lsn: Lsn,
    /// The timeline of `min_recovery_lsn`; 0 if it does not matter.
    pub min_recovery_timeline: TimelineId,
    /// The length of a data page in bytes; 8192 unless compiled otherwise.
    pub page_size: u32,
    /// Pages in each file of a relation but the last; 131072 unless compiled otherwise.
    pub pages_per_file: u32,
    /// The length of the cluster's WAL segments.
    pub segment_size: SegmentSize,
    /// Zero when data pages carry no checksums.
    pub data_checksum_version: u32,
}

/// `DBState` of `catalog/pg_control.h`, in the words of `pg_controldata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// "starting up"
    StartingUp,
    /// "shut down"
    ShutDown,
    /// "shut down in recovery"
    ShutDownInRecovery,
    /// "shutting down"
    ShuttingDown,
    /// "in crash recovery"
    InCrashRecovery,
    /// "in archive recovery"
    InArchiveRecovery,
    /// "in production"
    InProduction,
}

/// Bytes that are not a sound `pg_control`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadControlFile {
    /// Cut short.
    #[error("pg_control has only {length} bytes")]
    TooShort {
        /// How many bytes there were.
        length: usize,
    },
    /// A layout of a PostgreSQL older or newer than those we know.
    #[error("pg_control has the unknown version {version}; known are 1300, 1700 and 1800")]
    UnknownVersion {
        /// `pg_control_version`.
        version: u32,
    },
    /// Damaged, or read while it was being written.
    #[error("pg_control has the checksum {found:08x} instead of {expected:08x}")]
    Checksum {
        /// The CRC32C of the bytes.
        expected: u32,
        /// The CRC32C in the file.
        found: u32,
    },
    /// A state that PostgreSQL does not have.
    #[error("pg_control has the unknown cluster state {state}")]
    UnknownState {
        /// `DBState` as a number.
        state: u32,
    },
    /// A segment size that PostgreSQL does not have.
    #[error("pg_control: {0}")]
    SegmentSize(#[from] BadSegmentSize),
}

impl ControlFile {
    /// How many bytes of the file [`parse`](Self::parse) needs at most; the rest is zeros.
    pub const LENGTH: usize = 296;

    /// Reads the file's bytes; those after the checksum do not matter.
    pub fn parse(bytes: &[u8]) -> Result<ControlFile, BadControlFile> {
        let fields = bytes.first_chunk::<{ Self::LENGTH }>().map(Fields);
        let fields = fields.ok_or(BadControlFile::TooShort {
            length: bytes.len(),
        })?;
        let control_version = fields.u32_at(8);
        fields.check(control_version)?;
        Ok(ControlFile {
            system_id: SystemId::new(fields.u64_at(0)),
            control_version,
            catalog_version: fields.u32_at(12),
            state: ClusterState::from_number(fields.u32_at(16))?,
            modified_seconds: fields.u64_at(24).cast_signed(),
            checkpoint_lsn: Lsn::new(fields.u64_at(32)),
            redo_lsn: Lsn::new(fields.u64_at(40)),
            timeline: TimelineId::new(fields.u32_at(48)),
            min_recovery_lsn: Lsn::new(fields.u64_at(136)),
            min_recovery_timeline: TimelineId::new(fields.u32_at(144)),
            page_size: fields.u32_at(216),
            pages_per_file: fields.u32_at(220),
            segment_size: SegmentSize::new(u64::from(fields.u32_at(228)))?,
            data_checksum_version: fields.u32_at(252),
        })
    }
}

impl ClusterState {
    fn from_number(state: u32) -> Result<ClusterState, BadControlFile> {
        Ok(match state {
            0 => ClusterState::StartingUp,
            1 => ClusterState::ShutDown,
            2 => ClusterState::ShutDownInRecovery,
            3 => ClusterState::ShuttingDown,
            4 => ClusterState::InCrashRecovery,
            5 => ClusterState::InArchiveRecovery,
            6 => ClusterState::InProduction,
            _ => return Err(BadControlFile::UnknownState { state }),
        })
    }
}

struct Fields<'a>(&'a [u8; ControlFile::LENGTH]);

impl Fields<'_> {
    fn check(&self, control_version: u32) -> Result<(), BadControlFile> {
        let crc_at = match control_version {
            1300 | 1700 => 288,
            // 18 added the signedness of char before the authentication nonce.
            1800 => 292,
            version => return Err(BadControlFile::UnknownVersion { version }),
        };
        let expected = crc32c::crc32c(&self.0[..crc_at]);
        let found = self.u32_at(crc_at);
        if expected == found {
            Ok(())
        } else {
            Err(BadControlFile::Checksum { expected, found })
        }
    }

    fn u32_at(&self, offset: usize) -> u32 {
        let bytes = self.0[offset..].first_chunk();
        u32::from_le_bytes(*bytes.expect("every offset above lies well within LENGTH"))
    }

    fn u64_at(&self, offset: usize) -> u64 {
        u64::from(self.u32_at(offset)) | u64::from(self.u32_at(offset + 4)) << 32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTROL_15: &[u8] = include_bytes!("../fixtures/pg_control-15");
    const CONTROL_18: &[u8] = include_bytes!("../fixtures/pg_control-18");

    /// Gives changed bytes a valid checksum again.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let crc = crc32c::crc32c(&bytes[..288]);
        bytes[288..292].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn control_files_of_every_supported_version_are_read() {
        // The figures are those of pg_controldata: 15's for 13 to 15, else of the same version.
        for (bytes, control, catalog, system_id, checkpoint) in [
            (
                &include_bytes!("../fixtures/pg_control-13")[..],
                1300,
                202007201,
                7710568153885348120,
                0x181_3E28,
            ),
            (
                &include_bytes!("../fixtures/pg_control-14")[..],
                1300,
                202107181,
                7710568156678512960,
                0x194_3170,
            ),
            (CONTROL_15, 1300, 202209061, 7710568160307925355, 0x174_14F8),
            (
                &include_bytes!("../fixtures/pg_control-16")[..],
                1300,
                202307071,
                7710568163482247573,
                0x16C_2D78,
            ),
            (
                &include_bytes!("../fixtures/pg_control-17")[..],
                1700,
                202406281,
                7710568166486311336,
                0x16C_37F8,
            ),
            (CONTROL_18, 1800, 202506291, 7710568169053749692, 0x16E_F458),
        ] {
            let file = ControlFile::parse(bytes).unwrap();
            assert_eq!(file.control_version, control);
            assert_eq!(file.catalog_version, catalog);
            assert_eq!(file.system_id, SystemId::new(system_id));
            assert_eq!(file.checkpoint_lsn, Lsn::new(checkpoint));
            assert_eq!(file.redo_lsn, Lsn::new(checkpoint));
            assert_eq!(file.state, ClusterState::ShutDown);
            assert_eq!(file.timeline, TimelineId::new(1));
            assert_eq!((file.page_size, file.pages_per_file), (8192, 131_072));
            assert_eq!(file.segment_size, SegmentSize::DEFAULT);
            assert_eq!(file.data_checksum_version, 1);
        }
    }

    #[test]
    fn a_standbys_consistency_point_is_read() {
        let bytes = include_bytes!("../fixtures/pg_control-15-standby");
        let file = ControlFile::parse(bytes).unwrap();
        assert_eq!(file.state, ClusterState::InArchiveRecovery);
        assert_eq!(file.checkpoint_lsn, Lsn::new(0x403_1758));
        assert_eq!(file.redo_lsn, Lsn::new(0x403_1720));
        assert_eq!(file.min_recovery_lsn, Lsn::new(0x403_17D0));
        assert_eq!(file.min_recovery_timeline, TimelineId::new(1));
    }

    #[test]
    fn the_time_of_the_last_write_is_read() {
        // pg_controldata: Sat Nov 21 10:22:28 2026 (UTC)
        let file = ControlFile::parse(CONTROL_15).unwrap();
        let written = jiff::Timestamp::from_second(file.modified_seconds).unwrap();
        assert_eq!(written.to_string(), "2026-11-21T10:22:28Z");
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        for (bytes, end) in [(CONTROL_15, 292), (CONTROL_18, 296)] {
            for place in 0..end {
                let mut damaged = bytes.to_vec();
                damaged[place] ^= 0x40;
                assert!(ControlFile::parse(&damaged).is_err(), "byte {place}");
            }
        }
    }

    #[test]
    fn other_versions_and_states_are_refused() {
        let mut other = CONTROL_15.to_vec();
        other[8..12].copy_from_slice(&1201u32.to_le_bytes());
        let refused = ControlFile::parse(&other);
        assert_eq!(
            refused,
            Err(BadControlFile::UnknownVersion { version: 1201 })
        );

        let mut other = CONTROL_15.to_vec();
        other[16] = 7;
        let refused = ControlFile::parse(&sealed(other));
        assert_eq!(refused, Err(BadControlFile::UnknownState { state: 7 }));

        let mut other = CONTROL_15.to_vec();
        other[228] = 1;
        let refused = ControlFile::parse(&sealed(other));
        assert!(matches!(refused, Err(BadControlFile::SegmentSize(_))));
    }

    #[test]
    fn a_cut_file_is_refused() {
        let refused = ControlFile::parse(&CONTROL_15[..295]);
        assert_eq!(refused, Err(BadControlFile::TooShort { length: 295 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = ControlFile::parse(&bytes);
        }
    }
}
