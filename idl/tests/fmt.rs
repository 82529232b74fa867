//! The layout: goldens (`fmt/*.idl`, `BLESS=1` rewrites the results), and what holds for every text: formatting twice is
//! formatting once, no token and no comment changes, the model stays.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test; it starts the shared renderer"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use xenidl::diag::Diagnostics;
use xenidl::lex::{Tok, lex};
use xenidl::{Source, compile, dump, fmt};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn idl_files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "idl"))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn format(text: &str) -> String {
    let source = Source::new("text", text);
    fmt::format(&source).unwrap_or_else(|d| panic!("{}", d.render(std::slice::from_ref(&source))))
}

/// The tokens but for commas, and the comments without what begins them.
fn substance(text: &str) -> (Vec<Tok>, Vec<String>) {
    let mut diags = Diagnostics::default();
    let (tokens, _) = lex(0, &Source::new("text", text), &mut diags);
    assert!(diags.is_empty());
    let mut comments = Vec::new();
    let mut end = 0;
    for token in &tokens {
        for line in text[end..token.span.start].lines() {
            if let Some((_, comment)) = line.split_once('#') {
                comments.push(comment.trim().to_owned());
            }
        }
        end = token.span.end;
    }
    (tokens.into_iter().map(|t| t.tok).filter(|t| *t != Tok::Sym(',')).collect(), comments)
}

fn model(text: &str) -> Option<String> {
    compile(&[Source::new("text", text)]).ok().map(|m| dump::dump(&m))
}

/// What holds for every text; returns it formatted.
fn holds(name: &str, text: &str) -> String {
    let once = format(text);
    assert_eq!(format(&once), once, "{name}: formatting twice is not formatting once");
    assert_eq!(substance(&once), substance(text), "{name}: tokens or comments changed");
    if let Some(before) = model(text) {
        assert_eq!(model(&once), Some(before), "{name}: the model changed:\n{once}");
    }
    assert!(once.lines().all(|l| l.trim_end() == l), "{name}: a line ends with a space");
    once
}

#[test]
fn the_layout_is_that_of_the_goldens() {
    for path in idl_files(&here().join("tests/fmt")) {
        let now = holds(&path.display().to_string(), &fs::read_to_string(&path).unwrap());
        let golden = path.with_extension("result");
        if std::env::var_os("BLESS").is_some() {
            fs::File::create(&golden).unwrap().write_all(now.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&golden).unwrap(), now, "BLESS=1 rewrites {}", golden.display());
    }
}

#[test]
fn our_schema_is_formatted() {
    for path in idl_files(&here().join("schema")) {
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(format(&text), text, "run `xenidl fmt {}`", path.display());
    }
}

#[test]
fn malformed_text_is_refused_with_what_is_wrong() {
    let source = Source::new("text", "a = Struct(\"a\", [\n");
    let diags = fmt::format(&source).unwrap_err();
    assert_eq!(diags.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(), ["E011"]);
}

#[test]
fn empty_files_and_files_of_comments() {
    assert_eq!(format(""), "");
    assert_eq!(format("\n\n  \n"), "");
    assert_eq!(format("\n#x\n\n\n#y\n\n"), "# x\n\n# y\n");
    assert_eq!(format("hidden(True) # why\n"), "hidden(True)  # why\n");
}

/// Line breaks and comments anywhere between two tokens, from a seed.
#[test]
fn wherever_lines_break_and_comments_stand() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    for path in [idl_files(&here().join("tests/ui")), idl_files(&here().join("tests/fmt"))].concat() {
        let text = fs::read_to_string(&path).unwrap();
        let whole = Source::new("text", &text);
        let (tokens, _) = lex(0, &whole, &mut Diagnostics::default());
        let mut tried = 0;
        while tried < 60 {
            let mut mutated = String::new();
            let mut end = 0;
            for token in &tokens {
                mutated.push_str(&text[end..token.span.start]);
                if !mutated.is_empty() && next(40) == 0 {
                    mutated
                        .push_str([" # put in\n ", "\n ", "\n\n ", "\n # of its own\n "][next(4) as usize]);
                }
                mutated.push_str(&text[token.span.start..token.span.end]);
                end = token.span.end;
            }
            // A bracket moved off its function, or a statement off the margin, is another text.
            if fmt::format(&Source::new("text", &mutated)).is_ok() {
                holds(&format!("{} {tried}", path.display()), &mutated);
                tried += 1;
            }
        }
    }
}

/// What the shared models of libxl's types print as.
#[test]
fn libxls_own_types() {
    let shared =
        std::env::var_os("XENSNAP_SHARED").map_or_else(|| here().join("../../shared"), PathBuf::from);
    let folder = shared.join("libxl-idl");
    if !folder.is_dir() {
        println!("skipped: formatting of libxl's types: no {}", folder.display());
        return;
    }
    for version in ["4.5", "4.17", "4.22"] {
        let model = folder.join(format!("libxl-types-{version}.json"));
        let out =
            std::process::Command::new("python3").arg(folder.join("render")).arg(model).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        holds(version, &String::from_utf8(out.stdout).unwrap());
    }
}
