//! A deletion as a value: what goes, what stays, and in which order it is carried out.

use std::collections::BTreeMap;

use super::choose::Why;
use super::notes::Note;
use super::wal::{WalFate, WalRun};
use crate::backup::BackupInfo;
use crate::backup::id::BackupId;
use crate::codec::Codec;
use crate::layout::RECORD;
use crate::wal::name::WalName;

/// What goes and what stays, each with its reason.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletionPlan {
    /// What whoever deletes should know.
    pub notes: Vec<Note>,
    /// Every backup, in the order in which they happened.
    pub backups: Vec<BackupFate>,
    /// All WAL, in runs of the same fate.
    pub wal: Vec<WalRun>,
}

/// What becomes of a backup.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupFate {
    /// Which one.
    pub id: BackupId,
    /// Why.
    pub reason: Why,
    /// What there is to delete, if it goes.
    pub goes: Option<Going>,
}

/// A backup that goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Going {
    /// Its record as it is.
    pub record: Box<BackupInfo>,
    /// The objects below its folder, but neither annotations nor record.
    pub data: Vec<String>,
    /// The annotations below its folder.
    pub annotations: Vec<String>,
}

/// One object to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An object of a backup: the rest of its key below the backup's folder.
    Object(BackupId, String),
    /// A WAL file.
    Wal(WalName, Codec),
}

impl DeletionPlan {
    /// The backups that go, in the order in which they happened.
    pub fn going(&self) -> impl Iterator<Item = (&BackupId, &Going)> {
        let fates = self.backups.iter();
        fates.filter_map(|fate| Some((&fate.id, fate.goes.as_ref()?)))
    }

    /// Backups that say STARTED though a later one is DONE, and how many WAL files stay only
    /// because such a backup may still be going on.
    pub fn held(&self) -> BTreeMap<BackupId, usize> {
        let mut held = BTreeMap::new();
        for run in &self.wal {
            if let WalFate::HeldBy(id) = run.fate {
                *held.entry(id).or_default() += run.count;
            }
        }
        held
    }

    /// What to delete once every record is marked: the next group only when the one before it is
    /// gone.
    pub fn groups(&self) -> [Vec<Target>; 4] {
        let objects = |names: fn(&Going) -> Vec<String>| -> Vec<Target> {
            self.going()
                .flat_map(|(id, going)| {
                    let names = names(going).into_iter();
                    names.map(|name| Target::Object(*id, name))
                })
                .collect()
        };
        let wal = self.wal.iter().flat_map(|run| &run.goes);
        [
            objects(|going| going.data.clone()),
            wal.map(|(name, codec)| Target::Wal(*name, *codec))
                .collect(),
            objects(|going| going.annotations.clone()),
            objects(|_| vec![RECORD.to_owned()]),
        ]
    }
}
