//! Rows with named columns.

use serde_json::{Map, Value};

/// A table: the columns' names, and rows of as many values.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    pub(super) columns: [&'static str; N],
    pub(super) rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// `|`-separated text. Without rows FreeSWITCH prints no columns either, unless `always_headed`. A value that holds a
    /// `|` or a line break is not protected: FreeSWITCH does not, either.
    pub(super) fn to_text(&self, always_headed: bool) -> String {
        let mut text = String::new();
        if always_headed || !self.rows.is_empty() {
            text += &self.columns.join("|");
            text.push('\n');
        }
        for row in &self.rows {
            text += &row.join("|");
            text.push('\n');
        }
        text += "+OK\n";
        text
    }

    /// A list of objects whose values are all texts.
    pub(super) fn to_json(&self) -> Value {
        let object = |row: &[String; N]| -> Value {
            let members = self.columns.iter().zip(row);
            members.map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect::<Map<_, _>>().into()
        };
        self.rows.iter().map(object).collect()
    }
}
