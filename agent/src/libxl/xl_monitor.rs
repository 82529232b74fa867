//! Whether xl's own monitor watches a domain. Nothing tells that but its log, which it keeps open: `Waiting for domain web (domid 7) to die [pid 1234]`.
//!
//! A monitor in the foreground (`xl create -F`) logs elsewhere and is not found.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How much of the end of a log is read, in bytes. A monitor writes a few lines a life.
const TAIL_BYTES: u64 = 256 << 10;

/// The process id of xl's monitor of this domid. `proc` is `/proc`.
pub fn find(proc: &Path, domid: u32) -> Option<u32> {
    let entries = fs::read_dir(proc).ok()?;
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid: &u32| {
        let own = proc.join(pid.to_string());
        fs::read_to_string(own.join("comm")).is_ok_and(|name| name.trim_end() == "xl")
            && tail(&own.join("fd/1")).is_some_and(|log| waits_for(&log, *pid) == Some(domid))
    })
}

fn tail(path: &Path) -> Option<String> {
    // A pipe or a terminal is no log: reading it would take what is somebody else's, or wait.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The domid that a monitor says it waits for, in the last such line of its log that is its own.
fn waits_for(log: &str, pid: u32) -> Option<u32> {
    let end = format!(") to die [pid {pid}]");
    let line =
        log.lines().rev().find(|l| l.starts_with("Waiting for domain ") && l.trim_end().ends_with(&end))?;
    let (_, domid) = line.trim_end().strip_suffix(&end)?.rsplit_once("(domid ")?;
    domid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str, domid: u32, pid: u32) -> String {
        format!("Waiting for domain {name} (domid {domid}) to die [pid {pid}]\n")
    }

    #[test]
    fn the_last_line_of_its_own_counts() {
        let text = log("a", 3, 100)
            + "Domain 3 has shut down, reason code 1 0x1\n"
            + &log("a", 4, 100)
            + &log("a", 9, 200);
        assert_eq!(waits_for(&text, 100), Some(4));
        assert_eq!(waits_for(&text, 200), Some(9));
        assert_eq!(waits_for(&text, 10), None);
        assert_eq!(waits_for(&log("odd (domid 8) to die", 5, 1), 1), Some(5));
    }

    #[test]
    fn only_an_xl_with_such_a_log_is_a_monitor() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, comm, text) in [
            (100, "xl", log("a", 3, 100)),
            (101, "xl", "xl list\n".into()),
            (102, "cat", log("b", 5, 102)),
            (103, "xl", log("c", 6, 100)),
        ] {
            let own = proc.path().join(format!("{pid}/fd"));
            fs::create_dir_all(&own).unwrap();
            for (name, text) in [("../comm", format!("{comm}\n")), ("1", text)] {
                std::io::Write::write_all(&mut File::create(own.join(name)).unwrap(), text.as_bytes())
                    .unwrap();
            }
        }
        assert_eq!(find(proc.path(), 3), Some(100));
        for none in [4, 5, 6] {
            assert_eq!(find(proc.path(), none), None, "{none}");
        }
    }
}
