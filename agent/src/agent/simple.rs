//! Requests that touch no guest: cancel, and what is known of domains. Journalled, done and journalled like all others.

use uuid::Uuid;
use xensnap::contract::{ErrorKind, JournalEntry, OperationId, RequestOp};
use xensnap::wire::Timestamp;
use xensnap_store::Change;

use super::{Agent, REMEMBERED};
use crate::host::{Host, HostError};
use crate::log;
use crate::outbox::Ticket;

impl<H: Host> Agent<H> {
    /// Requests that touch no guest: journalled, done, journalled.
    pub(super) async fn simple(&self, entry: JournalEntry, op: &RequestOp) {
        if let Err(e) = self.journal.begin(&entry).await {
            return self.refuse(&entry.id, Some(entry.op.clone()), entry.domain, &e);
        }
        let ticket = self.journalled(&entry);
        self.finish_simple(entry, op, Some(ticket)).await;
    }

    pub(super) async fn finish_simple(&self, entry: JournalEntry, op: &RequestOp, ticket: Option<Ticket>) {
        let (id, domain) = (entry.id.clone(), entry.domain);
        let change = match op {
            RequestOp::Cancel(r) => self.cancel(&r.operation).map(|()| Change::Nothing),
            RequestOp::DomainAdopt(r) => self.adopt(r.old, r.new).await,
            RequestOp::DomainForget(_) => self.forget(entry.domain).await,
            _ => Err(HostError::new(ErrorKind::Interrupted, "the agent died before it was planned")),
        };
        let settled = self.executor.end_with(entry, change).await;
        drop(ticket);
        self.work().active.remove(&id);
        match settled {
            Ok(ended) => self.outbox.ended(&ended, None),
            Err(unsettled) => self.outbox.unsettled(&unsettled),
        }
        match op {
            RequestOp::DomainAdopt(r) => {
                self.show_domain(r.old).await;
                self.show_domain(r.new).await;
            }
            RequestOp::DomainForget(_) => {
                if let Some(uuid) = domain {
                    self.show_domain(uuid).await;
                }
            }
            _ => {}
        }
    }

    fn cancel(&self, id: &OperationId) -> Result<(), HostError> {
        let mut work = self.work();
        let Some(active) = work.active.get_mut(id) else {
            return Err(HostError::new(
                ErrorKind::NoOperation,
                format!("no operation {} is being carried out", id.as_str()),
            )
            .hint("xensnap operation list shows them"));
        };
        active.cancelled = true;
        if let Some(ticket) = &active.ticket {
            ticket.cancel();
        }
        Ok(())
    }

    async fn adopt(&self, old: Uuid, new: Uuid) -> Result<Change<'static>, HostError> {
        self.idle(&[old, new])?;
        if self.running().await.iter().any(|i| i.uuid == old) {
            return Err(HostError::new(
                ErrorKind::DomainState,
                format!("a domain with the old UUID {old} runs"),
            ));
        }
        Ok(Change::Adopt { old, new })
    }

    async fn forget(&self, domain: Option<Uuid>) -> Result<Change<'static>, HostError> {
        let Some(uuid) = domain else {
            return Err(HostError::new(ErrorKind::NoDomain, "no such domain"));
        };
        self.idle(&[uuid])?;
        let (_, snapshots) = self.journal.domain(uuid).await?;
        if let Some(s) = snapshots.first() {
            return Err(HostError::new(
                ErrorKind::DomainState,
                format!("the domain has {} snapshots, {} among them", snapshots.len(), s.name),
            )
            .hint("delete them first"));
        }
        if self.running().await.iter().any(|i| i.uuid == uuid) {
            return Err(HostError::new(ErrorKind::DomainState, "the domain runs"));
        }
        Ok(Change::Forget(uuid))
    }

    /// Housekeeping at each heartbeat.
    pub async fn tidy(&self) {
        let Some(before) = Timestamp::now().checked_sub(REMEMBERED) else { return };
        if let Err(e) = self.journal.with(move |s| s.expire(before)).await {
            log::line(&format!("old operations cannot be forgotten: {e}"));
        }
    }

    fn idle(&self, domains: &[Uuid]) -> Result<(), HostError> {
        match domains.iter().find(|d| self.work().queues.contains_key(d)) {
            Some(busy) => Err(HostError::new(
                ErrorKind::DomainState,
                format!("an operation on {busy} is being carried out"),
            )
            .hint("wait for its end")),
            None => Ok(()),
        }
    }
}
