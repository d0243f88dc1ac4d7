//! Sizes in bytes as people write and read them.
//!
//! Two conventions that do not agree, both Barman's and kept because options and output are
//! compared with it: [`parse_size`] takes `MB` for a power of 1024 and `MiB` for a power of 1000,
//! the reverse of the standard; [`pretty_size`] shows powers of 1024 under their right names.

/// Text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a size in bytes: {cause}")]
pub struct BadSize {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub cause: BadSizeCause,
}

/// What is wrong with a text that should be a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSizeCause {
    /// It does not begin with a number, or the number is negative.
    #[error("no number such as 100 or 1.5 in front")]
    NoNumber,
    /// What follows the number is no unit.
    #[error(
        "the unit is none of K, M, G, T, P, E and kB, MB, GB, TB, PB, EB (powers of 1024), KiB, \
         MiB, GiB, TiB, PiB, EiB (powers of 1000), B"
    )]
    NoUnit,
    /// A fraction of a byte.
    #[error("a number of bytes is whole")]
    NotWhole,
    /// Zero bytes, which no option means.
    #[error("it is zero")]
    Zero,
    /// More than 2^64 - 1 bytes.
    #[error("it is too large")]
    TooLarge,
}

/// Reads a size as Barman's options do: `100000`, `100GB`, `1.5 gb`, `512KiB`.
///
/// Letters of either case, spaces between number and unit. `K`, `M`, …, which Barman refuses, and
/// `kB`, `MB`, … are powers of **1024**,
/// `KiB`, `MiB`, … powers of **1000** (sic: see the module). Without a unit, or with `B`, the
/// number is whole bytes; with one it may have a fraction, and a fraction of a byte is dropped.
/// Barman also reads exponents, underscores, `ZB` and `YB`; here they are refused.
pub fn parse_size(text: &str) -> Result<u64, BadSize> {
    read_size(text).map_err(|cause| BadSize {
        text: text.to_owned(),
        cause,
    })
}

fn read_size(text: &str) -> Result<u64, BadSizeCause> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let end = unsigned
        .find(|c: char| !matches!(c, '0'..='9' | '.'))
        .unwrap_or(unsigned.len());
    let (number, unit) = unsigned.split_at(end);
    let unit = unit.trim_start_matches(' ');
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(BadSizeCause::NoNumber);
    }
    let factor = unit_factor(unit).ok_or(BadSizeCause::NoUnit)?;
    if factor == 1 && number.contains('.') {
        return Err(BadSizeCause::NotWhole);
    }
    match scaled(whole, fraction, factor).ok_or(BadSizeCause::TooLarge)? {
        0 => Err(BadSizeCause::Zero),
        bytes => Ok(bytes),
    }
}

/// How many bytes a unit stands for, in Barman's reading.
fn unit_factor(unit: &str) -> Option<u64> {
    let upper = unit.to_ascii_uppercase();
    let prefix = match upper.as_str() {
        "" | "B" => return Some(1),
        // A letter alone is what most programs take for a power of 1024.
        other => other.strip_suffix('B').unwrap_or(other),
    };
    let (letter, base) = match prefix.strip_suffix('I') {
        Some(letter) if upper.ends_with('B') => (letter, 1_000u64),
        _ => (prefix, 1_024),
    };
    let power = ["K", "M", "G", "T", "P", "E"]
        .iter()
        .position(|known| *known == letter)?;
    Some(base.pow(u32::try_from(power + 1).ok()?))
}

/// `whole.fraction × factor`, cut off below one; exact, as far as a fraction of 18 digits goes.
fn scaled(whole: &str, fraction: &str, factor: u64) -> Option<u64> {
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction = &fraction[..fraction.len().min(18)];
    let ten = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let part: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let bytes = whole.checked_mul(factor.into())? + part * u128::from(factor) / ten;
    u64::try_from(bytes).ok()
}

/// A size for people: `999 B`, `25.6 MiB`, with one decimal except for bytes.
pub fn pretty_size(bytes: u64) -> String {
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    // The rounding of large numbers to 53 bits is far below one decimal.
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if size < 1_024.0 {
            break;
        }
        size /= 1_024.0;
        unit = larger;
    }
    format!("{size:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_barmans_even_where_they_are_inverted() {
        let sizes = [
            ("100", 100),
            ("100B", 100),
            ("5b", 5),
            ("+5", 5),
            ("1kB", 1_024),
            ("5KB", 5 * 1_024),
            ("5MB", 5 << 20),
            ("100GB", 100 << 30),
            ("1TB", 1 << 40),
            ("1PB", 1 << 50),
            ("15EB", 15 << 60),
            ("5KiB", 5_000),
            ("5mib", 5_000_000),
            ("5GIB", 5_000_000_000),
            ("5TiB", 5_000_000_000_000),
            ("1.5GB", 3 << 29),
            (".5GB", 1 << 29),
            ("5.GB", 5 << 30),
            ("0.1kB", 102),
            ("100  GB", 100 << 30),
            ("10G", 10 << 30),
            ("1.5k", 1_536),
            ("2 T", 2 << 40),
        ];
        for (text, bytes) in sizes {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_its_reason() {
        use BadSizeCause::*;
        // barman-cloud-backup 3.20.1 refuses these too, but for the last four.
        let texts = [
            ("", NoNumber),
            ("GB", NoNumber),
            ("-5MB", NoNumber),
            (" 5MB", NoNumber),
            ("5MB ", NoUnit),
            ("1.2.3GB", NoNumber),
            ("1,5GB", NoUnit),
            ("5Gi", NoUnit),
            ("5I", NoUnit),
            ("5GB B", NoUnit),
            ("5GBB", NoUnit),
            ("0x10", NoUnit),
            ("1000bytes", NoUnit),
            ("100.5", NotWhole),
            ("5.5B", NotWhole),
            ("0", Zero),
            ("0.0001kB", Zero),
            ("1e3MB", NoUnit),
            ("1_000", NoUnit),
            ("5ZB", NoUnit),
            ("16EB", TooLarge),
        ];
        for (text, cause) in texts {
            assert_eq!(parse_size(text).unwrap_err().cause, cause, "{text}");
        }
    }

    #[test]
    fn the_error_quotes_the_text() {
        assert_eq!(
            parse_size("5Q").unwrap_err().to_string(),
            "\"5Q\" is not a size in bytes: the unit is none of K, M, G, T, P, E and kB, MB, GB, \
             TB, PB, EB (powers of 1024), KiB, MiB, GiB, TiB, PiB, EiB (powers of 1000), B"
        );
    }

    #[test]
    fn sizes_are_shown_as_barman_shows_them() {
        // The first six from output of `barman show-backup` 3.20.1.
        let sizes = [
            (26_819_929, "25.6 MiB"),
            (3_102_071, "3.0 MiB"),
            (23_725_978, "22.6 MiB"),
            (16_760, "16.4 KiB"),
            (239, "239 B"),
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_048_575, "1024.0 KiB"),
            (100 << 30, "100.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(pretty_size(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn whole_bytes_survive_being_written_and_read(bytes in 1u64..) {
            prop_assert_eq!(parse_size(&bytes.to_string()), Ok(bytes));
            prop_assert_eq!(parse_size(&format!("{bytes} B")), Ok(bytes));
        }

        #[test]
        fn whole_units_survive(count in 1u64..1_000_000, power in 1u32..=4) {
            let unit = ["kB", "MB", "GB", "TB"][power as usize - 1];
            let expected = count.checked_mul(1_024u64.pow(power)).unwrap();
            prop_assert_eq!(parse_size(&format!("{count}{unit}")), Ok(expected));
        }

        #[test]
        fn arbitrary_text_never_panics(
            text in any::<String>(),
            digits in "[0-9.]{0,60}[kKMGiB]{0,3}",
        ) {
            let _ = parse_size(&text);
            let _ = parse_size(&digits);
        }

        #[test]
        fn every_size_can_be_shown(bytes in any::<u64>()) {
            prop_assert!(pretty_size(bytes).ends_with('B'));
        }
    }
}
