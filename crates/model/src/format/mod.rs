//! On-disk formats, one per file: each alone knows its syntax, parses it and renders it.
//!
//! Nothing here opens a file. `docs/formats/` describes the same bytes in prose.

pub mod backup_info;
pub mod backup_label;
pub mod backup_manifest;
pub mod postgresql_conf;
pub mod python_literal;
