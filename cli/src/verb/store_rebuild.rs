//! `xensnap store rebuild`: the one verb that writes the store. The store's lock keeps it apart from a running agent.

use xensnap_store::{RebuildOptions, RebuildReport};

use crate::error::Result;
use crate::flags::StoreRebuild;
use crate::session::Session;
use crate::text::plain;

pub(super) fn run(session: &mut Session, flags: &StoreRebuild) -> Result<()> {
    let options = RebuildOptions { empty_accepted: flags.empty, memory_dirs: flags.memory_dir.clone() };
    let report = xensnap_store::rebuild(&session.settings.location, &options)?;
    if session.json {
        session.out.line(&document(&report).to_string())
    } else {
        session.out.text(&text(&report))
    }
}

fn text(report: &RebuildReport) -> String {
    if report.finished_earlier {
        return "an earlier, interrupted rebuild was brought to its end\n".to_owned();
    }
    let mut lines = vec![format!(
        "{} domains, {} snapshots kept, {} taken in from their files, {} operations kept",
        report.domains, report.snapshots_kept, report.snapshots_imported, report.operations_kept
    )];
    let derived = report.domains_derived.iter();
    lines.extend(
        derived.map(|uuid| {
            format!("domain {uuid} is known from its snapshots only: its current one is not known")
        }),
    );
    lines.extend(
        report
            .renamed
            .iter()
            .map(|(id, old, new)| format!("snapshot {id} was named {old}, which is taken: it is {new} now")),
    );
    lines.extend(report.orphaned.iter().map(|id| format!("snapshot {id} has lost its parent")));
    lines.extend(report.lost.iter().map(|what| format!("lost: {what}")));
    lines.extend(report.set_aside.iter().map(|file| {
        format!("not taken in: {} ({}); it is {} now", file.path.display(), file.why, file.now.display())
    }));
    lines
        .extend(report.old_database.iter().map(|path| format!("the old database is {} now", path.display())));
    lines.iter().map(|line| format!("{}\n", plain(line))).collect()
}

fn document(report: &RebuildReport) -> serde_json::Value {
    serde_json::json!({
        "domains": report.domains,
        "domains_derived": report.domains_derived.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "snapshots_kept": report.snapshots_kept,
        "snapshots_imported": report.snapshots_imported,
        "operations_kept": report.operations_kept,
        "lost": report.lost,
        "renamed": report.renamed.iter().map(|(id, old, new)| serde_json::json!({ "id": id, "old": old, "new": new })).collect::<Vec<_>>(),
        "orphaned": report.orphaned,
        "set_aside": report.set_aside.iter().map(|file| serde_json::json!({
            "path": file.path.display().to_string(),
            "now": file.now.display().to_string(),
            "why": file.why,
        })).collect::<Vec<_>>(),
        "old_database": report.old_database.as_ref().map(|path| path.display().to_string()),
        "finished_earlier": report.finished_earlier,
    })
}
