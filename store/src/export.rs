//! The store as text: one JSON document a line, `{"domain":{...}}`, `{"snapshot":{...}}`, `{"journal_entry":{...}}`, as of one commit.

use std::io::Write;
use std::ops::ControlFlow;

use crate::error::{Result, StoreError};
use crate::location::Location;
use crate::read::{Read, Reader};
use crate::records;
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
    let mut ids = Vec::new();
    db.each("reading the journal", "SELECT id FROM journal ORDER BY seq", [], |row| {
        ids.push(db.sorted::<String>("reading the journal", row.get(0))?);
        Ok(ControlFlow::Continue(()))
    })?;
    for id in ids {
        let id = records::operation_id("operation", &id)?;
        if let Some(entry) = db.journal(&id)? {
            line("journal_entry", &encode("entry", id.as_str(), &entry)?)?;
            report.operations += 1;
        }
    }
    Ok(report)
}
