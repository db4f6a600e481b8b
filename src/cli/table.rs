//! Tables for people: columns that line up, numbers at their right edge.

use std::fmt;

/// To which edge of its column a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Names and texts.
    Left,
    /// Numbers.
    Right,
}

/// A table that is printed when all its rows are known.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    #[must_use]
    pub fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. A missing value stays blank, one too many is left out. Control characters
    /// (a name on a ring may be anything) become `?`, so that no value can move the cursor.
    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        let printable = |value: String| value.replace(char::is_control, "?");
        let mut row: Vec<_> = row.into_iter().map(printable).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |at: usize| {
            let values = self.rows.iter().map(|row| row[at].chars().count());
            values.chain([self.columns[at].0.chars().count()]).max().unwrap_or(0)
        };
        (0..self.columns.len()).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let headings = self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for ((value, width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                match align {
                    Align::Left => line += &format!("{value:<width$}  "),
                    Align::Right => line += &format!("{value:>width$}  "),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_blanks() {
        let mut table = Table::new(&[("camera", Align::Left), ("frames", Align::Right)]);
        assert!(table.is_empty());
        table.push(["front-door".to_owned(), "1250".to_owned()]);
        table.push(["höf".to_owned(), "7".to_owned()]);
        table.push(["idle".to_owned()]);
        let lines = ["camera      frames", "front-door    1250", "höf              7", "idle", ""];
        assert_eq!(table.to_string(), lines.join("\n"));
    }

    #[test]
    fn a_value_can_not_move_the_cursor() {
        let mut table = Table::new(&[("name", Align::Left)]);
        table.push(["a\u{1b}[2Jb\n".to_owned()]);
        assert_eq!(table.to_string(), "name\na?[2Jb?\n");
    }
}
