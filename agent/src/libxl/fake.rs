//! A toolstack without Xen: domains in memory, and a script of what happens to them whenever somebody waits.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::time::Duration;

use uuid::Uuid;

use super::protocol::{Failure, FailureKind, Info, RunState, Status, Target};
use super::toolstack::{Event, Toolstack};

/// A domain of the fake.
#[derive(Clone, Debug)]
pub(super) struct Dom {
    pub(super) uuid: Uuid,
    pub(super) state: RunState,
    pub(super) pauses: u32,
    pub(super) config: String,
    pub(super) name: String,
}

/// What happens while a monitor waits.
pub(super) type Turn = Box<dyn FnOnce(&Fake) -> Option<Event>>;

pub(super) struct Fake {
    pub(super) info: Info,
    pub(super) domains: RefCell<BTreeMap<u32, Dom>>,
    pub(super) script: RefCell<VecDeque<Turn>>,
    /// What was asked for, in order.
    pub(super) log: RefCell<Vec<String>>,
    /// Verbs that fail, each as often as it is listed.
    pub(super) fails: RefCell<Vec<&'static str>>,
    /// Verbs that say that they succeed and do nothing.
    pub(super) lies: RefCell<Vec<&'static str>>,
    armed: RefCell<bool>,
    next: RefCell<u32>,
}

impl Fake {
    pub(super) fn new() -> Self {
        let info = Info {
            library: "/fake".into(),
            xen: "4.17.7".into(),
            hap: true,
            shadow: false,
            xl_monitor_ends: true,
            known: true,
        };
        Self {
            info,
            domains: RefCell::default(),
            script: RefCell::default(),
            log: RefCell::default(),
            fails: RefCell::default(),
            lies: RefCell::default(),
            armed: RefCell::new(false),
            next: RefCell::new(10),
        }
    }

    /// A domain of this config.
    pub(super) fn add(&self, domid: u32, uuid: Uuid, name: &str, actions: &str) -> Target {
        let config = format!("{{\"c_info\": {{\"name\": \"{name}\", \"uuid\": \"{uuid}\"}}, {actions}}}");
        self.domains
            .borrow_mut()
            .insert(domid, Dom { uuid, state: RunState::Running, pauses: 0, config, name: name.into() });
        Target { domid, uuid }
    }

    pub(super) fn becomes(&self, domid: u32, state: RunState) {
        if let Some(dom) = self.domains.borrow_mut().get_mut(&domid) {
            dom.state = state;
        }
    }

    pub(super) fn then(&self, turn: impl FnOnce(&Self) -> Option<Event> + 'static) {
        self.script.borrow_mut().push_back(Box::new(turn));
    }

    fn call(&self, verb: &'static str, what: String) -> Result<bool, Failure> {
        self.log.borrow_mut().push(format!("{verb} {what}").trim_end().to_owned());
        let mut fails = self.fails.borrow_mut();
        if let Some(at) = fails.iter().position(|f| *f == verb) {
            fails.remove(at);
            return Err(Failure {
                rc: Some(-3),
                ..Failure::new(FailureKind::Libxl, format!("{verb} failed"))
            });
        }
        Ok(!self.lies.borrow().contains(&verb))
    }

    fn on(&self, verb: &'static str, domid: u32, act: impl FnOnce(&mut Dom)) -> Result<(), Failure> {
        if self.call(verb, domid.to_string())? {
            let mut domains = self.domains.borrow_mut();
            let dom =
                domains.get_mut(&domid).ok_or_else(|| Failure::new(FailureKind::Libxl, "no such domain"))?;
            act(dom);
        }
        Ok(())
    }
}

impl Toolstack for Fake {
    fn info(&self) -> &Info {
        &self.info
    }

    fn look(&self, domid: u32) -> Result<Option<Status>, Failure> {
        Ok(self.domains.borrow().get(&domid).map(|dom| Status {
            target: Target { domid, uuid: dom.uuid },
            state: match dom.state {
                RunState::Running if dom.pauses > 0 => RunState::Paused,
                state => state,
            },
            paused: dom.pauses > 0,
            hvm: dom.config.contains("hvm"),
            memory_kib: 131_072,
            cpu_time_ns: 1,
        }))
    }

    fn config(&self, domid: u32) -> Result<String, Failure> {
        let mut config = Err(Failure::new(FailureKind::Libxl, "no config"));
        self.on("config", domid, |dom| config = Ok(dom.config.clone()))?;
        config
    }

    fn named(&self, name: &str) -> Result<Option<u32>, Failure> {
        Ok(self.domains.borrow().iter().find(|(_, d)| d.name == name).map(|(domid, _)| *domid))
    }

    fn pause(&self, domid: u32) -> Result<(), Failure> {
        self.on("pause", domid, |dom| dom.pauses += 1)
    }

    fn unpause(&self, domid: u32) -> Result<(), Failure> {
        self.on("unpause", domid, |dom| dom.pauses -= 1)
    }

    fn suspend(&self, domid: u32, mut file: &File, live: bool) -> Result<(), Failure> {
        self.on(if live { "suspend_live" } else { "suspend" }, domid, |dom| {
            file.write_all(b"stream").unwrap();
            dom.state = RunState::Suspended;
        })
    }

    fn resume(&self, domid: u32) -> Result<(), Failure> {
        self.on("resume", domid, |dom| dom.state = RunState::Running)
    }

    fn destroy(&self, domid: u32) -> Result<(), Failure> {
        if self.call("destroy", domid.to_string())? {
            self.domains.borrow_mut().remove(&domid);
        }
        Ok(())
    }

    fn create(&self, config: &str) -> Result<u32, Failure> {
        let (name, uuid) =
            (super::decide::c_info(config, "name").unwrap(), super::decide::c_info(config, "uuid").unwrap());
        self.call("create", name.clone())?;
        let domid = *self.next.borrow();
        *self.next.borrow_mut() += 1;
        let dom = Dom {
            uuid: uuid.parse().unwrap(),
            state: RunState::Running,
            pauses: 1,
            config: config.into(),
            name,
        };
        self.domains.borrow_mut().insert(domid, dom);
        Ok(domid)
    }

    fn soft_reset(&self, domid: u32, _config: &str) -> Result<(), Failure> {
        self.on("soft_reset", domid, |dom| {
            dom.state = RunState::Running;
            dom.pauses = 1;
        })
    }

    fn core_dump(&self, _domid: u32, file: &str) -> Result<(), Failure> {
        self.call("core_dump", file.into()).map(drop)
    }

    fn preserve(&self, domid: u32, _config: &str, suffix: &str, uuid: Uuid) -> Result<(), Failure> {
        self.on("preserve", domid, |dom| {
            dom.name.push_str(suffix);
            dom.uuid = uuid;
        })
    }

    fn watch(&self, domid: u32, removable: &[String]) -> Result<(), Failure> {
        *self.armed.borrow_mut() = true;
        self.call("watch", format!("{domid} {}", removable.join(","))).map(drop)
    }

    fn watch_on(&self) -> Result<(), Failure> {
        *self.armed.borrow_mut() = true;
        Ok(())
    }

    fn wait(&self, _time: Duration) -> Result<Option<Event>, Failure> {
        let turn =
            self.script.borrow_mut().pop_front().expect("the script has ended, and the monitor waits on");
        let event = turn(self);
        if event == Some(Event::Other) {
            // Like libxl: a subscription tells once.
            assert!(self.armed.replace(false), "an event was waited for that nobody has subscribed to again");
        }
        Ok(event)
    }

    fn insert(&self, domid: u32, disk: &str) -> Result<(), Failure> {
        self.call("insert", format!("{domid} {disk}")).map(drop)
    }

    fn sleep(&self, time: Duration) {
        self.log.borrow_mut().push(format!("sleep {}", time.as_millis()));
    }
}
