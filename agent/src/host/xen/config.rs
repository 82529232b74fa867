//! libxl's JSON of a domain's config (`libxl_domain_config` in Xen's libxl_types.idl), as far as snapshots need it. The text itself is kept whole.
//!
//! libxl leaves out what has its default value: domid 0 is no `backend_domid`, a read-only disk has no `readwrite`. An enum is its lower-case name, a
//! `defbool` is `"True"`, `"False"` or `"<default>"`.

use serde_json::Value;
use xensnap::contract::{BootRole, Disk, ErrorKind, Line, Vdev};
use xensnap::wire::{AbsPath, RawJson};

use crate::host::driver::{Boots, Config};
use crate::host::{HostError, Result};

/// How Xen runs a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Para-virtual.
    Pv,
    /// Hardware-virtual without an emulated machine.
    Pvh,
    /// Hardware-virtual, on a machine that QEMU emulates.
    Hvm,
}

/// What a config says.
#[derive(Clone, Debug)]
pub struct Read {
    /// What every driver's config says.
    pub config: Config,
    /// How Xen runs it.
    pub guest: Guest,
    /// Whether it has devices of the host: libxl cannot save such a guest.
    pub passthrough: bool,
}

/// Reads a config.
///
/// # Errors
/// `Changed` when it is not one.
pub fn read(text: RawJson) -> Result<Read> {
    let changed = |why: &str| {
        HostError::new(ErrorKind::Changed, format!("the domain's libxl config cannot be read: {why}"))
    };
    let json: Value = serde_json::from_str(text.as_str()).map_err(|e| changed(&e.to_string()))?;
    let info = json.get("c_info").ok_or_else(|| changed("no c_info"))?;
    let build = json.get("b_info").ok_or_else(|| changed("no b_info"))?;
    let name = word(info, "name").ok_or_else(|| changed("no name"))?.to_owned();
    let guest = match word(info, "type") {
        Some("hvm") => Guest::Hvm,
        Some("pvh") => Guest::Pvh,
        Some("pv") => Guest::Pv,
        other => return Err(changed(&format!("the type {} is not known", other.unwrap_or("<none>")))),
    };
    let stubdomain = word(build, "device_model_stubdomain") == Some("True");
    let mut config = Config {
        ram: build.get("max_memkb").and_then(Value::as_u64).unwrap_or(0).saturating_mul(1024),
        boots: boots(build),
        text,
        name,
        disks: Vec::new(),
        unserved: Vec::new(),
    };
    for disk in json.get("disks").and_then(Value::as_array).into_iter().flatten() {
        let Some((disk, unserved)) = read_disk(disk, stubdomain).map_err(|why| changed(&why))? else {
            continue;
        };
        config.unserved.extend(unserved.map(|why| (disk.vdev.clone(), why)));
        config.disks.push(disk);
    }
    let some = |key: &str| json.get(key).and_then(Value::as_array).is_some_and(|a| !a.is_empty());
    Ok(Read { config, guest, passthrough: some("pcidevs") || some("dtdevs") })
}

fn word<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    of.get(key).and_then(Value::as_str)
}

/// One disk, and why no provider can have it, if so. An empty drive is no disk.
fn read_disk(disk: &Value, stubdomain: bool) -> std::result::Result<Option<(Disk, Option<String>)>, String> {
    let vdev = word(disk, "vdev").unwrap_or_default();
    let vdev = Vdev::new(vdev).map_err(|_| format!("a disk has the name {vdev:?}"))?;
    let target = word(disk, "pdev_path").unwrap_or_default();
    let format = word(disk, "format").unwrap_or("unknown");
    if target.is_empty() || format == "empty" {
        return Ok(None);
    }
    let flag = |key: &str| disk.get(key).is_some_and(|v| v.as_i64().is_some_and(|n| n != 0));
    let path = AbsPath::new(target);
    let elsewhere = match (word(disk, "backend_domname"), disk.get("backend_domid").and_then(Value::as_u64)) {
        (Some(name), _) if !matches!(name, "" | "0" | "Domain-0") => Some(name.to_owned()),
        (_, Some(domid @ 1..)) => Some(format!("domid {domid}")),
        _ => None,
    };
    let unserved = if let Some(domain) = elsewhere {
        Some(format!("its backend is in a driver domain ({domain})"))
    } else if stubdomain {
        Some("the domain's QEMU is in a stub domain".into())
    } else {
        match word(disk, "backend") {
            Some("qdisk") if path.is_ok() => None,
            Some("qdisk") => Some(format!("its image {target} is no plain file")),
            Some("phy") => Some(format!("the kernel serves {target} to it (backend phy), not a QEMU")),
            Some("standalone") => {
                Some(format!("a program of its own serves {target} to it (backend standalone), not a QEMU"))
            }
            other => Some(format!("its backend is {}, not a QEMU (qdisk)", other.unwrap_or("unknown"))),
        }
    };
    let placeholder = || AbsPath::new(format!("/{}", target.replace(['/', '\0'], "_")));
    let disk = Disk {
        vdev,
        path: path.or_else(|_| placeholder()).map_err(|e| format!("{target}: {e}"))?,
        format: Line::lossy_max(format, Disk::FORMAT_MAX),
        read_only: !flag("readwrite"),
        cdrom: flag("is_cdrom"),
        extra: Default::default(),
    };
    Ok(Some((disk, unserved)))
}

/// The files of the host that it boots from. A boot loader finds them inside the guest's disk: then there are none.
fn boots(build: &Value) -> Option<Boots> {
    if word(build, "bootloader").is_some_and(|b| !b.is_empty()) {
        return None;
    }
    let files: Vec<(BootRole, AbsPath)> = [("kernel", BootRole::Kernel), ("ramdisk", BootRole::Ramdisk)]
        .into_iter()
        .filter_map(|(key, role)| Some((role, AbsPath::new(word(build, key)?).ok()?)))
        .collect();
    let cmdline = word(build, "cmdline").map(str::to_owned);
    (!files.is_empty()).then_some(Boots { files, cmdline })
}

/// The config with other files at some of its places: disks by their vdev, boot files by their role. `None` when that changes nothing.
///
/// # Errors
/// `Changed` when it cannot be read.
pub fn with_files(
    text: &RawJson,
    disks: &[(Vdev, AbsPath)],
    boot: &[(BootRole, AbsPath)],
) -> Result<Option<RawJson>> {
    let changed = |why: String| {
        HostError::new(ErrorKind::Changed, format!("the recorded libxl config cannot be read: {why}"))
    };
    let mut json: Value = serde_json::from_str(text.as_str()).map_err(|e| changed(e.to_string()))?;
    let mut moved = false;
    let mut put = |place: Option<&mut Value>, path: &AbsPath| {
        if let Some(place) = place.filter(|p| p.as_str() != Some(path.as_str())) {
            *place = Value::from(path.as_str());
            moved = true;
        }
    };
    for disk in json.get_mut("disks").and_then(Value::as_array_mut).into_iter().flatten() {
        let to = disks.iter().find(|(vdev, _)| word(disk, "vdev") == Some(vdev.as_str()));
        if let Some((_, path)) = to {
            put(disk.get_mut("pdev_path"), path);
        }
    }
    for (role, path) in boot {
        let key = role.to_string();
        put(json.get_mut("b_info").and_then(|b| b.get_mut(&key)), path);
    }
    if !moved {
        return Ok(None);
    }
    let text = serde_json::to_string(&json).map_err(|e| changed(e.to_string()))?;
    RawJson::new(text).map(Some).map_err(|e| changed(e.to_string()))
}

/// The config in the head of a memory image, with the files that another names; `None` when these are the same.
///
/// # Errors
/// `Changed` when one of them cannot be read.
pub fn moved(head: &str, wanted: &RawJson) -> Result<Option<RawJson>> {
    let head = RawJson::new(head).map_err(|e| {
        HostError::new(ErrorKind::Changed, format!("the config in the memory image cannot be read: {e}"))
    })?;
    let wanted = read(wanted.clone())?.config;
    let disks: Vec<(Vdev, AbsPath)> = wanted.disks.iter().map(|d| (d.vdev.clone(), d.path.clone())).collect();
    with_files(&head, &disks, wanted.boots.as_ref().map_or(&[], |b| b.files.as_slice()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// In the shape that `xl list -l` of Xen 4.17 prints for a PVH guest.
    fn pvh() -> Value {
        json!({
            "c_info": {"type": "pvh", "name": "web", "domid": 4_294_967_295_u64, "uuid": "9ddd01d4-98f4-4dc9-be91-eadca1d235a2", "run_hotplug_scripts": "True"},
            "b_info": {
                "max_vcpus": 1, "avail_vcpus": [0], "max_memkb": 131_072, "target_memkb": 100_000, "video_memkb": 0, "claim_mode": "True",
                "kernel": "/boot/vmlinux", "cmdline": "console=hvc0 quiet", "ramdisk": "/boot/guest.img", "type.pvh": {}, "arch_arm": {},
            },
            "disks": [
                {"pdev_path": "/i/web-a.qcow2", "vdev": "xvda", "backend": "qdisk", "format": "qcow2", "readwrite": 1},
                {"pdev_path": "/i/web-b.qcow2", "vdev": "xvdb", "backend": "qdisk", "format": "qcow2"},
            ],
            "on_reboot": "restart", "on_crash": "preserve",
        })
    }

    fn of(json: &Value) -> Read {
        read(RawJson::new(json.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn reads_what_a_snapshot_needs() {
        let read = of(&pvh());
        assert_eq!((read.guest, read.passthrough), (Guest::Pvh, false));
        let config = &read.config;
        assert_eq!((config.name.as_str(), config.ram), ("web", 128 << 20));
        let disks: Vec<(&str, &str, bool)> =
            config.disks.iter().map(|d| (d.vdev.as_str(), d.path.as_str(), d.read_only)).collect();
        assert_eq!(disks, [("xvda", "/i/web-a.qcow2", false), ("xvdb", "/i/web-b.qcow2", true)]);
        assert!(config.unserved.is_empty());
        let boots = config.boots.as_ref().unwrap();
        assert_eq!(boots.cmdline.as_deref(), Some("console=hvc0 quiet"));
        let files: Vec<&str> = boots.files.iter().map(|(_, p)| p.as_str()).collect();
        assert_eq!(files, ["/boot/vmlinux", "/boot/guest.img"]);
    }

    #[test]
    fn what_no_provider_can_have_is_named() {
        let cases = [
            (json!({"backend": "phy", "pdev_path": "/dev/vg/web", "format": "raw"}), "backend phy"),
            (json!({"backend": "tap"}), "tap"),
            (json!({"backend": "standalone"}), "standalone"),
            (json!({"backend": null}), "unknown"),
            (json!({"backend_domid": 3}), "driver domain (domid 3)"),
            (json!({"backend_domname": "storage"}), "driver domain (storage)"),
            (json!({"pdev_path": "nbd://h/x"}), "nbd://h/x is no plain file"),
        ];
        for (change, words) in cases {
            let mut json = pvh();
            for (key, value) in change.as_object().unwrap() {
                json["disks"][1][key] = value.clone();
            }
            let read = of(&json);
            assert_eq!(read.config.disks.len(), 2);
            let (vdev, why) = &read.config.unserved[0];
            assert_eq!(vdev.as_str(), "xvdb");
            assert!(why.contains(words), "{why}");
        }
        let mut stub = pvh();
        stub["b_info"]["device_model_stubdomain"] = "True".into();
        assert_eq!(of(&stub).config.unserved.len(), 2, "all of its disks");
        let mut here = pvh();
        here["disks"][0]["backend_domname"] = "Domain-0".into();
        here["pcidevs"] = json!([{"dev": 1}]);
        assert!(of(&here).config.unserved.is_empty() && of(&here).passthrough);
    }

    #[test]
    fn an_empty_drive_is_no_disk_and_a_boot_loader_needs_no_file() {
        let mut json = pvh();
        json["disks"][1] = json!({"vdev": "hdc", "format": "empty", "is_cdrom": 1, "backend": "qdisk"});
        json["b_info"]["bootloader"] = "pygrub".into();
        let read = of(&json);
        assert_eq!(read.config.disks.len(), 1);
        assert!(read.config.boots.is_none());
    }

    #[test]
    fn files_are_put_elsewhere_and_nothing_else_changes() {
        let text = RawJson::new(pvh().to_string()).unwrap();
        let vdev = Vdev::new("xvdb").unwrap();
        let path = |p: &str| AbsPath::new(p).unwrap();
        let same = with_files(
            &text,
            &[(vdev.clone(), path("/i/web-b.qcow2"))],
            &[(BootRole::Kernel, path("/boot/vmlinux"))],
        );
        assert_eq!(same.unwrap(), None);
        let other =
            with_files(&text, &[(vdev, path("/new/b"))], &[(BootRole::Ramdisk, path("/kept/r"))]).unwrap();
        let mut want = pvh();
        want["disks"][1]["pdev_path"] = "/new/b".into();
        want["b_info"]["ramdisk"] = "/kept/r".into();
        assert_eq!(serde_json::from_str::<Value>(other.unwrap().as_str()).unwrap(), want);
    }
}
