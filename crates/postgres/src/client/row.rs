//! Rows of an answer, as text.

use std::sync::Arc;

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The object identifier of its type, such as 25 for `text`.
    pub type_oid: u32,
}

/// One row: a text or nothing (NULL) for each column, in PostgreSQL's output format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub(crate) columns: Arc<[Column]>,
    pub(crate) values: Vec<Option<String>>,
}

/// Something that picks a column: its name or its number from 0.
pub trait ColumnIndex {
    /// The number of the column, if there is such a column.
    fn position(&self, columns: &[Column]) -> Option<usize>;
}

impl ColumnIndex for usize {
    fn position(&self, columns: &[Column]) -> Option<usize> {
        (*self < columns.len()).then_some(*self)
    }
}

impl ColumnIndex for &str {
    fn position(&self, columns: &[Column]) -> Option<usize> {
        columns.iter().position(|column| column.name == *self)
    }
}

impl Row {
    /// The text of a column; nothing when it is NULL or when there is no such column.
    pub fn get(&self, column: impl ColumnIndex) -> Option<&str> {
        self.values.get(column.position(&self.columns)?)?.as_deref()
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The values, in order.
    pub fn values(&self) -> impl Iterator<Item = Option<&str>> {
        self.values.iter().map(Option::as_deref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_by_name_and_by_number() {
        let column = |name: &str| Column {
            name: name.to_owned(),
            type_oid: 25,
        };
        let row = Row {
            columns: [column("a"), column("b")].into(),
            values: vec![Some("1".to_owned()), None],
        };
        assert_eq!((row.get("a"), row.get(0)), (Some("1"), Some("1")));
        assert_eq!((row.get("b"), row.get("c"), row.get(2)), (None, None, None));
    }
}
