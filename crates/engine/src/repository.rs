//! Where one server's things are kept.
//!
//! A shelf is one place and the names that things have there; a repository is up to three shelves:
//! one for records, one for base backups, one for WAL. For the cloud commands all three are the
//! same. Always true: an object of a server is addressed through its shelf, never by a key alone.

use model::deletion::Target;
use model::layout::{Layout, Part};

use crate::store::Bucket;

/// One place for one server's things: where it is, and what things are called there.
#[derive(Clone)]
pub struct Shelf {
    /// The store.
    pub bucket: Bucket,
    /// The names.
    pub layout: Layout,
}

/// Where one server's records, base backups and WAL are.
#[derive(Clone)]
pub struct Repository {
    /// Records and annotations: what makes a backup visible.
    pub records: Shelf,
    /// Archives of backups.
    pub bases: Shelf,
    /// WAL files.
    pub wals: Shelf,
}

impl Shelf {
    /// Whether it is the same place.
    pub fn is(&self, other: &Shelf) -> bool {
        self.bucket.url == other.bucket.url && self.layout == other.layout
    }
}

impl Repository {
    /// Everything in one place.
    pub fn on_one(shelf: Shelf) -> Repository {
        Repository {
            records: shelf.clone(),
            bases: shelf.clone(),
            wals: shelf,
        }
    }

    /// The shelves that have parts of backups, each once.
    pub fn of_backups(&self) -> impl Iterator<Item = &Shelf> {
        let others = Some(&self.records).filter(|records| !records.is(&self.bases));
        std::iter::once(&self.bases).chain(others)
    }

    /// Where a part of a backup is.
    pub fn shelf_of(&self, part: Part<'_>) -> &Shelf {
        match part {
            Part::Data(_) => &self.bases,
            Part::Record | Part::Keep | Part::Damage | Part::Annotation(_) => &self.records,
        }
    }

    /// Where something that is to be deleted is, and its key there.
    pub fn place_of(&self, target: &Target) -> (&Shelf, String) {
        match target {
            Target::Object(id, name) => {
                let shelf = self.shelf_of(Part::of(name));
                (shelf, format!("{}/{name}", shelf.layout.base(id)))
            }
            Target::Wal(name, codec) => (&self.wals, self.wals.layout.wal(name, *codec)),
        }
    }
}
