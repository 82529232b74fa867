//! The Python packages: goldens of what depends on the model, mypy's strict verdict where mypy is, and their tests in Python.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that starts commands: helpers outside of #[test] functions too"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use xenidl::{Backend, Source, backend::python::Python, compile};

const EVERYTHING: &str = "tests/ui/everything.idl";
const LIBXL: &str = "tests/ui/libxl_everything.idl";
const CONTRACT: &[&str] = &["base", "operation", "plan", "record", "request"];

fn package(files: &[PathBuf]) -> xenidl::Files {
    let sources: Vec<Source> = files
        .iter()
        .map(|f| Source::new(f.file_name().unwrap().to_str().unwrap(), std::fs::read_to_string(f).unwrap()))
        .collect();
    let model = compile(&sources).unwrap_or_else(|d| panic!("{}", d.render(&sources)));
    Python.generate(&model).unwrap_or_else(|d| panic!("{}", d.render(&sources)))
}

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Makes the packages that the tests in Python use; each in a folder of its own.
fn packages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let schema = CONTRACT.iter().map(|n| at(&format!("schema/{n}.idl"))).collect();
    let units: [(&str, Vec<PathBuf>); 3] =
        [("contract", schema), ("everything", vec![at(EVERYTHING)]), ("libxl", vec![at(LIBXL)])];
    units
        .into_iter()
        .map(|(name, files)| {
            let folder = root.join(name);
            for (path, text) in package(&files).iter() {
                write(&folder.join(path), text);
            }
            folder
        })
        .collect()
}

/// `BLESS=1 cargo test -p xenidl` writes them anew.
#[test]
fn types_and_schemas_are_as_before() {
    for input in [EVERYTHING, LIBXL] {
        let files = package(&[at(input)]);
        let made: String = files
            .iter()
            .filter(|(name, _)| ["types.py", "_schema.py", "__init__.py"].iter().any(|f| name.ends_with(f)))
            .map(|(name, text)| format!("=== {name}\n{text}\n"))
            .collect();
        let golden = at(input).with_extension("py.result");
        if std::env::var_os("BLESS").is_some() {
            write(&golden, &made);
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(made == expected, "{} differs; BLESS=1 writes it anew. Now:\n{made}", golden.display());
    }
}

#[test]
fn the_packages_pass_their_tests_in_python() {
    let path: Vec<String> = packages().iter().map(|p| p.display().to_string()).collect();
    let out = Command::new("python3")
        .args(["-W", "error", "-B"])
        .arg(at("tests/python/test_package.py"))
        .env("PYTHONPATH", path.join(":"))
        .output();
    match out {
        Err(e) => println!("skipped: tests of the Python packages: no python3: {e}"),
        Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr)),
    }
}

#[test]
fn mypy_finds_nothing_in_them() {
    let mypy = |args: &[&str]| Command::new("python3").args(["-m", "mypy"]).args(args).output();
    if !mypy(&["--version"]).is_ok_and(|o| o.status.success()) {
        println!("skipped: types of the Python packages: no mypy");
        return;
    }
    for folder in packages() {
        let out = mypy(&["--strict", folder.to_str().unwrap()]).unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    }
}
