//! A backup's identity: the moment it was asked for, to the second.
//!
//! The text is `YYYYMMDDTHHMMSS` in the **local** time of the machine that took the backup; whoever
//! takes it passes that time in. It names a directory or an object prefix, and is not stored inside
//! `backup.info`. Always true: 15 ASCII characters, and sorting ids sorts by that time.

use std::fmt;
use std::str::FromStr;

/// The id of one backup, such as `20261121T081044`.
///
/// Only the shape is checked, as Barman does: `20269999T999999` is the id of a backup that does
/// not exist, not a malformed id. The order is the order of time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackupId([u8; BackupId::LENGTH]);

/// Text that is no backup id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a backup id of the form YYYYMMDDTHHMMSS")]
pub struct BadBackupId {
    /// What was given.
    pub text: String,
}

impl BackupId {
    /// Characters in an id.
    pub const LENGTH: usize = 15;

    /// The id of a backup asked for at this local time; fractions of a second are dropped.
    /// A year outside 0..=9999 has no id.
    pub fn from_civil(local: jiff::civil::DateTime) -> Result<BackupId, BadBackupId> {
        let (date, time) = (local.date(), local.time());
        let text = format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        text.parse()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id holds ASCII digits and a T")
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackupId({})", self.as_str())
    }
}

impl FromStr for BackupId {
    type Err = BadBackupId;

    fn from_str(text: &str) -> Result<BackupId, BadBackupId> {
        let bad = || BadBackupId {
            text: text.to_owned(),
        };
        let bytes: [u8; BackupId::LENGTH] = text.as_bytes().try_into().map_err(|_| bad())?;
        let shaped = bytes.iter().enumerate().all(|(place, byte)| match place {
            8 => *byte == b'T',
            _ => byte.is_ascii_digit(),
        });
        if shaped {
            Ok(BackupId(bytes))
        } else {
            Err(bad())
        }
    }
}

/// Ids with commas between them, as `backup.info` and JSON list a backup's children; no ids at all
/// are no text.
pub(crate) fn joined(ids: Option<&[BackupId]>) -> Option<String> {
    let texts: Vec<&str> = ids?.iter().map(BackupId::as_str).collect();
    Some(texts.join(",")).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_id_is_the_local_time_to_the_second() {
        let local = date(2026, 11, 21).at(8, 10, 44, 999_999_999);
        assert_eq!(
            BackupId::from_civil(local).unwrap().to_string(),
            "20261121T081044"
        );
        assert!(BackupId::from_civil(date(-1, 1, 1).at(0, 0, 0, 0)).is_err());
    }

    #[test]
    fn text_of_another_shape_is_refused() {
        for text in [
            "",
            "20261121",
            "20261121t081044",
            "20261121T08104",
            "20261121T0810444",
            "2026-11-21T08:1",
            "20261121 081044",
            "२०२६T1234",
            " 0261121T081044",
        ] {
            let error = text.parse::<BackupId>().unwrap_err();
            assert!(error.to_string().contains("YYYYMMDDTHHMMSS"), "{text}");
        }
    }

    #[test]
    fn ids_sort_by_time() {
        let earlier: BackupId = "20261121T081044".parse().unwrap();
        let later: BackupId = "20261121T081046".parse().unwrap();
        assert!(earlier < later);
    }

    #[test]
    fn an_id_fills_a_column() {
        let id: BackupId = "20261121T081044".parse().unwrap();
        assert_eq!(format!("{id:20}|"), "20261121T081044     |");
    }

    proptest! {
        #[test]
        fn an_id_survives_being_written_and_read(text in "[0-9]{8}T[0-9]{6}") {
            let id: BackupId = text.parse().unwrap();
            prop_assert_eq!(id.to_string(), text);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*") {
            let _ = text.parse::<BackupId>();
        }
    }
}
