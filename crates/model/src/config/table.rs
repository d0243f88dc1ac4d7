//! Every option of `barman.conf`, once: name, where it may stand, what it takes, its default, since
//! when Barman has it, and what it is for.
//!
//! The parser, the complaints about a file, `show-servers`, the reference and the manual page are
//! made from this table. Facts: Barman 3.20.1, by its manual and by running it; the words are ours.

use super::options::OptionKind::{
    AbsolutePath, Boolean, Choice, Conninfo, Integer, Interval, Level, List, Path, PathOrUrl, Raw,
    Retention, Set, Size, SlotName, Text,
};
use super::options::Scope::{Anywhere, Global, Model, NotGlobal, NotModel, Server};
use super::options::{ConfigOption, MANY};

/// The codecs that `compression` may name.
const CODECS: &[&str] = &[
    "gzip", "bzip2", "pigz", "xz", "zstd", "lz4", "snappy", "pygzip", "pybzip2", "custom",
];

/// A row: name, scope, kind, default and version, then words; an empty text is none.
macro_rules! options {
    ($($name:ident, $scope:ident, $kind:expr, $default:expr, $since:expr; $words:expr;)*) => {
        /// Every option, by name.
        pub const OPTIONS: &[ConfigOption] = &[$(ConfigOption {
            name: stringify!($name),
            scope: $scope,
            kind: $kind,
            default: given($default),
            since: given($since),
            words: $words,
        }),*];
    };
}

const fn given(text: &'static str) -> Option<&'static str> {
    if text.is_empty() { None } else { Some(text) }
}

options! {
    active, NotGlobal, Boolean, "true", "";
        "false stops backups and WAL; what is there can still be looked at and restored";
    archiver, Anywhere, Boolean, "off", "";
        "take WAL that archive_command puts into incoming_wals_directory";
    archiver_batch_size, Anywhere, Integer(0, MANY), "0", "";
        "the most files that one run of archive-wal takes; 0: all";
    autogenerate_manifest, Anywhere, Boolean, "false", "";
        "make a backup manifest after each rsync backup";
    aws_await_snapshots_timeout, Anywhere, Integer(0, MANY), "3600", "3.11";
        "how many seconds EBS snapshots may take until they are complete";
    aws_check_object_lock, Anywhere, Boolean, "off", "3.19";
        "look for locked objects before a backup in S3 is deleted";
    aws_encryption, Anywhere, Choice(&["AES256", "aws:kms"]), "", "3.18";
        "encryption by S3 itself: with its own keys or with KMS";
    aws_profile, Anywhere, Text, "", "";
        "section of the AWS files that has the credentials";
    aws_read_timeout, Anywhere, Integer(0, MANY), "", "3.18";
        "seconds of silence after which a request to S3 is given up";
    aws_region, Anywhere, Text, "", "";
        "region of the instance and its disks, or of the bucket";
    aws_snapshot_lock_cool_off_period, Anywhere, Integer(1, 72), "", "3.12";
        "hours in which a compliance lock can still be taken away";
    aws_snapshot_lock_duration, Anywhere, Integer(1, 36_500), "", "3.12";
        "days that a snapshot stays locked";
    aws_snapshot_lock_expiration_date, Anywhere, Text, "", "3.12";
        "when a snapshot's lock ends, as 2026-12-31T23:59:59.000Z";
    aws_snapshot_lock_mode, Anywhere, Choice(&["governance", "compliance"]), "", "3.12";
        "how snapshots are locked";
    aws_sse_customer_key, Anywhere, Text, "", "3.20";
        "file:// URI of the customer's key that S3 encrypts with";
    aws_sse_kms_key_id, Anywhere, Text, "", "3.18";
        "KMS key that S3 encrypts with";
    azure_credential, Anywhere, Choice(&["azure-cli", "managed-identity", "default"]), "", "";
        "which Azure credential is used instead of what the environment has";
    azure_resource_group, Anywhere, Text, "", "";
        "resource group of the machine and its disks";
    azure_subscription_id, Anywhere, Text, "", "";
        "Azure subscription of the machine and its disks";
    backup_compression, Anywhere, Choice(&["gzip", "lz4", "zstd", "none"]), "", "";
        "how the server compresses a streamed backup";
    backup_compression_format, Anywhere, Choice(&["tar", "plain"]), "", "";
        "whether a compressed backup stays a tar file or is unpacked";
    backup_compression_level, Anywhere, Integer(-131_072, 22), "", "";
        "how hard it is compressed";
    backup_compression_location, Anywhere, Choice(&["client", "server"]), "", "";
        "which side compresses it";
    backup_compression_workers, Anywhere, Integer(0, 1_024), "", "";
        "how many threads compress it (Zstandard)";
    backup_directory, Server, Path, "%(barman_home)s/%(name)s", "";
        "where everything of this server is kept";
    backup_method, Anywhere,
        Choice(&["rsync", "postgres", "local-rsync", "snapshot", "local-to-cloud"]),
        "rsync", "";
        "how a base backup is taken";
    backup_options, Anywhere,
        Set(&["concurrent_backup", "exclusive_backup", "external_configuration"]),
        "", "";
        "how PostgreSQL is asked for a backup";
    bandwidth_limit, Anywhere, Integer(0, MANY), "", "";
        "kilobytes a second that a copy may take";
    barman_home, Global, Path, "", "";
        "where Barman keeps everything";
    barman_lock_directory, Global, Path, "%(barman_home)s", "";
        "where lock files are";
    barman_user, Global, Text, "barman", "";
        "the account that Barman runs as";
    basebackup_retry_sleep, Anywhere, Integer(0, MANY), "30", "";
        "seconds between two attempts at a copy";
    basebackup_retry_times, Anywhere, Integer(0, MANY), "0", "";
        "how often a copy that failed is tried again";
    basebackups_directory, Server, PathOrUrl, "%(backup_directory)s/base", "";
        "where base backups are kept: a directory or a cloud URL";
    check_timeout, Anywhere, Integer(0, MANY), "30", "";
        "seconds after which check gives up; 0: never";
    cloud_delete_batch_size, Anywhere, Integer(0, MANY), "", "3.18";
        "the most objects that one request deletes";
    cloud_staging_directory, Anywhere, AbsolutePath, "/tmp/barman/cloud-staging", "3.18";
        "where parts of a backup wait for their upload";
    cloud_staging_max_size, Anywhere, Size, "30Gi", "3.18";
        "how much may wait there before the backup pauses";
    cloud_upload_max_archive_size, NotGlobal, Size, "100Gi", "3.18";
        "where an archive of a backup is cut";
    cloud_upload_min_chunk_size, NotGlobal, Size, "", "3.18";
        "the smallest part of an upload";
    cloud_wal_archive_parallel, Anywhere, Integer(0, MANY), "0", "3.19";
        "how many segments cloud-wal-archive sends at a time";
    cloud_wal_restore_parallel, Anywhere, Integer(0, MANY), "0", "3.19";
        "how many segments cloud-wal-restore fetches ahead";
    cluster, NotGlobal, Text, "%(name)s", "3.10";
        "the cluster that servers and models with this name belong to";
    combine_mode, Anywhere, Choice(&["copy", "link", "clone", "copy-file-range"]), "copy", "3.16";
        "how pg_combinebackup brings files together";
    compression, Anywhere, Choice(CODECS), "", "";
        "how WAL files are compressed";
    compression_level, Anywhere, Level, "medium", "3.14";
        "how hard WAL is compressed: a number, or low, medium, high";
    config_changes_queue, Global, Path, "%(barman_home)s/cfg_changes.queue", "3.10";
        "where changes of the configuration wait for cron";
    configuration_files_directory, Global, Path, "", "";
        "directory whose *.conf files are read, too";
    conninfo, NotGlobal, Conninfo, "", "";
        "how the server is reached";
    create_slot, Anywhere, Choice(&["manual", "auto"]), "manual", "";
        "whether a missing replication slot is created";
    custom_compression_filter, Anywhere, Text, "", "";
        "a program of your own that compresses WAL";
    custom_compression_magic, Anywhere, Text, "", "";
        "the bytes, in hexadecimal, that its output begins with";
    custom_decompression_filter, Anywhere, Text, "", "";
        "the program that undoes it";
    description, NotGlobal, Text, "", "";
        "what this server is, for people";
    disabled, NotGlobal, Boolean, "false", "";
        "set by Barman when the configuration has errors; cannot be given";
    encryption, Anywhere, Choice(&["none", "gpg"]), "none", "3.14";
        "whether backups and WAL are encrypted on this host";
    encryption_key_id, Anywhere, Text, "", "";
        "whose GPG key encrypts them";
    encryption_passphrase_command, Anywhere, Text, "", "";
        "program that prints the passphrase for a restore";
    errors_directory, Server, Path, "%(backup_directory)s/errors", "";
        "where WAL files go that cannot be archived";
    forward_config_path, Anywhere, Boolean, "false", "";
        "a passive node tells the primary which configuration file to read";
    gcp_project, Anywhere, Text, "", "";
        "Google Cloud project of the instance and its disks";
    gcp_zone, NotGlobal, Text, "", "";
        "zone of the instance and its disks";
    immediate_checkpoint, Anywhere, Boolean, "false", "";
        "begin a backup with a fast checkpoint instead of a spread one";
    incoming_wals_directory, Server, Path, "%(backup_directory)s/incoming", "";
        "where archive_command puts WAL files";
    keepalive_interval, NotGlobal, Integer(0, MANY), "60", "3.11";
        "seconds between two signs of life to the server during a copy; 0: none";
    last_backup_maximum_age, Anywhere, Interval, "", "";
        "check fails when the newest backup is older";
    last_backup_minimum_size, Anywhere, Size, "", "";
        "check fails when the newest backup is smaller";
    last_wal_maximum_age, Anywhere, Interval, "", "";
        "check fails when the newest WAL file is older";
    local_staging_path, Anywhere, AbsolutePath, "", "";
        "older name of staging_path on this host";
    lock_directory_cleanup, Global, Boolean, "true", "3.10";
        "cron removes lock files that nobody holds";
    log_file, Global, Path, "", "";
        "where to log; without it, on standard error";
    log_format, Global, Raw, "%(asctime)s [%(process)s] %(name)s %(levelname)s: %(message)s", "";
        "form of a line of the log, in Python's notation";
    log_level, Global,
        Choice(&["NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
        "INFO", "";
        "what is worth a line of the log";
    max_incoming_wals_queue, Anywhere, Integer(0, MANY), "", "";
        "check fails when more WAL files wait";
    minimum_redundancy, Anywhere, Integer(0, MANY), "0", "";
        "complete backups that no deletion may go below";
    model, Model, Boolean, "", "3.10";
        "true makes the section a model";
    network_compression, Anywhere, Boolean, "false", "";
        "compress what rsync sends over ssh";
    parallel_jobs, Anywhere, Integer(1, MANY), "1", "";
        "how many copies run at the same time";
    parallel_jobs_start_batch_period, Anywhere, Integer(0, MANY), "1", "";
        "seconds between two groups of starting copies";
    parallel_jobs_start_batch_size, Anywhere, Integer(0, MANY), "10", "";
        "how many copies start in a group";
    path_prefix, Anywhere, Text, "", "";
        "directories that are looked in first for PostgreSQL's programs";
    post_archive_retry_script, NotModel, Text, "", "";
        "program run after a WAL file is archived, again until it succeeds";
    post_archive_script, NotModel, Text, "", "";
        "program run after a WAL file is archived";
    post_backup_retry_script, NotModel, Text, "", "";
        "program run after a backup, again until it succeeds";
    post_backup_script, NotModel, Text, "", "";
        "program run after a backup";
    post_delete_retry_script, NotModel, Text, "", "";
        "program run after a backup is deleted, again until it succeeds";
    post_delete_script, NotModel, Text, "", "";
        "program run after a backup is deleted";
    post_recovery_retry_script, NotModel, Text, "", "";
        "program run after a restore, again until it succeeds";
    post_recovery_script, NotModel, Text, "", "";
        "program run after a restore";
    post_wal_delete_retry_script, NotModel, Text, "", "";
        "program run after a WAL file is deleted, again until it succeeds";
    post_wal_delete_script, NotModel, Text, "", "";
        "program run after a WAL file is deleted";
    pre_archive_retry_script, NotModel, Text, "", "";
        "program run before a WAL file is archived, again until it succeeds";
    pre_archive_script, NotModel, Text, "", "";
        "program run before a WAL file is archived";
    pre_backup_retry_script, NotModel, Text, "", "";
        "program run before a backup, again until it succeeds";
    pre_backup_script, NotModel, Text, "", "";
        "program run before a backup";
    pre_delete_retry_script, NotModel, Text, "", "";
        "program run before a backup is deleted, again until it succeeds";
    pre_delete_script, NotModel, Text, "", "";
        "program run before a backup is deleted";
    pre_recovery_retry_script, NotModel, Text, "", "";
        "program run before a restore, again until it succeeds";
    pre_recovery_script, NotModel, Text, "", "";
        "program run before a restore";
    pre_wal_delete_retry_script, NotModel, Text, "", "";
        "program run before a WAL file is deleted, again until it succeeds";
    pre_wal_delete_script, NotModel, Text, "", "";
        "program run before a WAL file is deleted";
    primary_checkpoint_timeout, NotGlobal, Integer(0, MANY), "0", "3.8";
        "seconds after which a standby's backup has its primary make a checkpoint";
    primary_conninfo, NotGlobal, Conninfo, "", "";
        "how the primary of a standby is reached";
    primary_ssh_command, Anywhere, Text, "", "";
        "ssh to the Barman host that this one copies: makes it a passive node";
    recovery_options, Anywhere, Set(&["get-wal", "delta-restore"]), "", "";
        "how a restore is done";
    recovery_staging_path, Anywhere, AbsolutePath, "", "";
        "older name of staging_path for a restore";
    retention_policy, Anywhere, Retention, "", "";
        "which backups are kept: REDUNDANCY n, or RECOVERY WINDOW OF n DAYS";
    retention_policy_mode, Anywhere, Choice(&["auto"]), "auto", "";
        "who enforces retention";
    reuse_backup, Anywhere, Choice(&["copy", "link", "off"]), "", "";
        "what an rsync backup does with files that have not changed";
    slot_name, Anywhere, SlotName, "", "";
        "replication slot that keeps WAL for the receiver";
    snapshot_disks, NotGlobal, List, "", "";
        "the disks of the instance that hold the cluster";
    snapshot_gcp_project, Anywhere, Text, "", "";
        "older name of gcp_project";
    snapshot_instance, NotGlobal, Text, "", "";
        "the machine whose disks are snapshotted";
    snapshot_provider, Anywhere, Choice(&["gcp", "azure", "aws"]), "", "";
        "the cloud that makes the snapshots";
    snapshot_zone, NotGlobal, Text, "", "";
        "older name of gcp_zone";
    ssh_command, NotGlobal, Text, "", "";
        "how the server's host is reached";
    staging_location, Anywhere, Choice(&["local", "remote"]), "local", "3.15";
        "on which host a restore prepares files";
    staging_path, Anywhere, AbsolutePath, "", "3.15";
        "where a restore prepares files";
    streaming_archiver, Anywhere, Boolean, "off", "";
        "take WAL over a replication connection";
    streaming_archiver_batch_size, Anywhere, Integer(0, MANY), "0", "";
        "the most streamed files that one run of archive-wal takes; 0: all";
    streaming_archiver_name, Anywhere, Text, "barman_receive_wal", "";
        "application_name of the WAL receiver";
    streaming_backup_name, Anywhere, Text, "barman_streaming_backup", "";
        "application_name of a streamed backup";
    streaming_conninfo, NotGlobal, Conninfo, "%(conninfo)s", "";
        "how the server is reached for replication";
    streaming_wals_directory, Server, Path, "%(backup_directory)s/streaming", "";
        "where received WAL waits for archive-wal";
    tablespace_bandwidth_limit, Anywhere, Text, "", "";
        "kilobytes a second for single tablespaces, as name:limit";
    wal_conninfo, NotGlobal, Conninfo, "", "3.10";
        "how the host that WAL comes from is watched";
    wal_retention_policy, Anywhere, Choice(&["main"]), "main", "";
        "which WAL is kept beside what backups need";
    wal_streaming_conninfo, NotGlobal, Conninfo, "", "3.10";
        "how the host that WAL comes from is reached for replication";
    wals_directory, Server, PathOrUrl, "%(backup_directory)s/wals", "";
        "where WAL is kept: a directory or a cloud URL";
    warehousepg_dbid, Anywhere, Integer(0, MANY), "", "3.18";
        "the dbid of a WarehousePG segment";
    worm_mode, Anywhere, Boolean, "off", "3.13.2";
        "for storage that nothing can be deleted from: records lie outside the base backups";
    xlogdb_directory, NotModel, Path, "%(wals_directory)s", "3.13";
        "where the index of WAL files is kept";
}

/// The option of this name.
pub fn find(name: &str) -> Option<&'static ConfigOption> {
    let position = OPTIONS.binary_search_by_key(&name, |option| option.name);
    position.ok().map(|position| &OPTIONS[position])
}

/// The option that differs least from a name that is none, if it is near at all.
pub fn nearest(name: &str) -> Option<&'static str> {
    let distance = |option: &&ConfigOption| strsim::damerau_levenshtein(option.name, name);
    let nearest = OPTIONS.iter().min_by_key(distance)?;
    (distance(&nearest) <= nearest.name.len() / 4).then_some(nearest.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_sorted_so_that_each_is_found() {
        assert!(OPTIONS.is_sorted_by(|a, b| a.name < b.name));
        for option in OPTIONS {
            assert_eq!(find(option.name), Some(option));
            assert!(!option.words.is_empty(), "{}", option.name);
        }
        assert_eq!(find("retention"), None);
    }
}
