//! Log sequence numbers: byte positions in the write-ahead log.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::postgres::SegmentSize;

/// A byte position in the write-ahead log, counted from the cluster's imaginary beginning.
///
/// Written as PostgreSQL writes it (manual, "pg_lsn Type"): the upper and lower 32 bits in
/// upper-case hexadecimal without leading zeros, `0/5000028`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

/// Text that is not an LSN.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not an LSN: expected two hexadecimal numbers such as 0/5000028")]
pub struct BadLsn {
    /// What was offered.
    pub text: String,
}

impl Lsn {
    /// Takes a position in bytes.
    pub const fn new(position: u64) -> Lsn {
        Lsn(position)
    }

    /// The position in bytes.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// How many whole segments of this size lie before the position.
    pub const fn segment_number(self, size: SegmentSize) -> u64 {
        self.0 / size.bytes()
    }

    /// The position's distance in bytes from the beginning of its segment.
    pub const fn offset(self, size: SegmentSize) -> u64 {
        self.0 % size.bytes()
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = BadLsn;

    /// Reads what `pg_lsn` reads: one to eight hexadecimal digits, of either case, on each side.
    fn from_str(text: &str) -> Result<Lsn, BadLsn> {
        parse(text).ok_or_else(|| BadLsn {
            text: text.to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<Lsn> {
    let (high, low) = text.split_once('/')?;
    Some(Lsn(parse_half(high)? << 32 | parse_half(low)?))
}

fn parse_half(digits: &str) -> Option<u64> {
    // from_str_radix alone would also take a sign.
    let well_formed =
        (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if well_formed {
        u64::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_lsn_is_written_as_postgresql_writes_it() {
        for (value, text) in [
            (0, "0/0"),
            (0x5000028, "0/5000028"),
            (0x16_B374_D848, "16/B374D848"),
            (u64::MAX, "FFFFFFFF/FFFFFFFF"),
        ] {
            assert_eq!(Lsn::new(value).to_string(), text);
            assert_eq!(text.parse(), Ok(Lsn::new(value)));
        }
    }

    #[test]
    fn lower_case_and_leading_zeros_are_read() {
        assert_eq!("0/0500002a".parse(), Ok(Lsn::new(0x500_002A)));
    }

    #[test]
    fn text_that_is_no_lsn_is_refused() {
        for text in [
            "",
            "/",
            "0",
            "0/",
            "/0",
            "0/0/0",
            "g/0",
            "0/123456789",
            "+1/0",
            "0/ 1",
            "0/é",
        ] {
            assert_eq!(
                text.parse::<Lsn>(),
                Err(BadLsn {
                    text: text.to_owned()
                }),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_position_falls_into_a_segment() {
        let lsn = Lsn::new(0x1_0500_0028);
        assert_eq!(lsn.segment_number(SegmentSize::DEFAULT), 0x105);
        assert_eq!(lsn.offset(SegmentSize::DEFAULT), 0x28);
    }

    proptest! {
        #[test]
        fn every_lsn_round_trips(value: u64) {
            let lsn = Lsn::new(value);
            prop_assert_eq!(lsn.to_string().parse(), Ok(lsn));
        }

        #[test]
        fn any_text_is_answered(text: String) {
            let _ = text.parse::<Lsn>();
        }
    }
}
