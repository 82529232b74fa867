//! What `xensnap-libxl` is asked and what it answers: the types that it and the agent's driver share.
//!
//! ```text
//!   one-shot   xensnap-libxl state|pause|unpause|resume|config DOMID UUID      stdout: one line, Answer<T>; exit code: see `FailureKind::exit_code`
//!              xensnap-libxl info
//!   long       xensnap-libxl serve SOCKET        socket: line out Answer<Hello>, then per line in (Request) one line out (Answer<T>)
//!              xensnap-libxl create CONFIG.json --answer FILE       FILE, once created: Answer<Created>; goes on as `watch`
//!              xensnap-libxl watch DOMID UUID     stderr: a log; stdout at the end: Answer<Watched>
//! ```
//!
//! Rules of the wire:
//! - JSON, one document a line, in UTF-8; a line ends with `\n` and holds no other. An answer is `{"ok": ..}` or `{"error": ..}`.
//! - Readers take fields that they do not know, and do without the optional ones: both sides may be of neighbouring versions while a package is upgraded.
//! - Every [`Target`] names domid *and* UUID. The program checks that they still belong together right before it acts, and reads the state back afterwards:
//!   the `Status` in an answer is what Xen says then, whatever return codes said.
//!
//! How to start the long ones: each wants a session (or process group) of its own, and what it starts has to outlive it. `create` starts the guest's QEMU as its
//! child, and so does `watch` when it restarts a guest: under systemd their units need `KillMode=process`, or the end of the monitor takes the QEMU with it. `serve` starts `libxl-save-helper`: to break a save
//! off, kill the process *group* of [`Hello::pid`] with SIGKILL, then run the one-shot `resume`, which also does for a guest that was never suspended.
//!
//! `serve` handles one request at a time and does not look at its socket meanwhile: when the agent dies, a suspend goes on to its end, and then the program ends
//! and leaves the guest suspended. Resuming it is the guard's.
//!
//! Before a domain's run is ended by somebody who wants it to stay ended (a revert), end its monitor: `lock::holder` names the process. A monitor that is about to
//! restart its guest does not know of the revert otherwise. All commands of one agent need the same `--run`.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xensnap::wire::RawJson;

/// Number of this protocol. Raised when an old reader would misunderstand a new writer.
pub const PROTOCOL: u32 = 1;

/// A running instance of a domain: its address, and whose it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The instance's domid.
    pub domid: u32,
    /// The domain's UUID. Another domain at that domid is a [`FailureKind::OtherDomain`], and is left alone.
    pub uuid: Uuid,
}

/// A line to `serve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// What Xen says of it. Answer: [`Status`].
    State(Target),
    /// Its config, as `xl list -l` shows it. Answer: [`Config`].
    Config(Target),
    /// Pauses it: adds one to Xen's count of pauses. Answer: [`Status`].
    Pause(Target),
    /// Takes one from Xen's count of pauses; when others hold it too, it stays paused. Answer: [`Status`].
    Unpause(Target),
    /// Resumes it from a suspend; not an error when it is not suspended. An admin's pause is kept. Answer: [`Resumed`].
    Resume(Target),
    /// Suspends it and writes its memory. Answer: [`Suspended`].
    Suspend(Suspend),
    /// Ends it, as a power cut does. Answer: the [`Target`] that is gone.
    Destroy(Target),
}

/// Suspends a guest and writes the file that `xl restore` reads. The guest is left suspended, with the file complete, also when `live`.
///
/// Refused before anything is touched: a domain that is paused, suspended, shut down or dying. After an error the guest may be suspended:
/// [`Failure::status`] tells, and `resume` does for either.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspend {
    /// What to suspend.
    #[serde(flatten)]
    pub target: Target,
    /// An existing, empty, regular file, not a symbolic link, that only we can have made (0600). Not synced: that is the caller's.
    pub file: PathBuf,
    /// Whether the guest runs on while its memory is written, up to the last part. Needs log-dirty: see [`Info`].
    pub live: bool,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    /// It was done.
    Ok(T),
    /// It was not, or not wholly.
    Error(Failure),
}

impl<T> Answer<T> {
    /// As a `Result`.
    ///
    /// # Errors
    /// The failure, if it is one.
    pub fn into_result(self) -> Result<T, Failure> {
        match self {
            Self::Ok(done) => Ok(done),
            Self::Error(failure) => Err(failure),
        }
    }
}

impl<T> From<Result<T, Failure>> for Answer<T> {
    fn from(result: Result<T, Failure>) -> Self {
        match result {
            Ok(done) => Self::Ok(done),
            Err(failure) => Self::Error(failure),
        }
    }
}

/// The first line of `serve`, once libxl is loaded and Xen has answered. A failure instead is followed by the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Its process id, which is that of its process group too.
    pub pid: u32,
    /// What it works with.
    pub info: Info,
}

/// The host's libxl and hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The library file that was loaded.
    pub library: PathBuf,
    /// Xen's version, as `4.17.7`.
    pub xen: String,
    /// Whether Xen can log the dirty pages of PVH and HVM guests (`virt_caps` has `hap`).
    pub hap: bool,
    /// Whether Xen can log the dirty pages of PV guests (`virt_caps` has `shadow`).
    pub shadow: bool,
    /// Whether the xl of this version ends as a domain's monitor when that is suspended (before 4.20). A guess from the version: distributions carry patches.
    /// `watch` looks for itself.
    pub xl_monitor_ends: bool,
    /// Whether this version of libxl is one that the program was checked against.
    pub known: bool,
}

/// What a domain does, as Xen says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The guest executes (or waits for an interrupt).
    Running,
    /// Paused, by whomever.
    Paused,
    /// Suspended: by a save that goes on, or one that was broken off.
    Suspended,
    /// Shut down; nobody has acted on it yet, or it is preserved.
    PoweredOff,
    /// Asked for a reboot; nobody has acted on it yet.
    Rebooting,
    /// Crashed; nobody has acted on it yet, or it is preserved.
    Crashed,
    /// Ended by its watchdog; nobody has acted on it yet.
    Watchdog,
    /// Asked for a soft reset (kexec); nobody has acted on it yet.
    SoftReset,
    /// Shut down for a reason that this version does not know.
    ShutDown,
    /// Being destroyed.
    Dying,
}

impl RunState {
    /// The word that the wire has for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::PoweredOff => "powered_off",
            Self::Rebooting => "rebooting",
            Self::Crashed => "crashed",
            Self::Watchdog => "watchdog",
            Self::SoftReset => "soft_reset",
            Self::ShutDown => "shut_down",
            Self::Dying => "dying",
        }
    }
}

/// A domain as Xen shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The instance.
    #[serde(flatten)]
    pub target: Target,
    /// What it does. Being destroyed goes before shut down, that before paused.
    pub state: RunState,
    /// Whether it is paused, also when `state` says something stronger.
    pub paused: bool,
    /// Whether Xen runs it as HVM (PVH and HVM) rather than PV.
    pub hvm: bool,
    /// The memory that it has now, in KiB.
    pub memory_kib: u64,
    /// The processor time that it has used, in nanoseconds.
    pub cpu_time_ns: u64,
}

/// Answer to [`Request::Config`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `libxl_domain_config` as libxl writes it, but on one line.
    pub config: RawJson,
}

/// Answer to [`Request::Resume`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Whether it was suspended, so that there was something to do.
    pub was_suspended: bool,
    /// What it is now: running, or paused where somebody else had paused it.
    pub status: Status,
}

/// Answer to [`Request::Suspend`]: the file is complete (not synced), the guest suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// The file's size in bytes.
    pub bytes: u64,
    /// How long libxl took, in milliseconds.
    pub suspend_ms: u64,
    /// What Xen says: suspended.
    pub status: Status,
}

/// Answer to `create`, once the guest runs (or is paused, when asked for).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The new instance.
    pub status: Status,
    /// Its name.
    pub name: String,
    /// The process that goes on as its monitor, unless told not to.
    pub monitor: Option<u32>,
}

/// Answer of `watch` when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Why it ended.
    pub end: WatchEnd,
    /// The last instance that it watched; it differs from the first when the domain was restarted.
    pub domid: u32,
}

/// Why a monitor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchEnd {
    /// Somebody else has destroyed the instance, saved it or migrated it away.
    Gone,
    /// The guest has ended, and it was destroyed or preserved as its config says.
    Handled,
    /// xl's monitor watches it.
    XlWatches,
    /// Another process of ours watches it.
    AlreadyWatched,
    /// The domid's UUID is another now: the instance was preserved under a new one, or the domid was used again.
    OtherDomain,
    /// While it was to be restarted, another instance of that name has come.
    Replaced,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The sort of failure: what a program decides by.
    pub kind: FailureKind,
    /// What happened and what to do, for people.
    pub message: String,
    /// libxl's return code, if one of its functions failed (`libxl_error`: -3 FAIL, -8 GUEST_TIMEDOUT ..).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rc: Option<i32>,
    /// The domain afterwards, when it could be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), rc: None, status: None }
    }

    /// Whether the domain is no longer there as what it was.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.kind, FailureKind::Gone | FailureKind::OtherDomain)
    }
}

/// Sorts of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request or the command line makes no sense.
    BadRequest,
    /// This machine does not run Xen, or this is not its control domain.
    NoXen,
    /// No libxl could be loaded, or it lacks a function: do without (`xl`).
    NoLibxl,
    /// No instance has that domid.
    Gone,
    /// The domid is another domain's.
    OtherDomain,
    /// The domain's state does not allow it, see [`Failure::status`]. Nothing was touched.
    WrongState,
    /// The guest did not answer the request to suspend in time (libxl waits a minute), or Xen cannot log its dirty pages (live; at once).
    GuestTimeout,
    /// A file or socket could not be used.
    File,
    /// libxl or Xen failed, or said yes and Xen's state says no. [`Failure::rc`] and the log tell more.
    Libxl,
}

impl FailureKind {
    /// The exit code of a one-shot command that fails so (0 = done).
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Libxl | Self::GuestTimeout | Self::File => 1,
            Self::BadRequest => 2,
            Self::Gone | Self::OtherDomain => 3,
            Self::WrongState => 4,
            Self::NoXen | Self::NoLibxl => 5,
        }
    }
}

/// A document as a line, with its `\n`.
///
/// # Errors
/// It cannot be written as JSON: a path that is not UTF-8.
pub fn to_line<T: Serialize>(document: &T) -> serde_json::Result<String> {
    serde_json::to_string(document).map(|text| text + "\n")
}

/// The document of a line.
///
/// # Errors
/// It is none of that type.
pub fn from_line<T: DeserializeOwned>(line: &str) -> serde_json::Result<T> {
    serde_json::from_str(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: Uuid = Uuid::from_u128(0x0f1e_2d3c_4b5a_6978_8796_a5b4_c3d2_e109);
    const TARGET: Target = Target { domid: 5, uuid: UUID };

    /// The wire itself: a change here is a change of the protocol.
    #[test]
    fn requests_look_so() {
        let suspend = Request::Suspend(Suspend { target: TARGET, file: "/m/a.save".into(), live: false });
        let lines = [
            (
                Request::State(TARGET),
                r#"{"do":"state","domid":5,"uuid":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e109"}"#,
            ),
            (
                suspend,
                r#"{"do":"suspend","domid":5,"uuid":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e109","file":"/m/a.save","live":false}"#,
            ),
        ];
        for (request, line) in lines {
            assert_eq!(to_line(&request).unwrap(), format!("{line}\n"));
            assert_eq!(from_line::<Request>(line).unwrap(), request);
        }
        let newer = r#"{"do":"pause","domid":5,"uuid":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e109","why":"x"}"#;
        assert_eq!(from_line::<Request>(newer).unwrap(), Request::Pause(TARGET));
        assert!(from_line::<Request>(r#"{"do":"pause","domid":5}"#).is_err(), "never without the UUID");
    }

    #[test]
    fn answers_look_so_and_keep_a_config_as_it_is() {
        let status = Status {
            target: TARGET,
            state: RunState::Suspended,
            paused: false,
            hvm: true,
            memory_kib: 131_072,
            cpu_time_ns: u64::MAX,
        };
        let answer: Answer<Resumed> = Answer::Ok(Resumed { was_suspended: true, status });
        let line = to_line(&answer).unwrap();
        assert_eq!(
            line,
            "{\"ok\":{\"was_suspended\":true,\"status\":{\"domid\":5,\"uuid\":\"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e109\",\"state\":\"suspended\",\
             \"paused\":false,\"hvm\":true,\"memory_kib\":131072,\"cpu_time_ns\":18446744073709551615}}}\n"
        );
        assert_eq!(from_line::<Answer<Resumed>>(&line).unwrap(), answer);

        let config = Config { config: RawJson::new(r#"{"b":18446744073709551615,"a":1.0}"#).unwrap() };
        let line = to_line(&Answer::Ok(config.clone())).unwrap();
        assert_eq!(line, "{\"ok\":{\"config\":{\"b\":18446744073709551615,\"a\":1.0}}}\n");
        assert_eq!(from_line::<Answer<Config>>(&line).unwrap(), Answer::Ok(config));

        let failure = Failure::new(FailureKind::OtherDomain, "domid 5 is x now");
        let line = to_line(&Answer::<Status>::Error(failure.clone())).unwrap();
        assert_eq!(line, "{\"error\":{\"kind\":\"other_domain\",\"message\":\"domid 5 is x now\"}}\n");
        assert_eq!(from_line::<Answer<Config>>(&line).unwrap().into_result(), Err(failure));
    }

    #[test]
    fn a_states_word_is_that_of_the_wire() {
        use RunState::*;
        for state in
            [Running, Paused, Suspended, PoweredOff, Rebooting, Crashed, Watchdog, SoftReset, ShutDown, Dying]
        {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.word()));
        }
    }
}
