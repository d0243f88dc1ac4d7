//! The parts of a backup by the names of its objects.

/// The record's name in a backup's folder.
pub const RECORD: &str = "backup.info";
/// The annotation that keeps a backup.
pub(super) const KEEP: &str = "annotations/keep";
/// The annotation that lists damaged pages.
pub(super) const DAMAGE: &str = "annotations/damage";
/// What every annotation's name begins with.
const ANNOTATIONS: &str = "annotations/";

/// What an object below a backup's folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// The record, which makes it a backup.
    Record,
    /// The annotation that keeps it from retention.
    Keep,
    /// The annotation that lists its damaged pages.
    Damage,
    /// Another annotation, by its whole name.
    Annotation(&'a str),
    /// Anything else: archives, labels, what nobody knows.
    Data(&'a str),
}

impl<'a> Part<'a> {
    /// What the rest of a key below the backup's folder names.
    pub fn of(name: &'a str) -> Part<'a> {
        match name {
            RECORD => Part::Record,
            KEEP => Part::Keep,
            DAMAGE => Part::Damage,
            _ if name.starts_with(ANNOTATIONS) => Part::Annotation(name),
            _ => Part::Data(name),
        }
    }

    /// Whether it is said about the backup, rather than part of it.
    pub const fn is_annotation(self) -> bool {
        matches!(self, Part::Keep | Part::Damage | Part::Annotation(_))
    }
}
