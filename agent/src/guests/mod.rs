//! What guests ask about themselves: keys in the one part of xenstore that a guest may write.
//!
//! ```text
//!   @introduceDomain, @releaseDomain, every 10 s: which running domains does the policy admit?
//!        each of them: a task      watch (a hint) --> list --> some, owner and bytes, once --> agent.submit_guest
//!        all others:               nothing at all, not even a watch
//!
//!   /local/domain/$DOMID/data/xensnap/request/$ID     the guest's, removed once journalled or refused
//!   /local/domain/$DOMID/xensnap/operation/$ID        dom0's, to be read by that guest alone      (outbox, answers)
//! ```
//!
//! Everything that is read here is hostile: names, bytes, owners, how much and how fast. The work of one turn is bounded, turns are paced, and each guest's
//! task is its own, so that a flood costs its sender's place only. A guest's id names its own operations only ([`policy::operation_id`]).

mod answers;
pub mod inbox;
pub mod policy;

use uuid::Uuid;

pub(crate) use answers::{Address, Answers, write};

/// A running guest that may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The domain.
    pub uuid: Uuid,
    /// Its name, as dom0 says.
    pub name: String,
    /// Its address.
    pub domid: u32,
}
