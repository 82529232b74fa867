//! The agent's status.

use std::time::Duration;

use xensnap::contract::AgentStatus;

use super::{Fields, nanoseconds};
use crate::text::{duration, time};

/// The status in full, with the age of its heartbeat.
pub(crate) fn status(status: &AgentStatus, heartbeat_age: Duration) -> String {
    let mut fields = Fields::default();
    fields.add("Agent", format!("xensnapd {}, contract {}", status.version.as_str(), status.contract));
    fields.add("Process", status.pid.to_string());
    fields.add("Started", time(&status.started_at.to_string()));
    let age = Duration::from_secs(heartbeat_age.as_secs());
    fields.add(
        "Heartbeat",
        format!(
            "{} ago",
            if age.is_zero() { "less than 1 s".to_owned() } else { duration(nanoseconds(age)) }
        ),
    );
    fields.add("Operations", status.operations.to_string());
    fields.add("Ignored", status.ignored.to_string());
    fields.add_if("Trouble", status.trouble.as_ref().map(|text| text.as_str()));
    fields.text()
}
