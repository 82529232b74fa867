//! Requests of guests about themselves: the same way as a toolstack's, after the policy.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;
use xensnap::contract::{OperationId, Request, Snapshot};
use xensnap::wire;

use super::{Active, Agent, Job, Seen};
use crate::guests::Asker;
use crate::guests::policy;
use crate::host::{Host, HostError};
use crate::log;

impl<H: Host> Agent<H> {
    /// Takes the bytes of a guest's request, as read from its key. False when they are ignored: the id was used with others.
    pub async fn submit_guest(self: &Arc<Self>, asker: &Asker, name: &OperationId, bytes: Vec<u8>) -> bool {
        let id = match policy::operation_id(asker.uuid, name) {
            Ok(id) => id,
            Err(e) => {
                log::line(&format!("guest {}: {e}", asker.name));
                return false;
            }
        };
        self.outbox.asked_by_guest(&id, asker.uuid, name);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match self.seen(&id, &text).await {
            Seen::New => {}
            Seen::OnItsWay => return true,
            seen @ (Seen::Known | Seen::Other) => {
                self.outbox.consumed(&id);
                return matches!(seen, Seen::Known);
            }
        }
        match self.policy().admit(asker.uuid, &asker.name, &bytes, Instant::now()) {
            Ok(request) => {
                log::line(&format!(
                    "operation {}: guest {} (domid {}) asks for {} by its id {}",
                    id.as_str(),
                    asker.name,
                    asker.domid,
                    request.op.kind(),
                    name.as_str()
                ));
                let mut entry = self.entry(&id, text.clone(), &request, Some(asker.uuid));
                entry.guest_id = Some(name.clone());
                self.work().active.insert(id, Active { request: text, ticket: None, cancelled: false });
                self.accept(asker.uuid, entry, request).await;
            }
            Err(e) => {
                let kind = wire::from_slice::<Request>(&bytes).ok().map(|r| r.op.kind());
                self.outbox.refused(&id, kind, Some(asker.uuid), &e);
                self.outbox.consumed(&id);
            }
        }
        true
    }

    /// Whether a guest's operation may be carried out on what its domain has now. Asked before the host is looked at: what may not be asked costs nothing.
    pub(super) fn permit_guest(
        &self,
        job: &Job,
        uuid: Uuid,
        name: &str,
        snapshots: &[Snapshot],
    ) -> Result<(), HostError> {
        if job.entry.guest_id.is_none() {
            return Ok(());
        }
        self.policy().permit(uuid, name, &job.request.op, snapshots)
    }
}
