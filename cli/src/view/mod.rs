//! Documents of the contract as text for people. Pure: each function takes what was read and gives lines; whoever prints them is elsewhere.

mod agent;
mod domain;
mod operation;
mod plan;
mod snapshot;

pub(crate) use agent::status;
pub(crate) use domain::{DOMAIN_COLUMNS, Run, domain_row};
pub(crate) use operation::{OPERATION_COLUMNS, ended, operation, operation_row, what};
pub(crate) use plan::plan;
pub(crate) use snapshot::{LIST_ALL_COLUMNS, LIST_COLUMNS, head_cells, is_kind, snapshot, tree};

use crate::text::{Align, Column, Table, plain};

/// Pairs of key and value, the values in one column; those without a value are left out.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn add(&mut self, key: &'static str, value: impl Into<String>) {
        self.0.push((key, value.into()));
    }

    fn add_if(&mut self, key: &'static str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    fn text(&self) -> String {
        let width = self.0.iter().map(|(key, _)| key.len()).max().unwrap_or(0) + 1;
        let line =
            |(key, value): &(&str, String)| format!("{:<width$}  {}\n", format!("{key}:"), plain(value));
        self.0.iter().map(line).collect()
    }
}

/// A whole table as text, for those that are short.
fn short_table(columns: &'static [Column], rows: Vec<Vec<String>>) -> String {
    let mut text = Vec::new();
    let mut table = Table::new(&mut text, columns);
    for row in rows {
        // Writing into memory does not fail.
        let _ = table.row(row);
    }
    let _ = table.finish();
    String::from_utf8_lossy(&text).into_owned()
}

const fn left(name: &'static str) -> Column {
    Column(name, Align::Left)
}

const fn right(name: &'static str) -> Column {
    Column(name, Align::Right)
}

/// Nanoseconds of a duration, as far as they go.
fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
