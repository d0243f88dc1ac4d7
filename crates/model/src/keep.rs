//! The keep annotation: a backup that retention policies leave alone.
//!
//! It is a small object or file beside the backup; where it lies in a bucket is
//! [`crate::layout::Layout::annotation_keep`]'s to say. Only complete backups are kept; whoever
//! sets the annotation checks that.

use std::fmt;

/// What must stay of a kept backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeepTarget {
    /// The backup and all WAL from it on: any later moment can be restored.
    Full,
    /// The backup and the WAL it needs to become consistent: only its own moment can be restored.
    Standalone,
}

/// A keep annotation whose content is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("keep annotation {body:?} is neither \"full\" nor \"standalone\"")]
pub struct BadKeep {
    /// The content, or the beginning of it.
    pub body: String,
}

impl KeepTarget {
    /// Reads the content of the annotation; spaces and line ends around it do not matter.
    pub fn parse(body: &str) -> Result<KeepTarget, BadKeep> {
        match body.trim() {
            "full" => Ok(KeepTarget::Full),
            "standalone" => Ok(KeepTarget::Standalone),
            other => Err(BadKeep {
                body: other.chars().take(40).collect(),
            }),
        }
    }

    /// The content of the annotation, without a line end.
    pub const fn render(self) -> &'static str {
        match self {
            KeepTarget::Full => "full",
            KeepTarget::Standalone => "standalone",
        }
    }
}

impl fmt::Display for KeepTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.render())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_targets_survive_being_written_and_read() {
        for target in [KeepTarget::Full, KeepTarget::Standalone] {
            assert_eq!(KeepTarget::parse(target.render()), Ok(target));
        }
        assert_eq!(KeepTarget::parse("full\n"), Ok(KeepTarget::Full));
    }

    #[test]
    fn other_content_is_refused_and_quoted_in_part() {
        for body in ["", "FULL", "fullstandalone"] {
            assert!(KeepTarget::parse(body).is_err());
        }
        assert_eq!(
            KeepTarget::parse(&"é".repeat(1_000))
                .unwrap_err()
                .body
                .chars()
                .count(),
            40
        );
    }
}
