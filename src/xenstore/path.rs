//! The rules of xenstore's paths, checked before anything is sent. Source: `docs/misc/xenstore.txt`.

use super::error::{Error, PathFault, Result};

/// Bytes of the longest path that both daemons take.
pub const PATH_MAX: usize = 2048;

/// Checks a node's path: absolute, or relative to the caller's own `/local/domain/<domid>`.
///
/// # Errors
/// [`Error::BadPath`] with the rule that it breaks.
pub fn check_path(path: &str) -> Result<()> {
    let special = path.starts_with('@').then_some(PathFault::Special);
    special.or_else(|| fault(path)).map_or(Ok(()), |fault| bad(path, fault))
}

/// The same for what can be watched: also `@introduceDomain` and `@releaseDomain`.
pub(super) fn check_watched(path: &str) -> Result<()> {
    fault(path).map_or(Ok(()), |fault| bad(path, fault))
}

/// The same for what can be removed: not the root.
pub(super) fn check_removed(path: &str) -> Result<()> {
    if path == "/" {
        return bad(path, PathFault::Root);
    }
    check_path(path)
}

fn bad(path: &str, fault: PathFault) -> Result<()> {
    Err(Error::BadPath { path: path.to_owned(), fault })
}

fn fault(path: &str) -> Option<PathFault> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_@".contains(&byte);
    if path.is_empty() {
        Some(PathFault::Empty)
    } else if path.len() > PATH_MAX {
        Some(PathFault::TooLong)
    } else if !path.bytes().all(allowed) {
        Some(PathFault::Character)
    } else if path != "/" && (path.ends_with('/') || path.contains("//")) {
        Some(PathFault::EmptyPart)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for good in ["/", "/a", "/a/b-c_d@e/9", "relative/too", &format!("/{}", "a".repeat(PATH_MAX - 1))] {
            check_path(good).unwrap();
        }
        let long = format!("/{}", "a".repeat(PATH_MAX));
        let bad = [
            ("", PathFault::Empty),
            (&long, PathFault::TooLong),
            ("/a.b", PathFault::Character),
            ("/a b", PathFault::Character),
            ("/é", PathFault::Character),
            ("/a\0b", PathFault::Character),
            ("/a/", PathFault::EmptyPart),
            ("//", PathFault::EmptyPart),
            ("/a//b", PathFault::EmptyPart),
            ("@releaseDomain", PathFault::Special),
        ];
        for (path, expected) in bad {
            let Err(Error::BadPath { fault, .. }) = check_path(path) else { panic!("{path:?} passes") };
            assert_eq!(fault, expected, "{path:?}");
        }
        check_watched("@releaseDomain").unwrap();
        assert!(matches!(check_removed("/"), Err(Error::BadPath { fault: PathFault::Root, .. })));
        check_removed("/a").unwrap();
    }
}
