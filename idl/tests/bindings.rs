//! The packages of the contract that are checked in (`idl/bindings/LANG`) are what `xenidl build` writes now.
//!
//! `BLESS=1 cargo test -p xenidl --test bindings` writes them anew.
#![expect(clippy::unwrap_used, reason = "a test: helpers outside of #[test] functions too")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use xenidl::{Source, backend, compile};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn the_bindings_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut schema = Vec::new();
    files(&root.join("schema"), &mut schema);
    schema.retain(|p| p.extension().is_some_and(|e| e == "idl"));
    schema.sort();
    let sources: Vec<Source> = schema
        .iter()
        .map(|p| Source::new(p.file_name().unwrap().to_str().unwrap(), std::fs::read_to_string(p).unwrap()))
        .collect();
    let model = compile(&sources).unwrap_or_else(|d| panic!("{}", d.render(&sources)));
    let bless = std::env::var_os("BLESS").is_some();
    let mut langs = 0;
    for entry in std::fs::read_dir(root.join("bindings")).unwrap() {
        let folder = entry.unwrap().path();
        let lang = folder.file_name().unwrap().to_str().unwrap();
        let backends = backend::all();
        let backend = backends.iter().find(|b| b.lang() == lang);
        let backend = backend.unwrap_or_else(|| panic!("no back end for {}", folder.display()));
        let made = backend.generate(&model).unwrap_or_else(|d| panic!("{}", d.render(&sources)));
        let made: BTreeMap<PathBuf, &str> =
            made.iter().map(|(name, text)| (folder.join(name), text)).collect();
        let mut there = Vec::new();
        files(&folder, &mut there);
        for path in there.iter().filter(|p| !made.contains_key(*p)) {
            if bless {
                std::fs::remove_file(path).unwrap();
            } else {
                panic!("{} is no longer made; BLESS=1 removes it", path.display());
            }
        }
        for (path, text) in made {
            if bless {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == text, "{} is not what is made now; BLESS=1 writes it", path.display());
        }
        langs += 1;
    }
    assert!(langs > 0);
}
