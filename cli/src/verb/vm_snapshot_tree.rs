//! `xensnap vm-snapshot-tree`: which snapshot descends from which. Disk snapshots are in it too: they hang where the domain stood when they were taken.

use xensnap_store::Read;

use crate::error::{CliError, Result};
use crate::flags::Tree;
use crate::session::Session;
use crate::text::plain;
use crate::view;

pub(super) fn run(session: &mut Session, flags: &Tree) -> Result<()> {
    let store = session.store()?;
    let uuid = session.domain(&store, &flags.domain)?;
    let Some(domain) = store.domain(uuid)? else {
        return Err(CliError::NoDomain {
            reference: flags.domain.to_string(),
            where_: "is known to the store",
        });
    };
    let heads = store.heads(uuid)?;
    let tree = view::tree(&domain, &heads);
    if !session.json {
        session.out.line(&format!("{} ({uuid})", plain(domain.name.as_str())))?;
    }
    for (drawn, node) in tree.walk() {
        if session.json {
            // One deleted since is not there any more, which is no error.
            if let Some(snapshot) = store.find_snapshot(uuid, &node.id)? {
                session.out.document(&snapshot)?;
            }
        } else {
            session.out.line(&format!("{drawn}{}", node.label))?;
        }
    }
    Ok(())
}
