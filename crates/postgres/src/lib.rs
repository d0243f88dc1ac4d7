//! The wire to PostgreSQL: connection settings as libpq understands them, TLS, authentication and
//! simple queries.
//!
//! From words to a session in three steps, each of which can be tested without the next:
//!
//! 1. [`Environment`] is what the process was given: variables, user, home directory. It is
//!    gathered once, by whoever starts the program.
//! 2. [`Config`] is what to connect to. It is resolved from a [`ConnectOptions`] or a connection
//!    string, with libpq's precedence: explicit, service file, environment, default.
//! 3. [`Client`] is one session that speaks the simple query protocol, the one protocol that an
//!    ordinary and a replication session share.
//!
//! A [`replication::WalSender`] is made of a client for physical replication: slots and the stream
//! of WAL.
//!
//! What a backup is, and which SQL makes one, is the engine's business. This crate never prints
//! and never puts a password into an error or a `Debug` output. The behaviour follows the
//! PostgreSQL manual, chapters "libpq - C Library" and "Frontend/Backend Protocol"; differences
//! are listed in [`conninfo::keyword`].

pub mod client;
pub mod config;
pub mod conninfo;
mod environment;
pub mod replication;
mod tls;

pub use client::error::{ConnectError, Error, ServerError, Severity};
pub use client::row::{Column, Row};
pub use client::{CancelToken, Client};
pub use config::options::{ConnectOptions, DatabaseName};
pub use config::{Config, ConfigError};
pub use environment::{Environment, effective_user_id, home_directory, user_name};
pub use tls::may_serve;
