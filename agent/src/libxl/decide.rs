//! What a monitor does when its guest has ended: the table of xl's `handle_domain_death` (`tools/xl/xl_vmcontrol.c`), pure.
//!
//! ```text
//!   state (Xen)  x  on_poweroff | on_reboot | on_crash | on_watchdog | on_soft_reset (the domain's config)  ->  core dump?, then a deed
//! ```

use serde::Deserialize;
use serde_json::Value;

use super::protocol::RunState;

/// `libxl_action_on_shutdown`. libxl leaves `destroy` out, its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Destroy,
    Restart,
    RestartRename,
    Preserve,
    CoredumpDestroy,
    CoredumpRestart,
    SoftReset,
    /// One that this version does not know: nothing is destroyed for it.
    #[serde(other)]
    Unknown,
}

/// What a domain's config says is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Actions {
    on_poweroff: Action,
    on_reboot: Action,
    on_watchdog: Action,
    on_crash: Action,
    on_soft_reset: Action,
}

impl Actions {
    /// Those of a config. `None` when it is none that can be read.
    pub fn of(config: &str) -> Option<Self> {
        serde_json::from_str(config).ok()
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The guest has not ended: wait on.
    Wait,
    /// The instance has been ended by somebody else.
    End,
    /// It is left as it is, for people to look at.
    Keep,
    /// It is destroyed.
    Destroy,
    /// It is destroyed and made anew.
    Restart,
    /// It gets another name and UUID, and is made anew beside that.
    RenameAndRestart,
    /// It is made anew under its domid.
    SoftReset,
}

/// A deed, and whether the guest's memory is dumped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether memory is dumped first.
    pub core_dump: bool,
    /// Then this.
    pub deed: Deed,
}

/// Decides by what Xen says now.
pub fn decide(state: RunState, actions: &Actions) -> Decision {
    let action = match state {
        RunState::Running | RunState::Paused | RunState::Suspended => {
            return Decision { core_dump: false, deed: Deed::Wait };
        }
        RunState::Dying => return Decision { core_dump: false, deed: Deed::End },
        RunState::PoweredOff => actions.on_poweroff,
        RunState::Rebooting => actions.on_reboot,
        RunState::Crashed => actions.on_crash,
        RunState::Watchdog => actions.on_watchdog,
        RunState::SoftReset => actions.on_soft_reset,
        RunState::ShutDown => Action::Destroy,
    };
    let (core_dump, deed) = match action {
        Action::Destroy => (false, Deed::Destroy),
        Action::Restart => (false, Deed::Restart),
        Action::RestartRename => (false, Deed::RenameAndRestart),
        Action::Preserve | Action::Unknown => (false, Deed::Keep),
        Action::CoredumpDestroy => (true, Deed::Destroy),
        Action::CoredumpRestart => (true, Deed::Restart),
        Action::SoftReset => (false, Deed::SoftReset),
    };
    Decision { core_dump, deed }
}

/// The removable disks of a config, by vdev: a guest can eject them.
pub fn removable(config: &str) -> Vec<String> {
    let config: Value = serde_json::from_str(config).unwrap_or(Value::Null);
    let disks = config.get("disks").and_then(Value::as_array);
    let removable = |d: &&Value| d.get("removable").is_some_and(|r| r.as_i64().is_some_and(|n| n != 0));
    let vdev = |d: &Value| d.get("vdev").and_then(Value::as_str).map(str::to_owned);
    disks.into_iter().flatten().filter(removable).filter_map(vdev).collect()
}

/// A text field of a config's `c_info`.
pub fn c_info(config: &str, field: &str) -> Option<String> {
    let config: Value = serde_json::from_str(config).ok()?;
    Some(config.get("c_info")?.get(field)?.as_str()?.to_owned())
}

/// Whether dom0 gives memory away for a new domain: what xl does by `autoballoon` of xl.conf(5), which goes by `dom0_mem=` on Xen's command line unless it is set.
pub fn autoballoon(xl_conf: &str, xen_command_line: &str) -> bool {
    let value = xl_conf.lines().rev().find_map(|line| {
        let value =
            line.split('#').next()?.trim().strip_prefix("autoballoon")?.trim_start().strip_prefix('=')?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    });
    match value.as_deref() {
        Some("on" | "1") => true,
        Some("off" | "0") => false,
        _ => !xen_command_line.split(' ').any(|word| word.starts_with("dom0_mem=")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dom0_gives_memory_away_when_xl_would() {
        let cases = [
            ("", "placeholder dom0_mem=768M,max:768M", false),
            ("", "console=com1", true),
            ("#autoballoon=\"off\"\n", "", true),
            ("autoballoon=\"auto\"", "dom0_mem=1G", false),
            ("autoballoon = 'off' # no", "", false),
            ("x=1\nautoballoon=1\n", "dom0_mem=1G", true),
            ("autoballoon=0\n", "", false),
        ];
        for (conf, line, wanted) in cases {
            assert_eq!(autoballoon(conf, line), wanted, "{conf} / {line}");
        }
    }

    /// Every reason with every action, as xl does it.
    #[test]
    fn the_table() {
        use RunState::*;
        let outcome = |action: &str| match action {
            "destroy" => (false, Deed::Destroy),
            "restart" => (false, Deed::Restart),
            "restart_rename" => (false, Deed::RenameAndRestart),
            "preserve" | "of_tomorrow" => (false, Deed::Keep),
            "coredump_destroy" => (true, Deed::Destroy),
            "coredump_restart" => (true, Deed::Restart),
            "soft_reset" => (false, Deed::SoftReset),
            other => panic!("{other}"),
        };
        let fields = [
            ("on_poweroff", PoweredOff),
            ("on_reboot", Rebooting),
            ("on_crash", Crashed),
            ("on_watchdog", Watchdog),
            ("on_soft_reset", SoftReset),
        ];
        let words = [
            "destroy",
            "restart",
            "restart_rename",
            "preserve",
            "coredump_destroy",
            "coredump_restart",
            "soft_reset",
            "of_tomorrow",
        ];
        for (field, state) in fields {
            for word in words {
                let actions = Actions::of(&format!("{{\"{field}\": \"{word}\"}}")).unwrap();
                for (_, other) in fields {
                    let wanted = if other == state { outcome(word) } else { (false, Deed::Destroy) };
                    let Decision { core_dump, deed } = decide(other, &actions);
                    assert_eq!((core_dump, deed), wanted, "{field} = {word}, the guest: {}", other.word());
                }
                for alive in [Running, Paused, Suspended] {
                    assert_eq!(decide(alive, &actions).deed, Deed::Wait);
                }
                assert_eq!(decide(Dying, &actions).deed, Deed::End);
                assert_eq!(decide(ShutDown, &actions).deed, Deed::Destroy);
            }
        }
    }

    #[test]
    fn a_config_is_read_as_libxl_writes_it() {
        let config = r#"{"c_info": {"name": "web", "uuid": "u"}, "b_info": {"type.pvh": {}},
            "disks": [{"vdev": "xvda"}, {"vdev": "hdc", "removable": 1, "is_cdrom": true}, {"vdev": "hdd", "removable": 0}],
            "on_reboot": "restart", "on_crash": "coredump_restart"}"#;
        let actions = Actions::of(config).unwrap();
        assert_eq!(decide(RunState::Rebooting, &actions).deed, Deed::Restart);
        assert_eq!(decide(RunState::Crashed, &actions), Decision { core_dump: true, deed: Deed::Restart });
        assert_eq!(decide(RunState::PoweredOff, &actions).deed, Deed::Destroy);
        assert_eq!(removable(config), ["hdc"]);
        assert_eq!(c_info(config, "name").as_deref(), Some("web"));
        assert_eq!(c_info(config, "ssid"), None);
        assert_eq!(Actions::of("[1]"), None);
    }
}
