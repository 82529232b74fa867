//! libxl with safe calls: the second and last place with `unsafe`.
//!
//! Owns the context, the event subscriptions and every struct of libxl's that it makes. Structs are opaque: a zeroed buffer larger than any of them, libxl's own
//! `_init` and `_dispose`, and JSON to look inside. libxl's context is for one thread here: it forks `libxl-save-helper` and QEMU, and takes SIGCHLD while it does
//! (`libxl_sigchld_owner_libxl`, its default), so this process has no children and no threads of its own.
#![expect(unsafe_code, reason = "calls into a C library that is loaded at run time")]

use std::cell::RefCell;
use std::ffi::{CString, c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use uuid::Uuid;
use xensnap::wire::Timestamp;

use super::ffi::{self, Raw, RawUuid, Thing};
use super::library::{self, CHECKED, MONITOR_STAYS};
use super::protocol::{Failure, FailureKind, Info, Status};
use super::toolstack::{Event, Toolstack};
use super::{decide, status, words};

/// Words of a buffer for a struct of libxl's. The largest, `libxl_domain_config`, has about 4 KiB in Xen 4.20.
const STRUCT_WORDS: usize = 8192;

/// `XTL_NOTICE` of xentoollog.h: no debugging and no progress.
const LOG_LEVEL: c_int = 6;

const SUSPEND_LIVE: c_int = 2;
const ERROR_GUEST_TIMEDOUT: i32 = -8;
const ERROR_NOT_READY: i32 = -11;
const ERROR_BUFFERFULL: i32 = -13;
const ERROR_DOMAIN_NOTFOUND: i32 = -21;

/// The domid that is none (`INVALID_DOMID`).
const NO_DOMID: u32 = !0;

/// The first domid that no guest has (`LIBXL_DOMID_FIRST_RESERVED`).
const DOMID_RESERVED: u32 = 0x7ff0;

/// The host's libxl.
pub struct Libxl {
    raw: Raw,
    ctx: Thing,
    info: Info,
    autoballoon: bool,
    watched: RefCell<Watched>,
}

/// Event subscriptions: libxl's `libxl_evgen_*`.
#[derive(Default)]
struct Watched {
    domid: u32,
    death: Option<Thing>,
    ejects: Vec<Thing>,
}

/// A struct of libxl's.
struct Object<'a> {
    raw: &'a Raw,
    memory: Vec<u64>,
    dispose: unsafe fn(&Raw, Thing) -> Result<(), Failure>,
}

type OnStruct = unsafe fn(&Raw, Thing) -> Result<(), Failure>;

impl<'a> Object<'a> {
    fn new(raw: &'a Raw, init: OnStruct, dispose: OnStruct) -> Result<Self, Failure> {
        let mut object = Self { raw, memory: vec![0; STRUCT_WORDS], dispose };
        // SAFETY: the memory is larger than the struct, zeroed, and lives as long as the object.
        unsafe { init(raw, object.thing()) }?;
        Ok(object)
    }

    fn thing(&mut self) -> Thing {
        self.memory.as_mut_ptr().cast()
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        let thing = self.thing();
        // SAFETY: `init` was called on it, and nobody uses it any more.
        let _ = unsafe { (self.dispose)(self.raw, thing) };
    }
}

fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::new(FailureKind::BadRequest, "a text for libxl holds a NUL"))
}

/// The result of a libxl function, with what it said.
fn done(what: &str, rc: c_int) -> Result<(), Failure> {
    let complaint = words::last_complaint();
    if rc == 0 {
        return Ok(());
    }
    let kind = if rc == ERROR_GUEST_TIMEDOUT { FailureKind::GuestTimeout } else { FailureKind::Libxl };
    let words = complaint.map_or_else(String::new, |c| format!(": {c}"));
    Err(Failure { rc: Some(rc), ..Failure::new(kind, format!("libxl could not {what} ({rc}){words}")) })
}

impl Libxl {
    /// Loads the host's libxl and asks it about the hypervisor. A `library` that is named is the only one tried.
    ///
    /// # Errors
    /// `NoXen`, `NoLibxl`, or `Libxl` when it does not work with this hypervisor.
    pub fn open(library: Option<&Path>) -> Result<Self, Failure> {
        let root = Path::new("/");
        let running = library::running_release(root)?;
        let candidates = match library {
            Some(path) => vec![(path.to_owned(), running)],
            None => library::candidates(root, running)?,
        };
        let mut failed = Failure::new(FailureKind::NoLibxl, "no libxl was found");
        for (path, release) in candidates {
            if release != running {
                words::say(&format!(
                    "there is no libxl of Xen {}.{}, which runs here: trying {}",
                    running.0,
                    running.1,
                    path.display()
                ));
            }
            match Self::open_this(&path) {
                Ok(libxl) => return Ok(libxl),
                Err(e) => failed = e,
            }
        }
        Err(failed)
    }

    fn open_this(path: &Path) -> Result<Self, Failure> {
        let raw = Raw::load(path)?;
        // SAFETY: the stream is never closed.
        let logger = unsafe { raw.xtl_createlogger_stdiostream(ffi::log_stream()?, LOG_LEVEL, 0) }?;
        let mut ctx = null_mut();
        // SAFETY: the logger is never destroyed; version 0 is the only one that any libxl has asked for.
        let rc = unsafe { raw.libxl_ctx_alloc(&raw mut ctx, 0, 0, logger) }?;
        done("be opened", rc)?;
        let info = Info {
            library: path.into(),
            xen: String::new(),
            hap: false,
            shadow: false,
            xl_monitor_ends: false,
            known: false,
        };
        let mut opened = Self { raw, ctx, info, autoballoon: false, watched: RefCell::default() };
        opened.ask()?;
        Ok(opened)
    }

    /// Asks about the hypervisor.
    fn ask(&mut self) -> Result<(), Failure> {
        let none = |what: &str| Failure::new(FailureKind::Libxl, format!("libxl does not tell {what}"));
        // SAFETY: the version belongs to the context, and is only read.
        let version = unsafe {
            let version = self.raw.libxl_get_version_info(self.ctx)?;
            if version.is_null() {
                return Err(none("Xen's version"));
            }
            ffi::taken(self.raw.libxl_version_info_to_json(self.ctx, version)?)
        };
        let xen = status::version(&version.ok_or_else(|| none("Xen's version"))?)?;
        let raw = &self.raw;
        let mut physinfo = Object::new(raw, Raw::libxl_physinfo_init, Raw::libxl_physinfo_dispose)?;
        let thing = physinfo.thing();
        // SAFETY: an initialised struct of that type.
        done("tell what the host is able to", unsafe { raw.libxl_get_physinfo(self.ctx, thing) }?)?;
        // SAFETY: as above.
        let text = unsafe { ffi::taken(raw.libxl_physinfo_to_json(self.ctx, thing)?) };
        let (hap, shadow) = status::abilities(&text.ok_or_else(|| none("the host's abilities"))?)?;
        drop(physinfo);
        let known = CHECKED.contains(&xen.release);
        if !known {
            words::say(&format!(
                "Xen {} is none of the versions that this program was checked against",
                xen.version
            ));
        }
        self.info = Info {
            xen: xen.version,
            hap,
            shadow,
            xl_monitor_ends: xen.release < MONITOR_STAYS,
            known,
            ..self.info.clone()
        };
        let xl_conf = std::fs::read_to_string("/etc/xen/xl.conf").unwrap_or_default();
        self.autoballoon = decide::autoballoon(&xl_conf, &xen.command_line);
        Ok(())
    }

    fn new_config(&self) -> Result<Object<'_>, Failure> {
        Object::new(&self.raw, Raw::libxl_domain_config_init, Raw::libxl_domain_config_dispose)
    }

    fn config_of(&self, json: &str) -> Result<Object<'_>, Failure> {
        let mut config = self.new_config()?;
        let (json, thing) = (c_string(json)?, config.thing());
        // SAFETY: an initialised struct of that type, and a C string.
        let rc = unsafe { self.raw.libxl_domain_config_from_json(self.ctx, thing, json.as_ptr()) }?;
        done("read this config", rc)?;
        Ok(config)
    }

    /// Frees memory of dom0 for a domain of this config, as xl does with `autoballoon`.
    fn make_room(&self, config: &mut Object<'_>) -> Result<(), Failure> {
        let mut wanted = 0;
        // SAFETY: an initialised struct of that type; the result is ours.
        let rc = unsafe {
            self.raw.libxl_domain_need_memory(self.ctx, config.thing(), NO_DOMID, &raw mut wanted)
        }?;
        done("tell how much memory the domain needs", rc)?;
        for _ in 0..3 {
            let mut free = 0;
            // SAFETY: the result is ours.
            done("tell the free memory", unsafe {
                self.raw.libxl_get_free_memory(self.ctx, &raw mut free)
            }?)?;
            if free >= wanted {
                return Ok(());
            }
            let less = free.cast_signed().saturating_sub(wanted.cast_signed());
            // SAFETY: plain numbers. Dom0's target, relative, not enforced: as xl does it.
            done("ask dom0 for memory", unsafe {
                self.raw.libxl_set_memory_target(self.ctx, 0, less, 1, 0)
            }?)?;
            // SAFETY: plain numbers.
            done("wait for dom0's memory", unsafe {
                self.raw.libxl_wait_for_memory_target(self.ctx, 0, 10)
            }?)?;
        }
        Ok(())
    }

    /// The next event that has happened. It is freed here.
    fn next_event(&self) -> Result<Option<Event>, Failure> {
        let mut event = null_mut();
        // SAFETY: the event pointer is ours; no predicate.
        let rc = unsafe { self.raw.libxl_event_check(self.ctx, &raw mut event, !0, null(), null()) }?;
        if rc == ERROR_NOT_READY {
            return Ok(None);
        }
        done("tell its events", rc)?;
        // SAFETY: libxl has just given the event to us.
        let json = unsafe { self.raw.libxl_event_to_json(self.ctx, event).map(|t| ffi::taken(t)) };
        // SAFETY: as above, and it is not used any more.
        unsafe { self.raw.libxl_event_free(self.ctx, event) }?;
        Ok(Some(status::event(&json?.unwrap_or_default())))
    }

    fn watch_death(&self, domid: u32) -> Result<Thing, Failure> {
        let mut made = null_mut();
        // SAFETY: the result is ours, and given back to `evdisable` once.
        let rc = unsafe { self.raw.libxl_evenable_domain_death(self.ctx, domid, 0, &raw mut made) }?;
        done("watch the domain", rc)?;
        Ok(made)
    }

    /// Ends all subscriptions and forgets what they have brought.
    fn unwatch(&self) {
        let watched = std::mem::take(&mut *self.watched.borrow_mut());
        if let Some(death) = watched.death {
            // SAFETY: made by `evenable`, and taken out of the list, so that it is ended once.
            let _ = unsafe { self.raw.libxl_evdisable_domain_death(self.ctx, death) };
        }
        for eject in watched.ejects {
            // SAFETY: as above.
            let _ = unsafe { self.raw.libxl_evdisable_disk_eject(self.ctx, eject) };
        }
        while let Ok(Some(_)) = self.next_event() {}
    }

    /// Lets libxl wait for whatever it waits for, not longer than this.
    fn poll(&self, time: Duration) -> Result<(), Failure> {
        let now = || {
            let nanos = Timestamp::now().unix_nanos();
            libc::timeval {
                tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
                tv_usec: i64::try_from(nanos % 1_000_000_000 / 1000).unwrap_or(0),
            }
        };
        let mut timeout_ms = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
        let empty = libc::pollfd { fd: -1, events: 0, revents: 0 };
        let mut fds = vec![empty; 8];
        let count = loop {
            let mut count = c_int::try_from(fds.len()).unwrap_or(0);
            // SAFETY: `count` is the length of `fds`.
            let rc = unsafe {
                let fds = fds.as_mut_ptr();
                self.raw.libxl_osevent_beforepoll(self.ctx, &raw mut count, fds, &raw mut timeout_ms, now())
            }?;
            if rc != ERROR_BUFFERFULL {
                done("tell what to wait for", rc)?;
                break count;
            }
            fds.resize(usize::try_from(count).unwrap_or(0).max(fds.len() * 2), empty);
        };
        // SAFETY: libxl has filled `count` of them, not more than there are.
        let polled =
            unsafe { libc::poll(fds.as_mut_ptr(), libc::nfds_t::try_from(count).unwrap_or(0), timeout_ms) };
        let error = std::io::Error::last_os_error();
        if polled < 0 && error.kind() != std::io::ErrorKind::Interrupted {
            return Err(Failure::new(FailureKind::Libxl, format!("cannot wait for libxl's events: {error}")));
        }
        if polled < 0 {
            fds.fill(empty); // interrupted: `revents` mean nothing
        }
        // SAFETY: as filled by beforepoll and poll.
        unsafe { self.raw.libxl_osevent_afterpoll(self.ctx, count, fds.as_ptr(), now()) }
    }

    fn by_domid(
        &self,
        what: &str,
        f: unsafe fn(&Raw, Thing, u32, *const c_void) -> Result<c_int, Failure>,
        domid: u32,
    ) -> Result<(), Failure> {
        // SAFETY: a function of libxl's that takes a context, a domid and how to wait (NULL: until it is done).
        done(what, unsafe { f(&self.raw, self.ctx, domid, null()) }?)
    }
}

impl Toolstack for Libxl {
    fn info(&self) -> &Info {
        &self.info
    }

    fn look(&self, domid: u32) -> Result<Option<Status>, Failure> {
        let mut info = Object::new(&self.raw, Raw::libxl_dominfo_init, Raw::libxl_dominfo_dispose)?;
        let thing = info.thing();
        // SAFETY: an initialised struct of that type.
        let rc = unsafe { self.raw.libxl_domain_info(self.ctx, thing, domid) }?;
        if rc == ERROR_DOMAIN_NOTFOUND {
            return Ok(None);
        }
        done("look at the domain", rc)?;
        // SAFETY: as above.
        let text = unsafe { ffi::taken(self.raw.libxl_dominfo_to_json(self.ctx, thing)?) };
        let text =
            text.ok_or_else(|| Failure::new(FailureKind::Libxl, "libxl does not tell the domain's state"))?;
        status::status(&text).map(Some)
    }

    fn config(&self, domid: u32) -> Result<String, Failure> {
        let mut config = self.new_config()?;
        let thing = config.thing();
        // SAFETY: an initialised struct of that type.
        let rc = unsafe { self.raw.libxl_retrieve_domain_configuration(self.ctx, domid, thing, null()) }?;
        done("tell the domain's config", rc)?;
        // SAFETY: as above.
        let text = unsafe { ffi::taken(self.raw.libxl_domain_config_to_json(self.ctx, thing)?) };
        text.ok_or_else(|| Failure::new(FailureKind::Libxl, "libxl does not tell the domain's config"))
    }

    fn named(&self, name: &str) -> Result<Option<u32>, Failure> {
        let (name, mut domid) = (c_string(name)?, NO_DOMID);
        // SAFETY: a C string; the result is ours.
        let rc = unsafe { self.raw.libxl_name_to_domid(self.ctx, name.as_ptr(), &raw mut domid) }?;
        let _ = words::last_complaint(); // it fails when there is none of that name, and says no more
        Ok((rc == 0).then_some(domid))
    }

    fn pause(&self, domid: u32) -> Result<(), Failure> {
        self.by_domid("pause the domain", Raw::libxl_domain_pause, domid)
    }

    fn unpause(&self, domid: u32) -> Result<(), Failure> {
        self.by_domid("unpause the domain", Raw::libxl_domain_unpause, domid)
    }

    fn suspend(&self, domid: u32, file: &File, live: bool) -> Result<(), Failure> {
        let flags = if live { SUSPEND_LIVE } else { 0 };
        // SAFETY: plain numbers; the file is open until it returns, for it waits (NULL).
        let rc = unsafe { self.raw.libxl_domain_suspend(self.ctx, domid, file.as_raw_fd(), flags, null()) }?;
        done("save the domain", rc)
    }

    fn resume(&self, domid: u32) -> Result<(), Failure> {
        // SAFETY: plain numbers. 1: the guest's suspend call returns "cancelled", which all guests that matter understand.
        done("resume the domain", unsafe { self.raw.libxl_domain_resume(self.ctx, domid, 1, null()) }?)
    }

    fn destroy(&self, domid: u32) -> Result<(), Failure> {
        self.by_domid("destroy the domain", Raw::libxl_domain_destroy, domid)
    }

    fn create(&self, json: &str) -> Result<u32, Failure> {
        let (mut config, mut domid) = (self.config_of(json)?, NO_DOMID);
        if self.autoballoon
            && let Err(e) = self.make_room(&mut config)
        {
            words::say(&format!("trying with the memory that is free: {e}"));
        }
        // SAFETY: an initialised struct of that type; the result is ours.
        let rc = unsafe {
            self.raw.libxl_domain_create_new(self.ctx, config.thing(), &raw mut domid, null(), null())
        }?;
        let made = done("create the domain", rc);
        if made.is_err() && (1..DOMID_RESERVED).contains(&domid) {
            let _ = self.destroy(domid);
        }
        made.map(|()| domid)
    }

    fn soft_reset(&self, domid: u32, json: &str) -> Result<(), Failure> {
        let mut config = self.config_of(json)?;
        // SAFETY: an initialised struct of that type.
        let rc =
            unsafe { self.raw.libxl_domain_soft_reset(self.ctx, config.thing(), domid, null(), null()) }?;
        done("reset the domain softly", rc)
    }

    fn core_dump(&self, domid: u32, file: &str) -> Result<(), Failure> {
        let file = c_string(file)?;
        // SAFETY: a C string.
        let rc = unsafe { self.raw.libxl_domain_core_dump(self.ctx, domid, file.as_ptr(), null()) }?;
        done("dump the domain's memory", rc)
    }

    fn preserve(&self, domid: u32, json: &str, suffix: &str, uuid: Uuid) -> Result<(), Failure> {
        let (mut config, suffix) = (self.config_of(json)?, c_string(suffix)?);
        let uuid = RawUuid(*uuid.as_bytes());
        // SAFETY: a config begins with the `libxl_domain_create_info` that is wanted; a C string; a UUID by value.
        let rc = unsafe {
            self.raw.libxl_domain_preserve(self.ctx, domid, config.thing(), suffix.as_ptr(), uuid)
        }?;
        done("preserve the domain", rc)
    }

    fn watch(&self, domid: u32, removable: &[String]) -> Result<(), Failure> {
        self.unwatch();
        self.watched.replace(Watched { domid, death: Some(self.watch_death(domid)?), ejects: Vec::new() });
        for vdev in removable {
            let (vdev, mut made) = (c_string(vdev)?, null_mut());
            // SAFETY: a C string; the result is ours, and given back to `evdisable` once.
            let rc = unsafe {
                self.raw.libxl_evenable_disk_eject(self.ctx, domid, vdev.as_ptr(), 0, &raw mut made)
            }?;
            done("watch a removable disk", rc)?;
            self.watched.borrow_mut().ejects.push(made);
        }
        Ok(())
    }

    fn watch_on(&self) -> Result<(), Failure> {
        let mut watched = self.watched.borrow_mut();
        // The new one before the old one ends, or the watch in xenstore would be made anew and fire at once, for ever while the domain is suspended.
        let new = self.watch_death(watched.domid)?;
        if let Some(old) = watched.death.replace(new) {
            // SAFETY: made by `evenable`, and taken out, so that it is ended once.
            unsafe { self.raw.libxl_evdisable_domain_death(self.ctx, old) }?;
        }
        Ok(())
    }

    fn wait(&self, time: Duration) -> Result<Option<Event>, Failure> {
        let until = Instant::now() + time;
        loop {
            if let Some(event) = self.next_event()? {
                return Ok(Some(event));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.poll(left)?;
        }
    }

    fn insert(&self, domid: u32, json: &str) -> Result<(), Failure> {
        let mut disk = Object::new(&self.raw, Raw::libxl_device_disk_init, Raw::libxl_device_disk_dispose)?;
        let (json, thing) = (c_string(json)?, disk.thing());
        // SAFETY: an initialised struct of that type, and a C string.
        let rc = unsafe { self.raw.libxl_device_disk_from_json(self.ctx, thing, json.as_ptr()) }?;
        done("read this disk", rc)?;
        // SAFETY: as above.
        done("insert the medium", unsafe { self.raw.libxl_cdrom_insert(self.ctx, domid, thing, null()) }?)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl Drop for Libxl {
    fn drop(&mut self) {
        self.unwatch();
        // SAFETY: made by `libxl_ctx_alloc`, and not used any more.
        let _ = unsafe { self.raw.libxl_ctx_free(self.ctx) };
    }
}
