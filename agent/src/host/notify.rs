//! What systemd wants to hear from a service of `Type=notify`: that it is ready, that it lives, that it stops. sd_notify(3).
//!
//! ```text
//!   serve: recovery settled -> READY=1     every heartbeat -> WATCHDOG=1     signal -> STOPPING=1
//! ```
//!
//! One datagram each to `$NOTIFY_SOCKET`. Without that variable (no systemd, or a shell) nothing is sent. A failure to send is no reason to stop: the
//! watchdog says it more plainly.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// How long it waits for a sign of life before it kills; none: it does not watch.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says.
    #[must_use]
    pub fn from_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|us| ours && *us > 0).map(Duration::from_micros);
        Self { watchdog, ..Self::to(std::env::var_os("NOTIFY_SOCKET")) }
    }

    /// To this socket: a path, or `@` and an abstract name.
    fn to(socket: Option<OsString>) -> Self {
        let to = socket.filter(|s| !s.is_empty()).and_then(|socket| {
            let bytes = socket.as_bytes();
            let address = match bytes.split_first() {
                Some((b'@', name)) => SocketAddr::from_abstract_name(name),
                _ => SocketAddr::from_pathname(&socket),
            };
            let plug = UnixDatagram::unbound().ok()?;
            // A manager that does not read must not hold the agent.
            plug.set_nonblocking(true).ok()?;
            Some((plug, address.ok()?))
        });
        Self { to, watchdog: None }
    }

    /// How often a sign of life must come, when somebody watches.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The start is over.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// The start goes on, and may take this much longer.
    pub fn starting(&self, status: &str, more: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}\nSTATUS={status}", more.as_micros()));
    }

    /// A sign of life.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// The end begins.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, text: &str) {
        if let Some((plug, address)) = &self.to {
            let _ = plug.send_to_addr(text.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        let n = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    }

    #[test]
    fn it_speaks_to_a_socket_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("xensnapd-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let both = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}").into()),
        ];
        for (manager, address) in both {
            let notify = Notify::to(Some(address));
            notify.starting("settling", Duration::from_secs(30));
            notify.ready("serving");
            notify.alive();
            notify.stopping();
            assert_eq!(heard(&manager), "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=settling");
            assert_eq!(heard(&manager), "READY=1\nSTATUS=serving");
            assert_eq!(heard(&manager), "WATCHDOG=1");
            assert_eq!(heard(&manager), "STOPPING=1");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_said_and_nothing_fails() {
        for nobody in [None, Some(OsString::new()), Some("/nowhere/notify".into())] {
            Notify::to(nobody).ready("serving");
        }
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(Some(path.into_os_string()));
        for _ in 0..5000 {
            notify.alive();
        }
    }
}
