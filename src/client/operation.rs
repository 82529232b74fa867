//! What the contract's states mean for one who waits.

use crate::contract::OperationState;

impl OperationState {
    /// Whether nothing more comes: done, failed, cancelled or refused. A state that a newer agent has added is none of these.
    #[must_use]
    pub fn is_end(&self) -> bool {
        match self {
            Self::Done | Self::Failed | Self::Cancelled | Self::Refused => true,
            Self::Queued | Self::Running | Self::Undoing | Self::Unknown(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_states() {
        let ends: Vec<_> =
            OperationState::ALL.iter().filter(|state| state.is_end()).map(|s| s.as_str()).collect();
        assert_eq!(ends, ["done", "failed", "cancelled", "refused"]);
        assert!(!OperationState::Unknown("resting".into()).is_end());
    }
}
