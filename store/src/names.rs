//! Names of snapshots: unique per domain over both kinds.

use xensnap::contract::SnapshotName;

use crate::error::{Result, StoreError};

/// The longest name (`base.idl`).
const NAME_CHARS_MAX: usize = 64;

/// `base`, or the first of `base-2`, `base-3` ... that is not taken; the base is cut where the name would be too long.
pub(crate) fn free(base: &SnapshotName, mut taken: impl FnMut(&str) -> Result<bool>) -> Result<SnapshotName> {
    if !taken(base.as_str())? {
        return Ok(base.clone());
    }
    let mut n = 2u64;
    loop {
        let ending = format!("-{n}");
        // Names are ASCII.
        let cut: String = base.as_str().chars().take(NAME_CHARS_MAX.saturating_sub(ending.len())).collect();
        let name = cut + &ending;
        if !taken(&name)? {
            return SnapshotName::new(name.clone()).map_err(|e| StoreError::BadRecord {
                what: "name",
                id: name,
                detail: e.to_string(),
            });
        }
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free_beside(base: &str, taken: &[&str]) -> String {
        let base = SnapshotName::new(base).unwrap();
        free(&base, |name| Ok(taken.contains(&name))).unwrap().as_str().to_owned()
    }

    #[test]
    fn names_count_up() {
        let long = "x".repeat(64);
        let cut = format!("{}-2", "x".repeat(62));
        for (base, taken, expected) in [
            ("1700000000", &[][..], "1700000000"),
            ("1700000000", &["1700000000"], "1700000000-2"),
            ("1700000000", &["1700000000", "1700000000-2"], "1700000000-3"),
            ("1700000000", &["1700000000-2"], "1700000000"),
            ("a", &["a", "a-3"], "a-2"),
            (&long, &[&long], &cut),
        ] {
            assert_eq!(free_beside(base, taken), expected, "{base} beside {taken:?}");
        }
    }
}
