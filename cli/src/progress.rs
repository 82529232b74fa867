//! What is drawn on a terminal while an operation is waited for. Elsewhere nothing is drawn: a log wants the result.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use xensnap::contract::{Operation, OperationState};

use crate::text::{plain, size};
use crate::view::what;

/// A bar on the error output, if that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Nothing is drawn yet.
    pub(crate) fn new() -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    /// Draws where the operation stands.
    pub(crate) fn show(&self, op: &Operation) {
        let Some(bar) = &self.0 else { return };
        let amount = match (op.progress, op.total) {
            (Some(done), Some(total)) if total > 0 => Some((done.min(total), total)),
            _ => None,
        };
        let template =
            if amount.is_some() { "{spinner} {msg} [{bar:25}] {percent:>3}%" } else { "{spinner} {msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        if let Some((done, total)) = amount {
            bar.set_length(total);
            bar.set_position(done);
        }
        bar.set_message(line(op, amount));
    }

    /// A remark above the bar.
    pub(crate) fn note(&self, text: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| crate::output::note(text)),
            None => crate::output::note(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// `vm-snapshot-create: step 3 of 9, memory-complete, 120 MiB of 512 MiB`
fn line(op: &Operation, amount: Option<(u64, u64)>) -> String {
    let mut line = what(op);
    match op.state {
        OperationState::Queued => line.push_str(": waits"),
        OperationState::Undoing => line.push_str(": taking back"),
        _ => line.push(':'),
    }
    if op.steps > 0 {
        line.push_str(&format!(" step {} of {}", op.step, op.steps));
    }
    if let Some(step) = &op.doing {
        line.push_str(&format!(", {}", step.as_str().replace('_', "-")));
    }
    if let Some((done, total)) = amount {
        line.push_str(&format!(", {} of {}", size(done), size(total)));
    }
    plain(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_step_and_bytes() {
        let json = r#"{"contract":1,"id":"a","op":"vm_snapshot_create","state":"running","step":3,"steps":9,"doing":"memory_complete","created_at":"2026-11-23T00:00:00.000000000Z","dry_run":false}"#;
        let op: Operation = xensnap::wire::from_str(json).unwrap();
        assert_eq!(
            line(&op, Some((1 << 20, 1 << 21))),
            "vm-snapshot-create: step 3 of 9, memory-complete, 1 MiB of 2 MiB"
        );
        assert_eq!(line(&op, None), "vm-snapshot-create: step 3 of 9, memory-complete");
    }
}
