//! What lies in the domains' folders, and trees as plain maps: for `check` and `rebuild`.

use std::collections::HashMap;
use std::path::PathBuf;

use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::location::Location;

/// A file of ours, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// `snapshotdata-<id>.json`.
    Sidecar(String),
    /// `<id>.save`.
    Memory(String),
}

impl Entry {
    fn of(name: &str) -> Option<Self> {
        if let Some(id) = name.strip_prefix("snapshotdata-").and_then(|rest| rest.strip_suffix(".json")) {
            return Some(Self::Sidecar(id.to_owned()));
        }
        name.strip_suffix(".save").map(|id| Self::Memory(id.to_owned()))
    }
}

/// Every file of ours in every folder that is named by a UUID. Links to folders are not followed; other files are none of our business.
pub(crate) fn each(at: &Location, f: &mut dyn FnMut(Uuid, PathBuf, Entry) -> Result<()>) -> Result<()> {
    let list = |dir: &std::path::Path| {
        std::fs::read_dir(dir)
            .and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>())
            .map_err(|e| StoreError::io("list", dir, e))
    };
    for folder in list(&at.dir)? {
        let name = folder.file_name();
        let domain =
            name.to_str().and_then(|name| Uuid::parse_str(name).ok().filter(|uuid| uuid.to_string() == name));
        let is_dir = folder.file_type().is_ok_and(|kind| kind.is_dir());
        let Some(domain) = domain.filter(|_| is_dir) else { continue };
        for file in list(&folder.path())? {
            if let Some(entry) = file.file_name().to_str().and_then(Entry::of) {
                f(domain, file.path(), entry)?;
            }
        }
    }
    Ok(())
}

/// One member of each cycle in child -> parent: taking its parent away breaks the cycle.
pub(crate) fn cycles(parents: &HashMap<String, Option<String>>) -> Vec<String> {
    // Which walk came by a snapshot: coming by one of the same walk again closes a cycle.
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut found = Vec::new();
    let mut starts: Vec<&str> = parents.keys().map(String::as_str).collect();
    starts.sort_unstable();
    for (walk, start) in starts.into_iter().enumerate() {
        let mut at = start;
        loop {
            match seen.insert(at, walk) {
                Some(earlier) if earlier == walk => {
                    found.push(at.to_owned());
                    break;
                }
                Some(earlier) => {
                    // That walk dealt with all beyond; keep its number for later ones.
                    seen.insert(at, earlier);
                    break;
                }
                None => {}
            }
            match parents.get(at) {
                Some(Some(parent)) if parents.contains_key(parent) => at = parent,
                _ => break,
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        for (name, expected) in [
            ("snapshotdata-a-1.json", Some(Entry::Sidecar("a-1".into()))),
            ("a-1.save", Some(Entry::Memory("a-1".into()))),
            ("snapshotdata-a.json.tmp", None),
            ("snapshotdata-a.json.set-aside-1", None),
            ("notes.txt", None),
        ] {
            assert_eq!(Entry::of(name), expected, "{name}");
        }
    }

    #[test]
    fn each_cycle_is_found_once() {
        let tree = |pairs: &[(&str, Option<&str>)]| {
            let map =
                pairs.iter().map(|(id, parent)| ((*id).to_owned(), parent.map(str::to_owned))).collect();
            cycles(&map)
        };
        assert_eq!(tree(&[("a", None), ("b", Some("a")), ("c", Some("b"))]), Vec::<String>::new());
        assert_eq!(tree(&[("a", Some("a"))]), ["a"]);
        assert_eq!(tree(&[("a", Some("b")), ("b", Some("a")), ("c", Some("a"))]), ["a"]);
        assert_eq!(tree(&[("a", Some("gone"))]), Vec::<String>::new());
        assert_eq!(tree(&[("a", Some("b")), ("b", Some("a")), ("x", Some("y")), ("y", Some("x"))]).len(), 2);
        // A tail that leads into a cycle, walked first.
        assert_eq!(tree(&[("a", Some("b")), ("b", Some("c")), ("c", Some("b"))]), ["b"]);
    }
}
