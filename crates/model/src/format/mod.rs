//! One format, one file, one document: each module parses and renders one text or binary form.

pub mod backup_info;
pub mod python_literal;
