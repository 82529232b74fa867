//! The QEMU processes of a domain, found by `-uuid` on their command line: the pid file names one that may be gone, and a restart by the agent
//! is no child of ours.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

fn is_qemu_of(pid: i32, uuid: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let args: Vec<_> = line.split(|byte| *byte == 0).collect();
    args.windows(2).any(|pair| pair[0] == b"-uuid" && pair[1] == uuid.as_bytes())
}

fn all(uuid: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_qemu_of(*pid, uuid)).collect()
}

/// The newest, should a dying one still be there.
pub(super) fn qemu_of(uuid: &str) -> Option<i32> {
    all(uuid).pop()
}

pub(super) fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Kills every QEMU of the domain and returns when none is left.
pub(super) fn end(uuid: &str) {
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let found = all(uuid);
        if found.is_empty() {
            return;
        }
        for pid in found {
            // By a descriptor, and looked at again: the number may be another's by now.
            let Ok(fd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { continue };
            if is_qemu_of(pid, uuid) {
                let _ = pidfd_send_signal(&fd, Signal::KILL);
            }
        }
        if Instant::now() > limit {
            return; // said by whoever looks next; a panic here would be one within a drop
        }
        thread::sleep(Duration::from_millis(2));
    }
}
