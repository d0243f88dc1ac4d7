//! The order in which backups happened.

use std::collections::BTreeMap;

use crate::backup::catalogue::Catalogue;
use crate::backup::id::BackupId;

/// The places of backups in the order in which they happened.
#[derive(Debug)]
pub(super) struct Happened(BTreeMap<BackupId, usize>);

impl Happened {
    pub(super) fn of(backups: &Catalogue) -> Happened {
        let in_order = backups.in_order();
        let places = in_order.iter().enumerate();
        Happened(places.map(|(place, (id, _))| (**id, place)).collect())
    }

    pub(super) fn position(&self, id: &BackupId) -> usize {
        self.0.get(id).copied().unwrap_or(usize::MAX)
    }

    pub(super) fn is_before(&self, one: &BackupId, other: &BackupId) -> bool {
        self.position(one) < self.position(other)
    }
}
