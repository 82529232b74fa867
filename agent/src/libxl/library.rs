//! Where the host's libxl is, and which version of Xen runs. Reads folders and files only; nothing is loaded here.
//!
//! libxl's soname changes with every release of Xen (`libxenlight.so.4.17`), and distributions put it in different folders: so the folders are listed, and the file
//! that belongs to the running hypervisor is taken. Where there is none, the newest is tried: it refuses by itself when it does not understand the hypervisor.

use std::fs;
use std::path::{Path, PathBuf};

use super::protocol::{Failure, FailureKind};

/// The releases whose headers the calls in `ffi.rs` were held against (they are the same in all of them). Others are tried, and said to be unknown.
pub const CHECKED: std::ops::RangeInclusive<(u32, u32)> = (4, 14)..=(4, 22);

/// The release whose `xl` goes on as a domain's monitor after a suspend, the first (xen.git 6b8c85872e).
pub const MONITOR_STAYS: (u32, u32) = (4, 20);

/// Major and minor number of a release.
pub type Release = (u32, u32);

/// The release of the running hypervisor.
///
/// # Errors
/// `NoXen` when there is no hypervisor, or this is not its control domain.
pub fn running_release(root: &Path) -> Result<Release, Failure> {
    let no_xen = |why: &str| {
        Err(Failure::new(
            FailureKind::NoXen,
            format!("this needs the control domain of a Xen host (dom0), and {why}"),
        ))
    };
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    if read("sys/hypervisor/type").as_deref().map(str::trim) != Some("xen") {
        return no_xen("no Xen runs here (/sys/hypervisor/type does not say `xen`)");
    }
    let number = |name: &str| read(&format!("sys/hypervisor/version/{name}"))?.trim().parse().ok();
    let (Some(major), Some(minor)) = (number("major"), number("minor")) else {
        return no_xen("its version cannot be read from /sys/hypervisor/version");
    };
    match read("proc/xen/capabilities") {
        Some(words) if words.contains("control_d") => Ok((major, minor)),
        Some(_) => no_xen("this is another domain (/proc/xen/capabilities lacks `control_d`)"),
        None => no_xen("/proc/xen/capabilities cannot be read (xenfs is mounted there by xen's tools)"),
    }
}

/// The release that a library's file name tells: `libxenlight.so.4.17` and `libxenlight.so.4.17.0` are of 4.17.
fn release_of(name: &str) -> Option<Release> {
    let mut numbers = name.strip_prefix("libxenlight.so.")?.split('.').map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Folders that may hold libraries, in the order in which they are looked at.
fn folders(root: &Path) -> Vec<PathBuf> {
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let mut found = Vec::new();
    for base in ["usr/lib", "usr/local/lib", "lib"] {
        found.push(root.join(base).join(&multiarch));
        found.push(root.join(format!("{base}64")));
        found.push(root.join(base));
    }
    // Debian's /usr/lib/xen-4.17/lib and its multiarch folder; also the `xen-4.17-shadow` of a local build.
    let own = fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten();
    for lib in
        own.filter(|e| e.file_name().to_string_lossy().starts_with("xen")).map(|e| e.path().join("lib"))
    {
        found.push(lib.join(&multiarch));
        found.push(lib);
    }
    found
}

/// The libraries to try: of the running release when there is one, else all from the newest on. Each with its release.
///
/// # Errors
/// `NoLibxl` when there is none at all.
pub fn candidates(root: &Path, running: Release) -> Result<Vec<(PathBuf, Release)>, Failure> {
    let folders = folders(root);
    let mut found: Vec<(PathBuf, Release)> = Vec::new();
    for folder in &folders {
        let mut names: Vec<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        names.sort(); // the soname before the full version
        for name in names {
            // One file a release: the others are links to it, or second copies further down the search.
            if let Some(release) = release_of(&name).filter(|r| found.iter().all(|(_, have)| have != r)) {
                found.push((folder.join(name), release));
            }
        }
    }
    if let Some(at) = found.iter().position(|(_, release)| *release == running) {
        return Ok(vec![found.swap_remove(at)]);
    }
    found.sort_by_key(|(_, release)| std::cmp::Reverse(*release));
    if found.is_empty() {
        let list: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        return Err(Failure::new(
            FailureKind::NoLibxl,
            format!(
                "there is no libxenlight.so.{}.{} in {}: install the toolstack's libraries (Debian: libxenmisc{0}.{1}), or name the file with --library",
                running.0,
                running.1,
                list.join(", ")
            ),
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::io::Write::write_all(&mut fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
        }
        root
    }

    fn dom0() -> Vec<(&'static str, &'static str)> {
        vec![
            ("sys/hypervisor/type", "xen\n"),
            ("sys/hypervisor/version/major", "4\n"),
            ("sys/hypervisor/version/minor", "17\n"),
            ("proc/xen/capabilities", "control_d\n"),
        ]
    }

    #[test]
    fn only_a_control_domain_has_a_release() {
        assert_eq!(running_release(host(&dom0()).path()).unwrap(), (4, 17));
        let without = |path: &str| dom0().into_iter().filter(|(p, _)| *p != path).collect::<Vec<_>>();
        let cases = [
            (vec![], "no Xen runs here"),
            (vec![("sys/hypervisor/type", "kvm")], "no Xen runs here"),
            (without("sys/hypervisor/version/minor"), "version cannot be read"),
            (without("proc/xen/capabilities"), "/proc/xen/capabilities cannot be read"),
            (
                [without("proc/xen/capabilities"), vec![("proc/xen/capabilities", "\n")]].concat(),
                "another domain",
            ),
        ];
        for (files, words) in cases {
            let failure = running_release(host(&files).path()).unwrap_err();
            assert_eq!(failure.kind, FailureKind::NoXen);
            assert!(failure.message.contains(words), "{failure}");
        }
    }

    #[test]
    fn the_running_releases_library_is_taken_wherever_it_is() {
        let multiarch = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let at = |name: &str| format!("{multiarch}/{name}");
        let (a, b, c) = (at("libxenlight.so.4.17.0"), at("libxenlight.so.4.17"), at("libxenlight.so.4.9"));
        let root = host(&[(&a, ""), (&b, ""), (&c, ""), ("usr/lib/xen-4.20/lib/libxenlight.so.4.20", "")]);
        let names = |running| {
            let found = candidates(root.path(), running).unwrap();
            found
                .into_iter()
                .map(|(p, _)| p.strip_prefix(root.path()).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names((4, 17)), [b.as_str()], "the soname, not the file behind it");
        assert_eq!(names((4, 20)), ["usr/lib/xen-4.20/lib/libxenlight.so.4.20".to_owned()]);
        assert_eq!(
            names((4, 21)),
            ["usr/lib/xen-4.20/lib/libxenlight.so.4.20".to_owned(), b, c],
            "the newest first, by number: 4.9 is older than 4.17"
        );
    }

    #[test]
    fn none_at_all_says_where_it_was_sought() {
        let root = host(&[("usr/lib/libxenlight.so", ""), ("usr/lib/libxenlight.so.x", "")]);
        let failure = candidates(root.path(), (4, 17)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::NoLibxl);
        assert!(
            failure.message.contains("usr/lib64") && failure.message.contains("libxenmisc4.17"),
            "{failure}"
        );
    }
}
