//! `xensnap domain list`

use xensnap::contract::Domain;
use xensnap_store::Read;

use crate::error::Result;
use crate::output::note;
use crate::resolve::Running;
use crate::session::Session;
use crate::text::Table;
use crate::view::{self, Run};

pub(super) fn run(session: &mut Session) -> Result<()> {
    let store = session.store()?;
    let domains = store.domains()?;
    if session.json {
        return domains.iter().try_for_each(|domain| session.out.document(domain));
    }
    let running = session.running();
    if running.is_none() {
        note("xenstore cannot be reached: which domains run is not known");
    }
    let mut table = Table::new(session.out.stream(), view::DOMAIN_COLUMNS);
    for domain in &domains {
        let current = domain.current.as_ref().map(|id| store.snapshot(id)).transpose()?.flatten();
        let snapshots = store.count_snapshots(domain.uuid)?;
        let run = run_of(domain, running.as_deref());
        table.row(view::domain_row(
            domain,
            run,
            snapshots,
            current.as_ref().map(|snapshot| &snapshot.name),
        ))?;
    }
    Ok(table.finish()?)
}

fn run_of(domain: &Domain, running: Option<&[Running]>) -> Run {
    let Some(running) = running else { return Run::Unknown };
    running.iter().find(|live| live.uuid == Some(domain.uuid)).map_or(Run::No, |live| Run::Domid(live.domid))
}
