//! Why settings cannot be turned into a connection. No text here repeats a password.

use std::io;
use std::path::PathBuf;

use crate::conninfo::BadConninfo;
use crate::conninfo::service::BadServiceFile;

/// Settings that cannot be turned into a connection.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The connection string itself is wrong.
    #[error(transparent)]
    Conninfo(#[from] BadConninfo),
    /// A value that its keyword does not take.
    #[error("invalid value \"{value}\" for {keyword}, expected {expected}")]
    BadValue {
        /// The connection keyword.
        keyword: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A port that is no number in range.
    #[error("invalid port, expected a number from 1 to 65535")]
    BadPort,
    /// Lists of different lengths.
    #[error("{hosts} hosts do not match {addresses} host addresses")]
    HostCount {
        /// Items of `host`.
        hosts: usize,
        /// Items of `hostaddr`.
        addresses: usize,
    },
    /// Lists of different lengths.
    #[error("{ports} ports do not match {hosts} hosts")]
    PortCount {
        /// Items of `port`.
        ports: usize,
        /// Hosts to connect to.
        hosts: usize,
    },
    /// A setting that would change the connection and is not supported.
    #[error("{setting} (from {source_name}) is not supported")]
    Unsupported {
        /// `keyword` or `keyword=value`.
        setting: String,
        /// Where it was set.
        source_name: String,
    },
    /// The service is in no service file.
    #[error("service \"{0}\" is defined in no service file")]
    NoService(String),
    /// PGSERVICEFILE names a file that is not there.
    #[error("service file {} does not exist", .0.display())]
    NoServiceFile(PathBuf),
    /// The service's section is broken.
    #[error("service file {}: {cause}", path.display())]
    ServiceFile {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        cause: BadServiceFile,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The default user is the operating system's, and that has no name.
    #[error("no user to connect as: none is set and the operating system's user has no name")]
    NoUser,
    /// An environment variable that is to be read and is no text.
    #[error("the value of {0} is not UTF-8")]
    NotText(&'static str),
    /// Settings that contradict each other.
    #[error("{0}")]
    Conflict(&'static str),
}
