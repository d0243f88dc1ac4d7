//! Rows and positions as a WAL sender writes them.

use bytes::{Buf, Bytes};

use crate::client::error::Error;

/// The values of a row, NULL or not.
pub(super) type Values = Vec<Option<Bytes>>;

/// Reads a row: the number of values, then each with its length, -1 for NULL.
pub(super) fn read_row(mut body: Bytes) -> Result<Values, Error> {
    let short = || Error::Protocol("a row that ends too early".to_owned());
    let count = body.try_get_u16().map_err(|_| short())?;
    let mut values = Vec::new();
    for _ in 0..count {
        let length = body.try_get_i32().map_err(|_| short())?;
        values.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) if length <= body.len() => Some(body.split_to(length)),
            Ok(_) => return Err(short()),
        });
    }
    Ok(values)
}

pub(super) fn text(row: &Values, column: usize) -> Result<&str, Error> {
    optional(row, column)?.ok_or_else(|| Error::Protocol(format!("nothing in column {column}")))
}

pub(super) fn optional(row: &Values, column: usize) -> Result<Option<&str>, Error> {
    let value = row.get(column).and_then(Option::as_deref);
    let bad = |_| Error::Protocol(format!("column {column} is no text"));
    value.map(std::str::from_utf8).transpose().map_err(bad)
}

pub(super) fn number<T: std::str::FromStr>(row: &Values, column: usize) -> Result<T, Error> {
    let text = text(row, column)?;
    let bad = |_| Error::Protocol(format!("{text:?} where a number was expected"));
    text.parse().map_err(bad)
}

pub(super) fn position(row: &Values, column: usize) -> Result<u64, Error> {
    read_position(text(row, column)?)
}

/// Reads `0/5000028`.
pub(super) fn read_position(text: &str) -> Result<u64, Error> {
    let halves = text.split_once('/').and_then(|(high, low)| {
        let high = u32::from_str_radix(high, 16).ok()?;
        let low = u32::from_str_radix(low, 16).ok()?;
        Some(u64::from(high) << 32 | u64::from(low))
    });
    halves.ok_or_else(|| Error::Protocol(format!("{text:?} where a position was expected")))
}

/// Writes `0/5000028`.
pub(super) fn write_position(position: u64) -> String {
    format!("{:X}/{:X}", position >> 32, position & 0xFFFF_FFFF)
}

/// A name in a command, in quotes as SQL's identifiers.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_and_one_that_lies_about_its_length_is_refused() {
        let body = [&[0, 3, 0, 0, 0, 1][..], b"a", &[0xFF; 4], &[0, 0, 0, 0]].concat();
        let row = read_row(body.into()).unwrap();
        assert_eq!(text(&row, 0).unwrap(), "a");
        assert_eq!(optional(&row, 1).unwrap(), None);
        assert_eq!(optional(&row, 2).unwrap(), Some(""));
        assert_eq!(optional(&row, 3).unwrap(), None);
        for body in [
            &[0][..],
            &[0, 1],
            &[0, 1, 0, 0, 0, 2, b'a'],
            &[0, 1, 0x7F, 0xFF, 0xFF, 0xFF],
        ] {
            assert!(read_row(Bytes::copy_from_slice(body)).is_err(), "{body:?}");
        }
    }

    #[test]
    fn positions_are_read_as_they_are_written() {
        for position in [0, 0x5000028, 0xA_0000_0000, u64::MAX] {
            assert_eq!(read_position(&write_position(position)).unwrap(), position);
        }
        for text in ["", "0", "0/", "1/2/3", "123456789/0", "x/y"] {
            assert!(read_position(text).is_err(), "{text}");
        }
    }
}
