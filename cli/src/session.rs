//! One run of the tool: where things are, what has been opened, where output goes. What a verb does not ask for is never opened: a read of the store needs no
//! xenstore, an operation needs no store.

use std::fs::File;
use std::future::Future;
use std::num::NonZeroU64;

use rustix::fs::{Advice, fadvise};
use tokio::runtime::Runtime;
use uuid::Uuid;
use xensnap::client::{Client, Error as ClientError};
use xensnap::contract::{Domain, DomainRef, Snapshot, SnapshotRef};
use xensnap_store::{Read, Reader};

use crate::error::{CliError, Result};
use crate::flags::Global;
use crate::link::{self, IMPATIENT, PATIENT};
use crate::output::{Out, note};
use crate::resolve::{self, Form, Running};
use crate::settings::Settings;

/// Bytes asked for at a time.
const READ_AHEAD_STEP: u64 = 4 << 20;
/// Most bytes asked for: a larger database would only push out what others need.
const READ_AHEAD_MAX: u64 = 1 << 30;

/// One run of the tool.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whether documents are wanted.
    pub json: bool,
    /// Where things are.
    pub settings: Settings,
    /// The output.
    pub out: Out,
    /// What waits.
    pub runtime: Runtime,
}

impl Session {
    /// From the global flags.
    pub(crate) fn new(flags: &Global) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| CliError::System { what: "start waiting for events", source })?;
        Ok(Self { json: flags.json, settings: Settings::read(flags)?, out: Out::new(), runtime })
    }

    /// Waits for what is asynchronous.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The store, for reading.
    pub(crate) fn store(&self) -> Result<Reader> {
        Ok(Reader::open(&self.settings.location)?)
    }

    /// Tells the system that the whole database is about to be read: records lie among the journal's entries, so that a list of all of them would otherwise
    /// wait for the disk page by page. Only a hint; the thread ends with the process.
    pub(crate) fn read_ahead(&self) {
        let database = self.settings.location.database();
        std::thread::spawn(move || {
            let Ok(file) = File::open(database) else { return };
            let end = file.metadata().map_or(0, |found| found.len().min(READ_AHEAD_MAX));
            let mut at = 0;
            while at < end && fadvise(&file, at, NonZeroU64::new(READ_AHEAD_STEP), Advice::WillNeed).is_ok() {
                at += READ_AHEAD_STEP;
            }
        });
    }

    /// The way to the agent.
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(self.wait(link::open(self.settings.xenstore.as_deref(), PATIENT))?)
    }

    /// What runs, or nothing where xenstore cannot be asked.
    pub(crate) fn running(&self) -> Option<Vec<Running>> {
        self.wait(async {
            let client = link::open(self.settings.xenstore.as_deref(), IMPATIENT).await.ok()?;
            link::running(client.connection()).await.ok()
        })
    }

    /// The domain that a read is about. Running names are looked up where xenstore can be reached.
    pub(crate) fn domain(&self, store: &impl Read, reference: &DomainRef) -> Result<Uuid> {
        if let Form::Uuid(uuid) = resolve::form(reference) {
            if store.domain(uuid)?.is_none() {
                return Err(CliError::NoDomain {
                    reference: uuid.to_string(),
                    where_: "is known to the store",
                });
            }
            return Ok(uuid);
        }
        let running = match resolve::form(reference) {
            // Only xenstore knows: that it cannot be reached is the error then.
            Form::Domid(_) => {
                let client = self.client()?;
                Some(self.wait(link::running(client.connection())).map_err(ClientError::from)?)
            }
            _ => self.running(),
        };
        let (uuid, remark) = resolve::resolve(reference, running.as_deref(), &store.domains()?)?;
        if let Some(remark) = remark {
            note(&remark);
        }
        Ok(uuid)
    }

    /// The snapshot that a read is about, and its domain.
    pub(crate) fn snapshot(
        &self,
        store: &impl Read,
        domain: &DomainRef,
        snapshot: &SnapshotRef,
    ) -> Result<(Option<Domain>, Snapshot)> {
        let uuid = self.domain(store, domain)?;
        let found = store.find_snapshot(uuid, snapshot.as_str())?;
        let missing = || CliError::NoSnapshot { domain: domain.to_string(), reference: snapshot.to_string() };
        Ok((store.domain(uuid)?, found.ok_or_else(missing)?))
    }
}
