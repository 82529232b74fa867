//! What libxl's JSON says, as our types: a domain's state, the hypervisor's abilities, a config's actions.
//!
//! libxl leaves fields out that have their default (false, 0, "unknown"), and writes enums as words, or as nothing when it does not know them.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;
use xensnap::wire::RawJson;

use super::protocol::{Failure, FailureKind, RunState, Status, Target};
use super::toolstack::Event;

/// `libxl_dominfo`, as far as it is used (libxl_types.idl).
#[derive(Deserialize)]
struct DomInfo {
    uuid: Uuid,
    #[serde(default)]
    domid: u32,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    shutdown: bool,
    #[serde(default)]
    dying: bool,
    #[serde(default)]
    shutdown_reason: Value,
    #[serde(default)]
    current_memkb: u64,
    #[serde(default)]
    cpu_time: u64,
    #[serde(default)]
    domain_type: Value,
}

fn odd(what: &str, error: &serde_json::Error) -> Failure {
    Failure::new(FailureKind::Libxl, format!("libxl gave {what} that is not understood: {error}"))
}

/// A domain's state from `libxl_dominfo_to_json`.
///
/// # Errors
/// `Libxl` when the text is not that.
pub fn status(dominfo: &str) -> Result<Status, Failure> {
    let info: DomInfo = serde_json::from_str(dominfo).map_err(|e| odd("a domain's state", &e))?;
    let state = match (info.dying, info.shutdown, info.paused) {
        (true, ..) => RunState::Dying,
        (_, true, _) => match info.shutdown_reason.as_str() {
            Some("poweroff") => RunState::PoweredOff,
            Some("reboot") => RunState::Rebooting,
            Some("suspend") => RunState::Suspended,
            Some("crash") => RunState::Crashed,
            Some("watchdog") => RunState::Watchdog,
            Some("soft_reset") => RunState::SoftReset,
            _ => RunState::ShutDown,
        },
        (.., true) => RunState::Paused,
        _ => RunState::Running,
    };
    Ok(Status {
        target: Target { domid: info.domid, uuid: info.uuid },
        state,
        paused: info.paused,
        hvm: info.domain_type != "pv",
        memory_kib: info.current_memkb,
        cpu_time_ns: info.cpu_time,
    })
}

/// The running hypervisor, from `libxl_version_info_to_json`.
#[derive(Debug)]
pub struct Hypervisor {
    /// Its major and minor number.
    pub release: (u32, u32),
    /// Its version as `4.17.7`.
    pub version: String,
    /// What it was booted with.
    pub command_line: String,
}

/// Which hypervisor runs.
///
/// # Errors
/// `Libxl` when the text is not that.
pub fn version(info: &str) -> Result<Hypervisor, Failure> {
    #[derive(Deserialize)]
    struct VersionInfo {
        xen_version_major: u32,
        #[serde(default)]
        xen_version_minor: u32,
        #[serde(default)]
        xen_version_extra: String,
        #[serde(default)]
        commandline: String,
    }
    let v: VersionInfo = serde_json::from_str(info).map_err(|e| odd("a version", &e))?;
    let release = (v.xen_version_major, v.xen_version_minor);
    let version = format!("{}.{}{}", release.0, release.1, v.xen_version_extra);
    Ok(Hypervisor { release, version, command_line: v.commandline })
}

/// Whether Xen can log dirty pages (`hap`, `shadow`) from `libxl_physinfo_to_json`.
///
/// # Errors
/// `Libxl` when the text is not that.
pub fn abilities(physinfo: &str) -> Result<(bool, bool), Failure> {
    #[derive(Deserialize)]
    struct PhysInfo {
        #[serde(default)]
        cap_hap: bool,
        #[serde(default)]
        cap_shadow: bool,
    }
    let info: PhysInfo = serde_json::from_str(physinfo).map_err(|e| odd("the host's abilities", &e))?;
    Ok((info.cap_hap, info.cap_shadow))
}

/// What an event is, from `libxl_event_to_json`.
pub fn event(json: &str) -> Event {
    let event: Value = serde_json::from_str(json).unwrap_or(Value::Null);
    match event.pointer("/type.disk_eject/disk") {
        Some(disk) => Event::Ejected(disk.to_string()),
        None => Event::Other,
    }
}

/// A JSON text on one line: blanks outside of strings are left out, everything else is kept.
///
/// # Errors
/// `Libxl` when it is not JSON.
pub fn one_line(text: &str) -> Result<RawJson, Failure> {
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    RawJson::new(out).map_err(|e| odd("a config", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e109";

    #[test]
    fn states_are_told_by_xens_flags_the_strongest_first() {
        use RunState::*;
        let cases = [
            (r#""running": true"#, Running, false),
            (r#""blocked": true"#, Running, false),
            ("\"domid\": 3", Running, false),
            (r#""paused": true"#, Paused, true),
            (r#""shutdown": true, "shutdown_reason": "suspend""#, Suspended, false),
            (r#""shutdown": true, "paused": true, "shutdown_reason": "suspend""#, Suspended, true),
            (r#""shutdown": true, "shutdown_reason": "poweroff""#, PoweredOff, false),
            (r#""shutdown": true, "shutdown_reason": "reboot""#, Rebooting, false),
            (r#""shutdown": true, "shutdown_reason": "crash""#, Crashed, false),
            (r#""shutdown": true, "shutdown_reason": "watchdog""#, Watchdog, false),
            (r#""shutdown": true, "shutdown_reason": "soft_reset""#, SoftReset, false),
            (r#""shutdown": true, "shutdown_reason": null"#, ShutDown, false),
            (r#""shutdown": true"#, ShutDown, false),
            (r#""shutdown_reason": "poweroff""#, Running, false),
            (r#""dying": true, "shutdown": true, "paused": true, "shutdown_reason": "crash""#, Dying, true),
        ];
        for (fields, state, paused) in cases {
            let status = status(&format!("{{\"uuid\": \"{UUID}\", {fields}}}")).unwrap();
            assert_eq!((status.state, status.paused), (state, paused), "{fields}");
            assert_eq!(status.target.uuid.to_string(), UUID);
        }
        assert!(status("[]").is_err() && status("").is_err());
    }

    #[test]
    fn an_event_is_a_hint_but_for_a_disk() {
        let eject =
            r#"{"domid": 3, "type.disk_eject": {"vdev": "hdc", "disk": {"vdev": "hdc", "removable": 1}}}"#;
        assert_eq!(event(eject), Event::Ejected(r#"{"removable":1,"vdev":"hdc"}"#.into()));
        assert_eq!(event(r#"{"type.domain_shutdown": {"shutdown_reason": 255}}"#), Event::Other);
        assert_eq!(event("no JSON"), Event::Other);
    }

    #[test]
    fn one_line_keeps_strings_and_numbers() {
        let text = "{\n    \"a b\": \"x \\\" \\\\\",\n    \"n\": 18446744073709551615, \"f\": 1.0\t}\n";
        assert_eq!(one_line(text).unwrap().as_str(), r#"{"a b":"x \" \\","n":18446744073709551615,"f":1.0}"#);
        assert!(one_line("{\"a\": \"x\ny\"}").is_err(), "a bare line break in a string is no JSON");
        assert!(one_line("{").is_err());
    }

    fn reference(name: &str) -> Option<String> {
        let shared = std::env::var("XENSNAP_SHARED").unwrap_or_else(|_| "../shared".into());
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(shared).join(name);
        let text = std::fs::read_to_string(&path).ok();
        if text.is_none() {
            println!("skipped: comparisons with the shared reference data: no {}", path.display());
        }
        text
    }

    #[test]
    fn what_libxl_really_wrote_is_understood() {
        let folder = "libxl-json/xen-4.17.7-yajl";
        let Some(text) = reference(&format!("{folder}/dominfo.json")) else { return };
        let seen = status(&text).unwrap();
        assert_eq!((seen.target.domid, seen.target.uuid.to_string().as_str()), (5, UUID));
        assert_eq!((seen.state, seen.hvm, seen.memory_kib), (RunState::Running, true, 2_097_152));
        assert_eq!(seen.cpu_time_ns, u64::MAX);
        let seen = version(&reference(&format!("{folder}/version_info.json")).unwrap()).unwrap();
        assert_eq!((seen.release, seen.version.as_str()), ((4, 17), "4.17.5"));
        let (hap, shadow) = abilities(&reference(&format!("{folder}/physinfo.json")).unwrap()).unwrap();
        assert!(!hap && !shadow);
        for kind in ["pv", "pvh", "hvm"] {
            let text = reference(&format!("xen-lab/artifacts/{kind}/xl-list-l.json")).unwrap();
            let line = one_line(&text).unwrap();
            assert!(!line.as_str().contains('\n'));
            let (a, b): (Value, Value) =
                (serde_json::from_str(&text).unwrap(), serde_json::from_str(line.as_str()).unwrap());
            assert_eq!(a, b, "{kind}");
        }
    }
}
