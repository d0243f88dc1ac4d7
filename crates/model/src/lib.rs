//! What a backup is, and what should happen to it: pure functions over facts.
//!
//! Nothing here reads a file, a clock, the environment or the network: bytes and facts come in,
//! values and plans go out. `postgres` and `engine` gather the facts, `engine` carries the plans
//! out, `cli` puts them into words.
//!
//! # The vocabulary on one page
//!
//! - **LSN**, [`Lsn`](wal::lsn::Lsn): a byte position in the write-ahead log, `0/5000028`.
//! - **timeline**, [`TimelineId`](wal::timeline::TimelineId): one branch of a cluster's history;
//!   a promotion makes a new one.
//! - **timeline history**, [`TimelineHistory`](wal::timeline::TimelineHistory): where each
//!   ancestor of a timeline was left.
//! - **segment**, [`SegmentName`](wal::name::SegmentName): one file of WAL, of
//!   [`SegmentSize`](postgres::SegmentSize) bytes.
//! - **WAL file**, [`WalName`](wal::name::WalName): what `archive_command` may be handed: a
//!   segment, a partial segment, a backup label or a timeline history.
//! - **system identifier**, [`SystemId`](postgres::SystemId): the number `initdb` gave a cluster;
//!   tells foreign WAL from ours.
//! - **segment header**, [`check_segment`](wal::segment::check_segment): asked before a segment is
//!   acknowledged, whether it is what its name says.
//! - **page**, [`check_page`](page::check_page): 8 KiB of a relation's file, with a checksum.
//! - **control file**, [`ControlFile`](control_file::ControlFile): `global/pg_control`, the
//!   cluster's record of who it is and where it stopped.
//! - **backup label**, [`BackupLabel`](format::backup_label::BackupLabel): where recovery of a
//!   backup begins.
//! - **manifest**, [`ManifestStream`](format::backup_manifest::ManifestStream): every file of a
//!   backup with its checksum, for `pg_verifybackup` and our own verifier.
//! - **version**, [`PgVersion`](postgres::PgVersion): a server's `server_version_num`.
//! - **backup id**, [`BackupId`](backup::id::BackupId): the local time at which a backup was asked
//!   for; names its directory or object prefix.
//! - **backup record**, [`BackupInfo`](backup::BackupInfo): what `backup.info` holds; a backup is
//!   complete when its status there is DONE.
//! - **catalogue**, [`Catalogue`](backup::catalogue::Catalogue): all backups of one server.
//! - **retention policy**, [`Policy`](retention::Policy): which backups are needed; retention
//!   judges, a [`DeletionPlan`](deletion::DeletionPlan) says what goes.
//! - **layout**, [`Layout`](layout::Layout): the object keys of one server in a bucket.
//! - **codec**, [`Codec`](codec::Codec): how an archive or a WAL file is compressed.
//! - **moment**, [`Moment`](moment::Moment): an instant with the offset it was recorded with.
//!
//! Every name and number is a type with a private field, made by parsing: a value that exists is
//! well-formed. `Display` and `FromStr` round-trip, and `Ord` is the order an operator expects.

pub mod backup;
pub mod codec;
pub mod config;
pub mod control_file;
pub mod damage;
pub mod deletion;
pub mod duration;
pub mod format;
pub mod keep;
pub mod layout;
pub mod moment;
pub mod page;
pub mod postgres;
pub mod restore;
pub mod retention;
pub mod size;
pub mod wal;
