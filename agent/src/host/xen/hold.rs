//! What a pause's file says of a domain that Xen holds.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tools::Tools;
use crate::libxl::protocol::Target;

/// How a domain under Xen is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its domid.
    pub domid: u32,
    /// Whether it is suspended, for its memory to be saved; else it is paused.
    pub suspended: bool,
    /// Who saves it: a [`crate::host::process::Process`], the leader of its group.
    pub saver: Option<String>,
    /// The programs that release it.
    pub tools: Tools,
    /// Whether its monitor ends with a suspend, so that another must take its place.
    pub watch: bool,
    /// The agent's folder of run-time files.
    pub run_dir: PathBuf,
}

impl Hold {
    /// The domain, as the programs are told.
    pub fn target(&self, uuid: Uuid) -> Target {
        Target { domid: self.domid, uuid }
    }

    /// Whether `xl` saves it, and no process of ours.
    pub fn saver_is_xl(&self) -> bool {
        self.saver.is_none()
    }
}
