//! The store as text: one JSON document a line, `{"domain":{...}}`, `{"snapshot":{...}}`, `{"journal_entry":{...}}`, as of one commit.

use std::io::Write;
use std::ops::ControlFlow;

use rusqlite::Row;

use crate::error::{Result, StoreError};
use crate::location::Location;
use crate::read::{ENTRY, Read, Reader, text};
use crate::report::ExportReport;
use crate::text::encode;

/// Writes the whole store to `out`. The agent may run meanwhile.
///
/// # Errors
/// A record that cannot be read ends it: `check` lists all of them. What `out` says is passed on.
pub fn export(at: &Location, out: &mut dyn Write) -> Result<ExportReport> {
    let db = Reader::open(at)?;
    let _as_of_one_commit = db.sorted("exporting", db.conn.unchecked_transaction())?;
    let mut report = ExportReport::default();
    let mut line = |kind: &str, json: &str| {
        writeln!(out, "{{\"{kind}\":{json}}}").map_err(|e| StoreError::io("write", "the export".as_ref(), e))
    };
    for domain in db.domains()? {
        line("domain", &encode("domain", &domain.uuid.to_string(), &domain)?)?;
        report.domains += 1;
    }
    let mut result = Ok(());
    db.for_each_snapshot_json(&mut |json| {
        result = line("snapshot", json);
        report.snapshots += 1;
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result?;
    db.each("reading the journal", &format!("{ENTRY} ORDER BY seq"), [], |row| {
        line("journal_entry", &journal_entry(&db, row)?)?;
        report.operations += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(report)
}

/// An entry's JSON from columns as in [`ENTRY`]: of most as they are stored, the plan put behind the rest.
fn journal_entry(db: &Reader, row: &Row<'_>) -> Result<String> {
    let optional = |at| db.sorted("reading the journal", row.get_ref(at).map(|v| v.as_str().ok()));
    let json = text(&db.database, row, 1)?;
    match (optional(3)?, optional(2)?, json.strip_suffix('}')) {
        (None, None, _) => Ok(json.to_owned()),
        (None, Some(plan), Some(rest)) => Ok(format!("{rest},\"plan\":{plan}}}")),
        // Where it stands is not in it.
        _ => encode("entry", text(&db.database, row, 0)?, &db.entry(row)?),
    }
}
