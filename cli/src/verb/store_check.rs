//! `xensnap store check`: reads everything, changes nothing; the agent may run.

use crate::error::{CliError, Result};
use crate::session::Session;
use crate::text::plain;
use xensnap_store::{Finding, Severity};

pub(super) fn run(session: &mut Session) -> Result<()> {
    let report = xensnap_store::check(&session.settings.location)?;
    if session.json {
        let json = serde_json::json!({
            "store": report.store.to_string(),
            "domains": report.domains,
            "snapshots": report.snapshots,
            "operations": report.operations,
            "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        });
        session.out.line(&json.to_string())?;
    } else {
        for finding in &report.findings {
            session.out.line(&format!("{}: {}", word(finding.severity()), plain(&finding.to_string())))?;
        }
        session.out.line(&format!(
            "store {}: {} domains, {} snapshots, {} operations, {} findings",
            report.store,
            report.domains,
            report.snapshots,
            report.operations,
            report.findings.len()
        ))?;
    }
    match report.findings.iter().filter(|finding| finding.severity() > Severity::Note).count() {
        0 => Ok(()),
        count => Err(CliError::Findings { count }),
    }
}

fn finding(finding: &Finding) -> serde_json::Value {
    serde_json::json!({ "severity": word(finding.severity()), "message": finding.to_string() })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Repairable => "repairable",
        Severity::Damage => "damage",
    }
}
