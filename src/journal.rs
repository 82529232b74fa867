//! From the agent's journal to what the contract shows.

use crate::contract::{
    JournalEntry, JournalState, Operation, OperationState, Request, RequestOp, SnapshotName, StepAct,
};
use crate::wire;

/// A journal entry as the operation that it records: what the agent shows in xenstore, and what is found again in the store.
#[must_use]
pub fn operation(entry: &JournalEntry) -> Operation {
    let request: Option<Request> = wire::from_str(&entry.request).ok();
    let state = match (&entry.state, &entry.plan) {
        (JournalState::Planned, _) => OperationState::Queued,
        (JournalState::Back, _) => OperationState::Undoing,
        (JournalState::Done, _) => OperationState::Done,
        // An entry without a plan was never begun.
        (JournalState::Failed, None) => OperationState::Refused,
        (JournalState::Failed, Some(_)) => OperationState::Failed,
        (JournalState::Cancelled, _) => OperationState::Cancelled,
        _ => OperationState::Running,
    };
    let steps = entry.plan.as_ref().map_or(0, |plan| plan.steps.len());
    let mut op = Operation::new(
        entry.contract,
        entry.id.clone(),
        state,
        entry.done,
        u32::try_from(steps).unwrap_or(u32::MAX),
        entry.created_at,
    );
    op.op = Some(entry.op.clone());
    op.domain = entry.domain;
    op.ended_at = entry.ended_at;
    op.pause = entry.facts.pause;
    op.domid = entry.facts.domid;
    op.dry_run = request.as_ref().is_some_and(|request| request.dry_run);
    let warnings = entry.plan.as_ref().map_or(0, |plan| plan.warnings.len());
    op.warnings = u32::try_from(warnings).ok().filter(|n| *n > 0);
    op.error = entry.error.clone();
    add_subject(&mut op, entry, request.as_ref().map(|request| &request.op));
    op
}

/// The snapshot that the operation makes, deletes or reverts to.
fn add_subject(op: &mut Operation, entry: &JournalEntry, asked: Option<&RequestOp>) {
    let last = entry.plan.iter().flat_map(|plan| &plan.steps).rev().find_map(|step| match &step.act {
        StepAct::Commit(outcome) => Some(outcome),
        _ => None,
    });
    let Some(last) = last else { return };
    if let Some(made) = last.add.first() {
        op.snapshot = Some(made.id.clone());
        op.snapshot_name = Some(made.name.clone());
        return;
    }
    op.snapshot = last.drop.clone().or_else(|| last.current.clone());
    let reference = match asked {
        Some(RequestOp::VmSnapshotDelete(asked)) => Some(&asked.snapshot),
        Some(RequestOp::VmSnapshotRevert(asked)) => Some(&asked.snapshot),
        Some(RequestOp::DiskSnapshotDelete(asked)) => Some(&asked.snapshot),
        Some(RequestOp::DiskSnapshotRevert(asked)) => Some(&asked.snapshot),
        _ => None,
    };
    op.snapshot_name = reference.and_then(|name| SnapshotName::new(name.as_str()).ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation that deletes the snapshot `old`, at its end or with what went before.
    fn entry(state: &str, plan: bool) -> JournalEntry {
        let request = r#"{\"contract\":1,\"dry_run\":true,\"op.vm_snapshot_delete\":{\"domain\":\"web\",\"snapshot\":\"old\"}}"#;
        let domain = "8d3cf1a4-8a11-4a7e-9d13-000000000001";
        let plan = if plan {
            format!(
                r#""plan":{{"contract":1,"operation":"o1","domain":"{domain}","domain_name":"web","driver":"qemu",
                "steps":[{{"no_return":false,"act.release":{{}}}},{{"no_return":true,"act.commit":{{"add":[],"drop":"s1"}}}}],
                "expected_pause":0,"space":0,"warnings":[]}},"#
            )
        } else {
            String::new()
        };
        wire::from_str(&format!(
            r#"{{"contract":1,"id":"o1","request":"{request}","op":"vm_snapshot_delete","domain":"{domain}","state":"{state}",
            "done":1,{plan}"facts":{{"domid":5}},"created_at":"2023-11-14T22:13:20.000000000Z"}}"#
        ))
        .unwrap()
    }

    #[test]
    fn an_entry_says_what_is_deleted_and_how_far_it_is() {
        let shown = operation(&entry("forward", true));
        assert_eq!((shown.step, shown.steps, shown.state), (1, 2, OperationState::Running));
        assert_eq!(shown.snapshot.unwrap().as_str(), "s1");
        assert_eq!(shown.snapshot_name.unwrap().as_str(), "old", "the name is the request's");
        assert_eq!((shown.domid, shown.dry_run), (Some(5), true));
    }

    #[test]
    fn what_failed_without_a_plan_was_refused() {
        for (state, plan, expected) in [
            ("planned", false, OperationState::Queued),
            ("forward", true, OperationState::Running),
            ("no_return", true, OperationState::Running),
            ("back", true, OperationState::Undoing),
            ("done", true, OperationState::Done),
            ("failed", true, OperationState::Failed),
            ("failed", false, OperationState::Refused),
            ("cancelled", true, OperationState::Cancelled),
        ] {
            assert_eq!(operation(&entry(state, plan)).state, expected, "{state}");
        }
    }
}
