//! What the run folder holds of a domain's start: a mark, which tells an agent that comes later whose start it finds; the config that it was started with;
//! what was said.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::settings::Settings;
use super::{Result, files};

/// The files of one domain's start.
#[derive(Clone, Debug)]
pub struct Started {
    folder: PathBuf,
    domain: Uuid,
}

impl Started {
    /// Those of this domain.
    pub fn of(settings: &Settings, domain: Uuid) -> Self {
        Self { folder: settings.run_dir.join("started"), domain }
    }

    /// The file of this ending.
    pub fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.domain))
    }

    /// The log of this ending, for a program to write: its folder is there, what another has said is not.
    ///
    /// # Errors
    /// When the folder cannot be made, or the old log not be removed.
    pub fn log(&self, ending: &str) -> Result<PathBuf> {
        files::private_folder(&self.folder)
            .map_err(|e| files::failed("cannot make the folder", &self.folder, &e))?;
        let path = self.file(ending);
        files::remove(&path)?;
        Ok(path)
    }

    /// Marks how far the start has come.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn mark(&self, mark: &impl Serialize) -> Result<()> {
        let path = self.file("mark");
        let written = serde_json::to_vec(mark)
            .map_err(Into::into)
            .and_then(|bytes| files::write_private(&path, &bytes));
        written.map_err(|e| files::failed("cannot write the mark of a start,", &path, &e))
    }

    /// The mark, if there is one that can be read.
    pub fn marked<M: DeserializeOwned>(&self) -> Option<M> {
        serde_json::from_slice(&fs::read(self.file("mark")).ok()?).ok()
    }

    /// The start is over: the domain has been ended.
    ///
    /// # Errors
    /// When the mark cannot be removed.
    pub fn unmark(&self) -> Result<()> {
        files::remove(&self.file("mark"))
    }

    /// Writes a config down for the program that starts the domain.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn config(&self, text: &str) -> Result<PathBuf> {
        let path = self.file("json");
        files::write_private(&path, text.as_bytes())
            .map_err(|e| files::failed("cannot prepare", &path, &e))?;
        Ok(path)
    }
}

/// The last thing that a program has said into its log.
pub fn last_words(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_can_be_written_before_anything_was_started() {
        let dir = tempfile::tempdir().unwrap();
        let started = Started { folder: dir.path().join("started"), domain: Uuid::from_u128(7) };
        let log = started.log("save.log").unwrap();
        fs::File::create_new(&log).unwrap();
        assert!(!started.log("save.log").unwrap().exists());
    }
}
