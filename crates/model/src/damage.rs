//! Pages of a backup whose checksums are wrong: what `annotations/damage` beside a backup says.
//!
//! The annotation is ours; Barman ignores it. One line per page, tab-separated: file, block, LSN,
//! the checksum the content asks for, the checksum that is stored (both as four hex digits). A
//! backup without the annotation had no damaged page, or its cluster has no checksums.

use std::fmt;
use std::str::FromStr;

use crate::wal::lsn::Lsn;

/// A page whose stored checksum does not fit its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedPage {
    /// The file, relative to the data directory.
    pub file: String,
    /// The page's number within its relation fork.
    pub block: u32,
    /// The position of the page's last change, if its header can be believed.
    pub lsn: Lsn,
    /// The checksum the content asks for.
    pub expected: u16,
    /// The checksum that is stored.
    pub found: u16,
}

impl fmt::Display for DamagedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DamagedPage {
            file,
            block,
            lsn,
            expected,
            found,
        } = self;
        write!(
            f,
            "page checksum wrong in {file}, block {block} (LSN {lsn}): \
             stored {found:04X}, calculated {expected:04X}"
        )
    }
}

/// A line that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line:?} is not a line of a damage annotation")]
pub struct BadDamage {
    /// What was found.
    pub line: String,
}

impl FromStr for DamagedPage {
    type Err = BadDamage;

    fn from_str(line: &str) -> Result<DamagedPage, BadDamage> {
        let parsed = || {
            let mut fields = line.split('\t');
            let page = DamagedPage {
                file: fields.next()?.to_owned(),
                block: fields.next()?.parse().ok()?,
                lsn: fields.next()?.parse().ok()?,
                expected: u16::from_str_radix(fields.next()?, 16).ok()?,
                found: u16::from_str_radix(fields.next()?, 16).ok()?,
            };
            fields.next().is_none().then_some(page)
        };
        parsed().ok_or_else(|| BadDamage {
            line: line.to_owned(),
        })
    }
}

/// The annotation's body.
pub fn render(pages: &[DamagedPage]) -> String {
    let line = |page: &DamagedPage| {
        let DamagedPage {
            file,
            block,
            lsn,
            expected,
            found,
        } = page;
        // A file name of PostgreSQL's has neither; one of somebody else's must not break a line.
        let file = file.replace(['\t', '\n'], "?");
        format!("{file}\t{block}\t{lsn}\t{expected:04X}\t{found:04X}\n")
    };
    pages.iter().map(line).collect()
}

/// Reads the annotation's body.
///
/// # Errors
/// When a line is not one of ours.
pub fn parse(body: &str) -> Result<Vec<DamagedPage>, BadDamage> {
    body.lines().map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_comes_back_as_it_was_written() {
        let page = |block| DamagedPage {
            file: "base/5/16384".to_owned(),
            block,
            lsn: Lsn::new(0x0150_0028),
            expected: 0xBEEF,
            found: 1,
        };
        let pages = vec![page(0), page(131_072)];
        assert_eq!(
            render(&pages[..1]),
            "base/5/16384\t0\t0/1500028\tBEEF\t0001\n"
        );
        assert_eq!(parse(&render(&pages)), Ok(pages));
    }

    #[test]
    fn other_text_is_refused() {
        for body in ["x\n", "f\t1\t0/1\tBEEF\n", "f\t1\t0/1\tBEEF\t0001\tmore\n"] {
            assert!(parse(body).is_err(), "{body:?}");
        }
    }
}
