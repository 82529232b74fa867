//! What a done operation leaves behind: tags in the disks that nothing needs any more (a revert's undo tags). The requester does not wait for them to go, the
//! domain's next operation does.
//!
//! ```text
//!   done (committed, shown) --worker, still in its place--> tags deleted --> store: cleaned
//!      \-- the agent dies here --> recover --> the queue's first job ---^
//! ```

use std::sync::Arc;

use xensnap::contract::{JournalEntry, Request};
use xensnap::wire;

use super::{Agent, Job, Stage};
use crate::host::Host;
use crate::log;

impl<H: Host> Agent<H> {
    /// Puts what an earlier agent left to be cleaned into its domain's queue.
    pub(super) fn enqueue_uncleaned(self: &Arc<Self>, entry: JournalEntry) {
        let (Some(domain), Ok(request)) = (entry.domain, wire::from_str::<Request>(&entry.request)) else {
            log::line(&format!("operation {}: cannot be cleaned up after", entry.id.as_str()));
            return;
        };
        let ticket = Some(self.outbox.ticket(&entry.id));
        self.enqueue(domain, Job { entry, request, ticket, stage: Stage::Uncleaned });
    }
}
