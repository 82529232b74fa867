//! `xenidl`: checks IDL files, generates code from them, shows their model.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use xenidl::{Source, backend, compile, dump};

const USAGE: &str = "\
usage: xenidl check FILE..                         check the files as one unit
       xenidl build --lang LANG --out DIR FILE..   generate code into DIR
       xenidl dump FILE..                          show the model as JSON
       xenidl codes                                list the error codes
       xenidl prelude                              show the constants that are built in for libxl's files

--prelude FILE, before or among the files: constants for `init_val` (may be given more than once)

exit codes: 0 fine, 1 the files have errors, 2 wrong use, 3 a file cannot be read or written
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args = preludes_first(args.iter().map(String::as_str));
    let result = match args.as_slice() {
        ["check", files @ ..] if !files.is_empty() => check(files),
        ["dump", files @ ..] if !files.is_empty() => model(files).map(|m| dump::dump(&m)),
        ["build", "--lang", lang, "--out", out, files @ ..] if !files.is_empty() => build(lang, out, files),
        ["codes"] => Ok(codes()),
        ["prelude"] => Ok(xenidl::PRELUDE.into()),
        ["-h" | "--help" | "help"] => Ok(USAGE.into()),
        ["-V" | "--version"] => Ok(format!("xenidl {}\n", env!("CARGO_PKG_VERSION"))),
        _ => Err((2, USAGE.into())),
    };
    let (code, text) = match result {
        Ok(text) => (ExitCode::SUCCESS, std::io::stdout().write_all(text.as_bytes())),
        Err((code, text)) => (ExitCode::from(code), std::io::stderr().write_all(text.as_bytes())),
    };
    // A reader that has gone (`xenidl dump | head`) is no failure.
    drop(text);
    code
}

/// A prelude is a file like the others, but for its place: right before the first of them.
fn preludes_first<'a>(args: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let (mut rest, mut preludes) = (Vec::new(), Vec::new());
    let mut args = args.peekable();
    while let Some(arg) = args.next() {
        match args.peek() {
            Some(file) if arg == "--prelude" => {
                preludes.push(*file);
                args.next();
            }
            _ => rest.push(arg),
        }
    }
    let options = match rest.first() {
        Some(&"build") => rest.len().min(5),
        _ => rest.len().min(1),
    };
    rest.splice(options..options, preludes);
    rest
}

type Outcome<T> = Result<T, (u8, String)>;

fn read(files: &[&str]) -> Outcome<Vec<Source>> {
    files
        .iter()
        .map(|name| match std::fs::read_to_string(name) {
            Ok(text) => Ok(Source::new(*name, text)),
            Err(e) => Err((3, format!("xenidl: cannot read {name}: {e}\n"))),
        })
        .collect()
}

fn model(files: &[&str]) -> Outcome<xenidl::Model> {
    let sources = read(files)?;
    compile(&sources).map_err(|d| (1, d.render(&sources)))
}

fn check(files: &[&str]) -> Outcome<String> {
    let sources = read(files)?;
    let model = compile(&sources).map_err(|d| (1, d.render(&sources)))?;
    for backend in backend::all() {
        backend.generate(&model).map_err(|d| (1, d.render(&sources)))?;
    }
    Ok(format!("{} types, no errors\n", model.decls.len()))
}

fn build(lang: &str, out: &str, files: &[&str]) -> Outcome<String> {
    let backends = backend::all();
    let Some(backend) = backends.iter().find(|b| b.lang() == lang) else {
        let langs: Vec<&str> = backends.iter().map(|b| b.lang()).collect();
        return Err((2, format!("xenidl: no back end for `{lang}`; there is: {}\n", langs.join(", "))));
    };
    let sources = read(files)?;
    let model = compile(&sources).map_err(|d| (1, d.render(&sources)))?;
    let generated = backend.generate(&model).map_err(|d| (1, d.render(&sources)))?;
    let mut said = String::new();
    for (name, text) in generated.iter() {
        let path = Path::new(out).join(name);
        write(&path, text).map_err(|e| (3, format!("xenidl: cannot write {}: {e}\n", path.display())))?;
        let _ = writeln!(said, "{}", path.display());
    }
    Ok(said)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::File::create(path)?.write_all(text.as_bytes())
}

fn codes() -> String {
    xenidl::Code::ALL.iter().fold(String::new(), |mut out, code| {
        let _ = writeln!(out, "{}  {}", code.as_str(), code.rule());
        out
    })
}
