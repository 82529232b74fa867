//! The program's log: its own lines and libxl's, on standard error; and libxl's last complaint, which goes into the answer that it explains.
//!
//! State: the last complaint and an unfinished line. One thread has them; the mutex only says so to the compiler.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use xensnap::wire::Timestamp;

#[derive(Default)]
struct Heard {
    unfinished: Vec<u8>,
    complaint: Option<String>,
}

static HEARD: Mutex<Heard> = Mutex::new(Heard { unfinished: Vec::new(), complaint: None });

fn heard() -> MutexGuard<'static, Heard> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line of our own.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{} {text}", Timestamp::now()); // a log that cannot be written stops nothing
}

/// Takes what libxl logs.
pub(super) fn hear(bytes: &[u8]) {
    let mut heard = heard();
    heard.unfinished.extend(bytes);
    while let Some(end) = heard.unfinished.iter().position(|b| *b == b'\n') {
        let line: Vec<u8> = heard.unfinished.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line);
        say(line.trim_end());
        if let Some(words) = complaint(line.trim_end()) {
            heard.complaint = Some(words.to_owned());
        }
    }
}

/// libxl's last error since the last call of this.
pub(super) fn last_complaint() -> Option<String> {
    heard().complaint.take()
}

/// What an error line says, without the place in libxl's source: `libxl: error: libxl_x.c:1:f: Domain 3:Unable`, `xc: error: ..`.
fn complaint(line: &str) -> Option<&str> {
    let (who, words) = line.split_once(": error: ")?;
    if who.contains(' ') {
        return None;
    }
    let mut parts = words.splitn(4, ':');
    let place = parts.next().is_some_and(|file| file.ends_with(".c"))
        && parts.next().is_some_and(|line| line.bytes().all(|b| b.is_ascii_digit()));
    if place {
        let _function = parts.next();
        return parts.next().map(str::trim_start);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_found_and_lose_their_place() {
        let line = "libxl: error: libxl_dom_suspend.c:396:suspend_common_wait_guest_timeout: Domain 3:guest did not suspend, timed out";
        assert_eq!(complaint(line), Some("Domain 3:guest did not suspend, timed out"));
        assert_eq!(
            complaint("libxl: error: libxl_x.c:1:f:Failed to enable logdirty: 95,22,0"),
            Some("Failed to enable logdirty: 95,22,0")
        );
        assert_eq!(
            complaint("xc: error: Failed to get types: page 3 (1 = x): Internal error"),
            Some("Failed to get types: page 3 (1 = x): Internal error")
        );
        assert_eq!(complaint("libxl: notice: libxl_x.c:1:f: y"), None);
        assert_eq!(complaint("an: error: without a program"), Some("without a program"));
        assert_eq!(complaint("words of somebody: error: no"), None);
    }

    #[test]
    fn lines_come_in_pieces_and_the_last_error_stays_until_asked_for() {
        hear(b"libxl: error: one\nlibxl: er");
        hear(b"ror: two\nlibxl: warning: three\nlibxl: error: unfin");
        assert_eq!(last_complaint().as_deref(), Some("two"));
        assert_eq!(last_complaint(), None);
        hear(b"ished\n");
        assert_eq!(last_complaint().as_deref(), Some("unfinished"));
    }
}
