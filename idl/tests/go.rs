//! The Go packages: goldens of what depends on the model, gofmt's and vet's verdict, and their tests in Go.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that starts commands: helpers outside of #[test] functions too"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use xenidl::{Backend, Source, backend::go::Go, compile};

const EVERYTHING: &str = "tests/ui/everything.idl";
const LIBXL: &str = "tests/ui/libxl_everything.idl";
const CONTRACT: &[&str] = &["base", "operation", "plan", "record", "request"];

fn package(files: &[PathBuf]) -> xenidl::Files {
    let sources: Vec<Source> = files
        .iter()
        .map(|f| Source::new(f.file_name().unwrap().to_str().unwrap(), std::fs::read_to_string(f).unwrap()))
        .collect();
    let model = compile(&sources).unwrap_or_else(|d| panic!("{}", d.render(&sources)));
    Go.generate(&model).unwrap_or_else(|d| panic!("{}", d.render(&sources)))
}

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// `BLESS=1 cargo test -p xenidl` writes them anew.
#[test]
fn types_and_codecs_are_as_before() {
    for input in [EVERYTHING, LIBXL] {
        let files = package(&[at(input)]);
        let made: String = files
            .iter()
            .filter(|(name, _)| ["types.go", "codecs.go"].contains(name))
            .map(|(name, text)| format!("=== {name}\n{text}\n"))
            .collect();
        let golden = at(input).with_extension("go.result");
        if std::env::var_os("BLESS").is_some() {
            write(&golden, &made);
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(made == expected, "{} differs; BLESS=1 writes it anew. Now:\n{made}", golden.display());
    }
}

#[test]
fn the_packages_pass_gofmt_vet_and_their_tests() {
    if Command::new("go").arg("version").output().is_err() {
        println!("skipped: tests of the Go packages: no go");
        return;
    }
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go");
    let schema = CONTRACT.iter().map(|n| at(&format!("schema/{n}.idl"))).collect();
    let units: [(&str, Vec<PathBuf>); 3] =
        [("xensnap", schema), ("t", vec![at(EVERYTHING)]), ("libxl", vec![at(LIBXL)])];
    let mut module = String::from("module tests\n\ngo 1.19\n");
    for (name, files) in units {
        for (path, text) in package(&files).iter() {
            write(&root.join(name).join(path), text);
        }
        module.push_str(&format!("\nrequire {name} v0.0.0\n\nreplace {name} => ../{name}\n"));
    }
    let tests = root.join("tests");
    write(&tests.join("go.mod"), &module);
    write(&tests.join("package_test.go"), &std::fs::read_to_string(at("tests/go/package_test.go")).unwrap());
    let run = |program: &str, args: &[&str]| {
        let out = Command::new(program)
            .args(args)
            .current_dir(&tests)
            .envs([("GOFLAGS", "-mod=mod"), ("GOPROXY", "off"), ("GOTOOLCHAIN", "local")])
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "{program} {args:?}:\n{said}");
        said
    };
    assert_eq!(run("gofmt", &["-l", ".."]), "", "gofmt has another layout for these");
    run("go", &["vet", ".", "xensnap", "t", "libxl"]);
    run("go", &["test", "."]);
}
