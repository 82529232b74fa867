//! A plan: what a dry run shows.

use xensnap::contract::{DiskTag, Plan, StepAct};

use super::nanoseconds;
use crate::text::{duration, plain, size};

/// A plan in full: steps, point of no return, pause, space, warnings.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut text =
        format!("plan for domain {} ({}), driver {}\n", plan.domain_name.as_str(), plan.domain, plan.driver);
    let width = plan.steps.iter().map(|step| step.act.kind().as_str().len()).max().unwrap_or(0);
    for (n, step) in plan.steps.iter().enumerate() {
        let about = about(&step.act);
        let mark = if step.no_return { " (from here on only forward)" } else { "" };
        let line = format!("  {:>2}  {:<width$}  {about}{mark}", n + 1, step.act.kind().as_str());
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&format!("expected pause of the guest: {}\n", duration(nanoseconds(plan.expected_pause))));
    text.push_str(&format!("space needed, at most: {}\n", size(plan.space)));
    for warning in &plan.warnings {
        text.push_str(&format!("warning: {}\n", warning.as_str()));
    }
    // Line by line: the names in it are others'.
    text.lines().map(|line| format!("{}\n", plain(line))).collect()
}

/// What a step is about, in a few words.
fn about(act: &StepAct) -> String {
    match act {
        StepAct::Verify(checks) => {
            format!(
                "{}{}",
                vdevs(&checks.disks),
                if checks.memory.is_some() { ", the memory image" } else { "" }
            )
        }
        StepAct::DisksCreate(disks) | StepAct::DisksDelete(disks) | StepAct::DisksApply(disks) => {
            vdevs(&disks.disks)
        }
        StepAct::CreateMemoryFile(memory) | StepAct::MemoryComplete(memory) => memory.path.to_string(),
        StepAct::MemoryBegin(memory) => {
            format!(
                "{} of RAM, {}",
                size(memory.ram),
                if memory.live { "the guest runs on" } else { "the guest is paused" }
            )
        }
        StepAct::Pause(pause) => {
            format!("released by the guard after {} at the latest", duration(nanoseconds(pause.deadline)))
        }
        StepAct::Sync(files) => match files.paths.as_slice() {
            [one] => one.to_string(),
            many => format!("{} files", many.len()),
        },
        StepAct::RemoveFile(file) => file.path.to_string(),
        StepAct::StartDomain(start) => {
            let from = if start.memory.is_some() { "from the memory image" } else { "boots" };
            format!("{from}{}", if start.paused { ", stays paused" } else { "" })
        }
        StepAct::Commit(outcome) => {
            let mut parts: Vec<String> =
                outcome.add.iter().map(|made| format!("adds snapshot {}", made.name)).collect();
            parts.extend(outcome.drop.as_ref().map(|id| format!("drops snapshot {id}")));
            parts.extend(outcome.current.as_ref().map(|id| format!("{id} becomes current")));
            parts.join(", ")
        }
        _ => String::new(),
    }
}

fn vdevs(disks: &[DiskTag]) -> String {
    let names: Vec<&str> = disks.iter().map(|disk| disk.vdev.as_str()).collect();
    names.join(", ")
}
