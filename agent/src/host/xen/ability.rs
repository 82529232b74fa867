//! How a domain's memory can be saved; and its pause where nothing is saved.

use tokio::time::Instant;
use xensnap::contract::ErrorKind;

use super::config::{self, Guest};
use super::tools::ToolError;
use super::{REQUEST_MAX, Work, XenDriver, target};
use crate::host::driver::Config;
use crate::host::nodes::Nodes;
use crate::host::{HostError, Instance, MemoryAbility, Result};
use crate::libxl::protocol::{Request, RunState as XenState, Status};

/// A device that is in use (`XenbusStateConnected` in Xen's public/io/xenbus.h).
const CONNECTED: &str = "4";

/// Why its memory cannot be saved, if so; `up` when the guest drives one of its disks. Of one that has ended, or is about to, this says nothing: no snapshot of it
/// can be taken at all, which the plan says, and its devices are closed for that reason.
fn cannot(passthrough: bool, state: XenState, up: bool) -> Option<&'static str> {
    match state {
        _ if passthrough => Some("it has devices of the host (PCI passthrough), which libxl cannot save"),
        XenState::Paused => {
            Some("it is paused, and Xen's toolstack saves no paused guest: let it go on first (xl unpause)")
        }
        XenState::Running if !up => Some(
            "none of its devices is connected: its kernel may still be booting, or hang, and would not answer a suspend",
        ),
        _ => None,
    }
}

impl<N: Nodes> XenDriver<N> {
    /// How its memory can be saved.
    pub(super) async fn ability(&self, instance: &Instance, config: &Config) -> Result<MemoryAbility> {
        let read = config::read(config.text.clone())?;
        let status = {
            let mut work = self.work(instance.uuid).await;
            self.status(&mut work, instance).await?
        };
        let info = self.info().await;
        let writer = self.reader().await.unwrap_or_else(|| "Xen".into());
        let up = read.guest == Guest::Hvm || self.drives(instance.domid).await?;
        let cannot = cannot(read.passthrough, status.state, up).map(str::to_owned);
        let logs = match (&info, read.guest) {
            (Ok(i), Guest::Pv) if !i.shadow => {
                Err("Xen can log a PV guest's changes only with shadow paging (virt_caps), which this host has not".to_owned())
            }
            (Ok(i), Guest::Pvh | Guest::Hvm) if !i.hap => {
                Err("Xen can log a guest's changes only with hap (virt_caps), which this host has not".to_owned())
            }
            (Ok(_), _) => Ok(()),
            (Err(why), _) => Err(format!("libxl cannot be had on this host: {why}")),
        };
        let paused = cannot.clone().map_or(Ok(()), Err);
        // Before 4.20 xl's monitor ends with the suspend, and there is no `xl resume`.
        let lacks = info.err().map(|why| {
            format!("xl saves the memory, since libxl cannot be had ({why}): before Xen 4.20 nobody acts on the guest's reboot, poweroff or crash afterwards, and a save that is killed leaves the guest suspended")
        });
        Ok(MemoryAbility { live: cannot.map_or(logs, Err), paused, ram: read.config.ram, writer, lacks })
    }

    /// Whether the guest drives one of its disks: then its kernel is up, as far as xenstore shows. (It says so in `control/feature-suspend` too, but only once:
    /// a restored guest has that no more.) The nodes are the guest's: it can only fool itself.
    async fn drives(&self, domid: u32) -> Result<bool> {
        let folder = format!("/local/domain/{domid}/device/vbd");
        for disk in self.nodes.list(&folder).await? {
            if self.nodes.read(&format!("{folder}/{disk}/state")).await?.as_deref() == Some(CONNECTED) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<N: Nodes> XenDriver<N> {
    /// Pauses it, and sees that it is.
    pub(super) async fn pause_now(&self, work: &mut Work, instance: &Instance) -> Result<()> {
        let target = target(instance);
        let about = |e: ToolError| e.about(&instance.name);
        let status = match self.hand(work).await {
            Some(hand) => {
                let deadline = Instant::now() + REQUEST_MAX;
                hand.ask::<Status>(&Request::Pause(target), deadline).await.map_err(about)?
            }
            None => {
                self.tools.pause(target).await.map_err(about)?;
                self.status(work, instance).await?
            }
        };
        match status.state {
            XenState::Paused => Ok(()),
            state => {
                let message = format!("domain {} is {} though it was paused", instance.name, state.word());
                Err(HostError::new(ErrorKind::DomainState, message)
                    .hint("see what was done to it, then ask again"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_has_ended_is_not_taken_for_one_that_boots() {
        let told = |state, up| cannot(false, state, up).unwrap_or_default();
        assert!(told(XenState::Running, false).contains("still be booting"));
        assert!(told(XenState::Paused, true).contains("paused"));
        assert_eq!(told(XenState::Running, true), "");
        for state in [XenState::PoweredOff, XenState::Crashed, XenState::Rebooting, XenState::Suspended] {
            assert_eq!(told(state, false), "", "{state:?}: the plan names it");
        }
        assert!(cannot(true, XenState::Running, true).unwrap().contains("passthrough"));
    }
}
