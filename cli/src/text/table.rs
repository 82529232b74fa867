//! Tables that stream: the first rows decide how wide the columns are, the others follow at once.
//!
//! ```text
//!   rows ->  held back (up to HELD)  -> widths -> out
//!   later rows ----------------------------------> out      a wider cell pushes its own line only
//! ```

use std::io::{self, Write};

use super::width;

/// So many rows are held back to find the widths. Bounds memory for a table of any length.
const HELD: usize = 1_000;

/// To which side a column's cells go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A column: its heading and its alignment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column(pub &'static str, pub Align);

/// A table being written. Cells must not hold control characters ([`super::plain`]); an empty cell is shown as `-`.
pub(crate) struct Table<'a, W: Write> {
    out: &'a mut W,
    columns: &'static [Column],
    widths: Vec<usize>,
    held: Vec<Vec<String>>,
    begun: bool,
}

impl<'a, W: Write> Table<'a, W> {
    /// A table of these columns. Nothing is written yet.
    pub(crate) fn new(out: &'a mut W, columns: &'static [Column]) -> Self {
        let widths = columns.iter().map(|column| width(column.0)).collect();
        Self { out, columns, widths, held: Vec::new(), begun: false }
    }

    /// One row, as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: Vec<String>) -> io::Result<()> {
        debug_assert_eq!(cells.len(), self.columns.len());
        if self.begun {
            return self.line(&cells);
        }
        for (cell, width_max) in cells.iter().zip(&mut self.widths) {
            *width_max = width(cell).max(*width_max);
        }
        self.held.push(cells);
        if self.held.len() >= HELD { self.begin() } else { Ok(()) }
    }

    /// Writes what is held back; the heading is written even where there are no rows.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.begun { Ok(()) } else { self.begin() }
    }

    fn begin(&mut self) -> io::Result<()> {
        self.begun = true;
        let heading: Vec<String> = self.columns.iter().map(|column| column.0.to_owned()).collect();
        self.line(&heading)?;
        for cells in std::mem::take(&mut self.held) {
            self.line(&cells)?;
        }
        Ok(())
    }

    fn line(&mut self, cells: &[String]) -> io::Result<()> {
        let mut line = String::with_capacity(128);
        for (n, ((cell, column), width_max)) in cells.iter().zip(self.columns).zip(&self.widths).enumerate() {
            if n > 0 {
                line.push_str("  ");
            }
            let cell = if cell.is_empty() && !column.0.is_empty() { "-" } else { cell };
            let fill = width_max.saturating_sub(width(cell));
            if column.1 == Align::Right {
                line.extend(std::iter::repeat_n(' ', fill));
            }
            line.push_str(cell);
            if column.1 == Align::Left {
                line.extend(std::iter::repeat_n(' ', fill));
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        self.out.write_all(line.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] =
        &[Column("NAME", Align::Left), Column("SIZE", Align::Right), Column("TEXT", Align::Left)];

    fn table(rows: &[[&str; 3]]) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, COLUMNS);
        for row in rows {
            table.row(row.iter().map(|&cell| cell.to_owned()).collect()).unwrap();
        }
        table.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        assert_eq!(
            table(&[["a", "1 B", "x"], ["日本", "12 KiB", ""], ["", "0", "y z"]]),
            "NAME    SIZE  TEXT\na        1 B  x\n日本  12 KiB  -\n-          0  y z\n"
        );
    }

    #[test]
    fn a_table_without_rows_is_its_heading() {
        assert_eq!(table(&[]), "NAME  SIZE  TEXT\n");
    }

    #[test]
    fn after_the_rows_held_back_a_wider_cell_pushes_its_own_line_only() {
        let mut rows = vec![["a", "1", "x"]; HELD];
        rows.push(["much-too-wide", "1", "x"]);
        rows.push(["a", "1", "x"]);
        let text = table(&rows);
        let lines: Vec<_> = text.lines().rev().take(3).collect();
        assert_eq!(lines, ["a        1  x", "much-too-wide     1  x", "a        1  x"]);
    }
}
