//! A guest's side of the xenstore ring (`xen/include/public/io/xs_wire.h`): requests with an unprivileged domain's rights.
//!
//! The ring page is a shared file; reads and writes of it are coherent with the daemon's mapping, so no mapping is needed
//! here. It is written apart from `xensnap`'s own wire code, and so checks that too. Blocking: call it from a
//! multi-threaded runtime, or beside none.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

const RING: u32 = 1024;
const REQUESTS: u64 = 0;
const REPLIES: u64 = 1024;
const REQUESTS_CONSUMED: u64 = 2048;
const REQUESTS_PRODUCED: u64 = 2052;
const REPLIES_CONSUMED: u64 = 2056;
const REPLIES_PRODUCED: u64 = 2060;
const PATIENCE: Duration = Duration::from_secs(10);

const DIRECTORY: u32 = 1;
const READ: u32 = 2;
const WATCH: u32 = 4;
const WRITE: u32 = 11;
const RM: u32 = 13;
const SET_PERMS: u32 = 14;
const WATCH_EVENT: u32 = 15;
const ERROR: u32 = 16;

/// The daemon's refusal: its word for the errno (`EACCES`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

/// A domain that speaks for itself. Paths may be relative to its own `/local/domain/<domid>`.
#[derive(Debug)]
pub(crate) struct Guest {
    ring: File,
    events: File,
    port: u32,
    received: Vec<u8>,
    watch_events: VecDeque<String>,
    last_request: u32,
}

impl Guest {
    pub(super) fn open(rig: &Path, domid: u32) -> io::Result<Self> {
        let ring =
            OpenOptions::new().read(true).write(true).open(rig.join(format!("domains/{domid}/ring")))?;
        let events = OpenOptions::new().write(true).open(rig.join("events"))?;
        Ok(Self {
            ring,
            events,
            port: 100 + domid,
            received: Vec::new(),
            watch_events: VecDeque::new(),
            last_request: 0,
        })
    }

    pub(crate) fn read(&mut self, path: &str) -> Result<Vec<u8>, Refused> {
        self.request(READ, &[path.as_bytes(), b"\0"])
    }

    pub(crate) fn write(&mut self, path: &str, value: &[u8]) -> Result<(), Refused> {
        self.request(WRITE, &[path.as_bytes(), b"\0", value]).map(drop)
    }

    pub(crate) fn directory(&mut self, path: &str) -> Result<Vec<String>, Refused> {
        let reply = self.request(DIRECTORY, &[path.as_bytes(), b"\0"])?;
        let names = String::from_utf8(reply).unwrap();
        Ok(names.split_terminator('\0').map(str::to_owned).collect())
    }

    pub(crate) fn rm(&mut self, path: &str) -> Result<(), Refused> {
        self.request(RM, &[path.as_bytes(), b"\0"]).map(drop)
    }

    /// `permissions` as on the wire: `n5`, `r0`.
    pub(crate) fn set_permissions(&mut self, path: &str, permissions: &[&str]) -> Result<(), Refused> {
        let list: String = permissions.iter().map(|p| format!("{p}\0")).collect();
        self.request(SET_PERMS, &[path.as_bytes(), b"\0", list.as_bytes()]).map(drop)
    }

    pub(crate) fn watch(&mut self, path: &str) -> Result<(), Refused> {
        self.request(WATCH, &[path.as_bytes(), b"\0t\0"]).map(drop)
    }

    /// The next event's path, if one comes within `patience`.
    pub(crate) fn event(&mut self, patience: Duration) -> Option<String> {
        let limit = Instant::now() + patience;
        while self.watch_events.is_empty() && Instant::now() < limit {
            if let Some((WATCH_EVENT, _, payload)) = self.receive() {
                self.keep_event(&payload);
            }
        }
        self.watch_events.pop_front()
    }

    fn request(&mut self, operation: u32, payload: &[&[u8]]) -> Result<Vec<u8>, Refused> {
        self.last_request += 1;
        let id = self.last_request;
        let payload = payload.concat();
        let header = [operation, id, 0, u32::try_from(payload.len()).unwrap()];
        let mut message: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
        message.extend_from_slice(&payload);
        let limit = Instant::now() + PATIENCE;
        self.send(&message, limit);
        loop {
            assert!(Instant::now() < limit, "no answer through the ring");
            match self.receive() {
                None => {}
                Some((WATCH_EVENT, _, payload)) => self.keep_event(&payload),
                Some((ERROR, replied, payload)) => {
                    assert_eq!(replied, id);
                    let word = String::from_utf8(payload).unwrap();
                    return Err(Refused(word.trim_end_matches('\0').to_owned()));
                }
                Some((kind, replied, payload)) => {
                    assert_eq!((kind, replied), (operation, id));
                    return Ok(payload);
                }
            }
        }
    }

    fn keep_event(&mut self, payload: &[u8]) {
        let path = payload.split(|byte| *byte == 0).next().unwrap_or_default();
        self.watch_events.push_back(String::from_utf8(path.to_vec()).unwrap());
    }

    fn send(&mut self, mut message: &[u8], limit: Instant) {
        while !message.is_empty() {
            let produced = self.word(REQUESTS_PRODUCED);
            let room = RING - produced.wrapping_sub(self.word(REQUESTS_CONSUMED));
            if room == 0 {
                assert!(Instant::now() < limit, "the daemon does not read the ring");
                std::thread::sleep(Duration::from_micros(200));
                continue;
            }
            let at = produced % RING;
            let size = room.min(RING - at).min(u32::try_from(message.len()).unwrap());
            let (now, later) = message.split_at(size as usize);
            self.ring.write_all_at(now, REQUESTS + u64::from(at)).unwrap();
            self.set_word(REQUESTS_PRODUCED, produced.wrapping_add(size));
            self.kick();
            message = later;
        }
    }

    /// One message, or `None` after looking once in vain.
    fn receive(&mut self) -> Option<(u32, u32, Vec<u8>)> {
        self.pull();
        let (header, rest) = self.received.split_at_checked(16)?;
        let mut words = header.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap()));
        let mut word = || words.next().unwrap();
        let (kind, id, _transaction, size) = (word(), word(), word(), word() as usize);
        let (payload, rest) = rest.split_at_checked(size)?;
        let message = (kind, id, payload.to_vec());
        self.received = rest.to_vec();
        Some(message)
    }

    fn pull(&mut self) {
        let consumed = self.word(REPLIES_CONSUMED);
        let there = self.word(REPLIES_PRODUCED).wrapping_sub(consumed);
        if there == 0 {
            std::thread::sleep(Duration::from_micros(200));
            return;
        }
        let at = consumed % RING;
        let mut bytes = vec![0; there.min(RING - at) as usize];
        self.ring.read_exact_at(&mut bytes, REPLIES + u64::from(at)).unwrap();
        self.set_word(REPLIES_CONSUMED, consumed.wrapping_add(u32::try_from(bytes.len()).unwrap()));
        self.received.extend_from_slice(&bytes);
        self.kick();
    }

    fn kick(&mut self) {
        self.events.write_all(&self.port.to_ne_bytes()).expect("the daemon's event channel");
    }

    fn word(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.ring.read_exact_at(&mut bytes, at).unwrap();
        u32::from_ne_bytes(bytes)
    }

    fn set_word(&self, at: u64, value: u32) {
        self.ring.write_all_at(&value.to_ne_bytes(), at).unwrap();
    }
}
