//! What the configuration lets guests ask about themselves. Default: nothing, of nobody.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as Clock};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use xensnap::contract::{ErrorKind, OpKind, OperationId, Request, RequestOp, Snapshot};

use crate::admit;
use crate::host::{HostError, Instance};

/// How a guest names itself in a request; its own UUID will do as well.
pub const SELF: &str = "self";
/// How the ids of guests' operations, and so of their snapshots, begin.
const PREFIX: &str = "guest-";
/// Requests an hour, when the configuration does not say.
const RATE: u32 = 6;
/// Snapshots of a guest's own making, when the configuration does not say.
const SNAPSHOTS_MAX: usize = 8;
/// What a guest can be admitted for. Not `cancel`, which names an operation, nor what is about the store's domains.
const POSSIBLE: [OpKind; 6] = [
    OpKind::VmSnapshotCreate,
    OpKind::VmSnapshotDelete,
    OpKind::VmSnapshotRevert,
    OpKind::DiskSnapshotCreate,
    OpKind::DiskSnapshotDelete,
    OpKind::DiskSnapshotRevert,
];

/// One guest that may ask: a `[[guest]]` of the configuration.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "Written")]
pub struct Rule {
    who: Who,
    allow: Vec<OpKind>,
    rate: u32,
    snapshots_max: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Who {
    Uuid(Uuid),
    Name(String),
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    uuid: Option<Uuid>,
    name: Option<String>,
    allow: Vec<OpKind>,
    rate: Option<u32>,
    snapshots_max: Option<usize>,
}

impl TryFrom<Written> for Rule {
    type Error = String;

    fn try_from(w: Written) -> Result<Self, String> {
        let who = match (w.uuid, w.name) {
            (Some(uuid), None) => Who::Uuid(uuid),
            (None, Some(name)) => Who::Name(name),
            _ => return Err("a [[guest]] is named by `uuid` or by `name`, one of both".into()),
        };
        if let Some(odd) = w.allow.iter().find(|kind| !POSSIBLE.contains(kind)) {
            return Err(format!("a guest cannot be allowed {odd}; it can be {}", words(&POSSIBLE)));
        }
        let (rate, snapshots_max) = (w.rate.unwrap_or(RATE), w.snapshots_max.unwrap_or(SNAPSHOTS_MAX));
        Ok(Self { who, allow: w.allow, rate, snapshots_max })
    }
}

/// All guests that may ask, and how much they have asked.
#[derive(Debug, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    spent: Mutex<HashMap<Uuid, Bucket>>,
}

impl Policy {
    /// The policy of these rules.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules, spent: Mutex::default() }
    }

    /// Whether nobody may ask.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule for a domain. One by UUID goes before one by name.
    #[must_use]
    pub fn rule(&self, uuid: Uuid, name: &str) -> Option<&Rule> {
        let by_uuid = self.rules.iter().find(|r| r.who == Who::Uuid(uuid));
        by_uuid.or_else(|| self.rules.iter().find(|r| matches!(&r.who, Who::Name(n) if n == name)))
    }

    /// The running domains that may ask. One of two with the same UUID or name is nobody in particular.
    #[must_use]
    pub fn admitted<'a>(&self, running: &'a [Instance]) -> Vec<&'a Instance> {
        let alone = |i: &Instance| {
            running.iter().filter(|o| o.uuid == i.uuid || o.name == i.name).count() == 1 && i.domid != 0
        };
        running.iter().filter(|i| self.rule(i.uuid, &i.name).is_some() && alone(i)).collect()
    }

    /// Reads a guest's request, and says whether it may be asked.
    ///
    /// # Errors
    /// `bad_request`, `denied`, or `limit` when it has asked too often.
    pub fn admit(&self, uuid: Uuid, name: &str, bytes: &[u8], now: Clock) -> Result<Request, HostError> {
        let Some(rule) = self.rule(uuid, name) else { return Err(denied("this guest may ask for nothing")) };
        let request = admit::parse(bytes)?;
        let kind = request.op.kind();
        if !rule.allow.contains(&kind) {
            return Err(denied(format!(
                "this guest may not ask for {kind}; it may for {}",
                words(&rule.allow)
            )));
        }
        if request.dry_run {
            return Err(denied("a guest may not ask for a plan: it is about the host"));
        }
        let itself = admit::about(&request.op).is_some_and(|d| {
            d.as_str() == SELF || Uuid::try_parse(d.as_str()).is_ok_and(|named| named == uuid)
        });
        if !itself {
            return Err(denied(format!("a guest can name no domain but itself: `{SELF}`")));
        }
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        match spent.entry(uuid).or_insert_with(|| Bucket::full(rule.rate, now)).take(rule.rate, now) {
            Ok(()) => Ok(request),
            Err(wait) => Err(HostError::new(
                ErrorKind::Limit,
                format!("this guest may ask {} times an hour", rule.rate),
            )
            .hint(format!("ask again in {} minutes", wait.as_secs().div_ceil(60)))),
        }
    }

    /// Whether a guest's operation may be carried out on what its domain has now.
    ///
    /// # Errors
    /// `denied`: a snapshot that it did not make itself is to be deleted; `limit`: it has made too many.
    pub fn permit(&self, uuid: Uuid, name: &str, op: &RequestOp, all: &[Snapshot]) -> Result<(), HostError> {
        // The configuration may be another one than when it was asked.
        let Some(rule) = self.rule(uuid, name).filter(|r| r.allow.contains(&op.kind())) else {
            return Err(denied("this guest may not ask for that any more"));
        };
        let (makes, deleted) = match op {
            RequestOp::VmSnapshotCreate(_) | RequestOp::DiskSnapshotCreate(_) => (true, None),
            RequestOp::VmSnapshotRevert(r) => (r.snapshot_first, None),
            RequestOp::DiskSnapshotRevert(r) => (r.snapshot_first, None),
            RequestOp::VmSnapshotDelete(r) => (false, Some(r.snapshot.as_str())),
            RequestOp::DiskSnapshotDelete(r) => (false, Some(r.snapshot.as_str())),
            RequestOp::Cancel(_) | RequestOp::DomainAdopt(_) | RequestOp::DomainForget(_) => {
                return Err(denied("a guest may not ask for that"));
            }
        };
        if makes && all.iter().filter(|s| made_by_guest(&s.id)).count() >= rule.snapshots_max {
            return Err(HostError::new(
                ErrorKind::Limit,
                format!("this guest has made {} snapshots, the most that it may have", rule.snapshots_max),
            )
            .hint("delete one of them"));
        }
        let others = |s: &&Snapshot| !made_by_guest(&s.id);
        let named = |s: &&Snapshot| deleted.is_some_and(|d| s.name.as_str() == d || s.id.as_str() == d);
        match all.iter().filter(named).find(others) {
            Some(s) => {
                Err(denied(format!("snapshot {} was not made by this guest: it cannot delete it", s.name)))
            }
            None => Ok(()),
        }
    }
}

fn denied(text: impl Into<String>) -> HostError {
    HostError::new(ErrorKind::Denied, text)
        .hint("[[guest]] in the host's xensnapd.toml says what a guest may ask for")
}

fn words(kinds: &[OpKind]) -> String {
    match kinds {
        [] => "nothing".into(),
        _ => kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// The operation's id of a guest's request. Made of both, so that neither another guest nor dom0 can choose an id that meets it, nor it theirs; the same
/// after the guest's reboot and the agent's.
///
/// # Errors
/// Never: what is made is an id.
pub fn operation_id(uuid: Uuid, name: &OperationId) -> Result<OperationId, HostError> {
    let sum = Sha256::new().chain_update(uuid.as_bytes()).chain_update(name.as_str()).finalize();
    let hex: String = sum.iter().take(16).map(|b| format!("{b:02x}")).collect();
    OperationId::new(format!("{PREFIX}{hex}")).map_err(|e| HostError::new(ErrorKind::Internal, e.to_string()))
}

/// Whether a snapshot was asked for by its own guest.
fn made_by_guest(id: &OperationId) -> bool {
    id.as_str().starts_with(PREFIX)
}

/// What a guest may still ask: full at the start, refilled evenly over the hour.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Clock,
}

impl Bucket {
    fn full(rate: u32, at: Clock) -> Self {
        Self { tokens: f64::from(rate), at }
    }

    /// Takes one, or says how long to wait for the next.
    fn take(&mut self, rate: u32, now: Clock) -> Result<(), Duration> {
        const HOUR: f64 = 3600.0;
        let rate = f64::from(rate);
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * rate / HOUR).min(rate);
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait = if rate > 0.0 { (1.0 - self.tokens) * HOUR / rate } else { HOUR };
        Err(Duration::from_secs_f64(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn policy(text: &str) -> Result<Policy, String> {
        toml::from_str::<Config>(text).map(|c| Policy::new(c.guests)).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn a_rule_names_one_guest_and_only_what_a_guest_can_be_allowed() {
        let id = "uuid = \"0b6cd1a2-1c2d-4e3f-8a9b-0c1d2e3f4a5b\"";
        for (body, wrong) in [
            ("allow = []", "by `uuid` or by `name`"),
            (&*format!("{id}\nname = \"web\"\nallow = []"), "by `uuid` or by `name`"),
            (id, "allow"),
            ("name = \"web\"\nallow = [\"cancel\"]", "cannot be allowed cancel"),
            ("name = \"web\"\nallow = [\"domain_adopt\"]", "cannot be allowed domain_adopt"),
            ("name = \"web\"\nallow = [\"vm_snapshot_crate\"]", "vm_snapshot_crate"),
            ("name = \"web\"\nallow = []\nrats = 5", "rats"),
            ("name = \"web\"\nallow = []\nrate = -5", "-5"),
            ("uuid = \"web\"\nallow = []", "UUID"),
        ] {
            let error = policy(&format!("[[guest]]\n{body}\n")).unwrap_err();
            assert!(error.contains(wrong), "{body}: {error}");
        }
        let good = policy("[[guest]]\nname = \"web\"\nallow = [\"vm_snapshot_create\"]\n").unwrap();
        assert!(good.rule(Uuid::nil(), "web").is_some());
        assert!(good.rule(Uuid::nil(), "web2").is_none());
    }

    #[test]
    fn an_hours_worth_comes_back_evenly() {
        let start = Clock::now();
        let mut bucket = Bucket::full(6, start);
        let spent = |bucket: &mut Bucket, at: u64| {
            (0..20).filter(|_| bucket.take(6, start + Duration::from_secs(at)).is_ok()).count()
        };
        assert_eq!(spent(&mut bucket, 0), 6);
        let wait = bucket.take(6, start).unwrap_err();
        assert!((599..=600).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(spent(&mut bucket, 599), 0);
        assert_eq!(spent(&mut bucket, 1201), 2);
        assert_eq!(spent(&mut bucket, 100_000), 6, "never more than an hour's worth");
        assert!(Bucket::full(0, start).take(0, start).is_err());
    }

    #[test]
    fn an_operations_id_is_its_guests_own() {
        let id = |n: u128, name: &str| {
            operation_id(Uuid::from_u128(n), &OperationId::new(name).unwrap()).unwrap().as_str().to_owned()
        };
        assert_eq!(id(1, "a"), id(1, "a"));
        let all = [id(1, "a"), id(2, "a"), id(1, "b"), id(1, &id(1, "a")), id(1, &"x".repeat(64))];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn twins_are_nobody_in_particular() {
        let policy = policy("[[guest]]\nname = \"web\"\nallow = []\n").unwrap();
        let running = |domid: u32, uuid: u128, name: &str| Instance {
            uuid: Uuid::from_u128(uuid),
            name: name.into(),
            domid,
            driver: xensnap::contract::DriverKind::Xen,
            run: domid.to_string(),
            state: crate::host::RunState::Running,
        };
        let admitted = |all: &[Instance]| policy.admitted(all).iter().map(|i| i.domid).collect::<Vec<_>>();
        assert_eq!(admitted(&[running(3, 3, "web"), running(4, 4, "db")]), [3]);
        assert_eq!(admitted(&[running(3, 3, "web"), running(4, 4, "web")]), [0; 0]);
        assert_eq!(admitted(&[running(3, 3, "web"), running(4, 3, "db")]), [0; 0]);
        assert_eq!(admitted(&[running(0, 3, "web")]), [0; 0], "dom0 is no guest");
    }
}
