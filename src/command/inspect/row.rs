//! Rows of what is inspected: a table for people, an array for programs.

use std::fmt::Debug;
use std::io::{self, Write};

use serde::Serialize;

use crate::cli::table::{Align, Table};
use crate::command::CommandError;
use crate::units::WallTime;

/// A line of a table, an object of an array.
pub(super) trait Row: Serialize {
    /// Headings of the table.
    const COLUMNS: &'static [(&'static str, Align)];

    /// The values below them; `time_text` shows a time.
    fn cells(&self, time_text: &dyn Fn(WallTime) -> String) -> Vec<String>;
}

/// Where it is printed, and how.
pub(super) struct Printer<'a> {
    pub out: &'a mut dyn Write,
    pub json: bool,
    pub time_text: &'a dyn Fn(WallTime) -> String,
}

impl Printer<'_> {
    /// Prints rows; those before one that fails are printed, too.
    pub fn rows<R: Row>(
        &mut self,
        rows: impl Iterator<Item = Result<R, CommandError>>,
    ) -> Result<(), CommandError> {
        match self.json {
            true => self.array(rows),
            false => self.table(rows),
        }
    }

    fn table<R: Row>(
        &mut self,
        rows: impl Iterator<Item = Result<R, CommandError>>,
    ) -> Result<(), CommandError> {
        let mut table = Table::new(R::COLUMNS);
        let mut outcome = Ok(());
        for row in rows {
            match row {
                Ok(row) => table.push(row.cells(self.time_text)),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        write!(self.out, "{table}")?;
        outcome
    }

    /// One array, with an object a line.
    pub fn array<R: Serialize>(
        &mut self,
        rows: impl Iterator<Item = Result<R, CommandError>>,
    ) -> Result<(), CommandError> {
        write!(self.out, "[")?;
        for (number, row) in rows.enumerate() {
            let row = row?;
            self.out.write_all(if number == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut *self.out, &row).map_err(io::Error::from)?;
        }
        Ok(writeln!(self.out, "\n]")?)
    }

    /// One object.
    pub fn object(&mut self, object: &impl Serialize) -> Result<(), CommandError> {
        serde_json::to_writer_pretty(&mut *self.out, object).map_err(io::Error::from)?;
        Ok(writeln!(self.out)?)
    }
}

/// The name of a variant in words: `TimeJump` is `time jump`.
pub(super) fn words(variant: impl Debug) -> String {
    let name = format!("{variant:?}");
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if (letter.is_uppercase() || letter == '(') && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{EndReason, ObservationKind};

    #[test]
    fn variants_become_words() {
        assert_eq!(words(EndReason::ParametersChanged), "parameters changed");
        assert_eq!(words(EndReason::Loss), "loss");
        assert_eq!(words(ObservationKind::Unknown(77)), "unknown (77)");
        assert_eq!(hexadecimal(&[0, 0x1f, 0xff]), "001fff");
    }
}
