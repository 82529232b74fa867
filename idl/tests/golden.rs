//! Goldens: what the compiler says to each malformed input (`fail/`), and what it makes of good ones (`ui/`).
//!
//! `BLESS=1 cargo test -p xenidl` writes the `.result` files anew: read the difference before you commit it.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use xenidl::{Backend, Code, Source, backend, compile, dump};

fn inputs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "idl"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn source(path: &Path) -> Source {
    Source::new(path.file_name().unwrap().to_str().unwrap(), fs::read_to_string(path).unwrap())
}

/// Compares with the golden beside the input, or writes it.
fn golden(path: &Path, extension: &str, text: &str, wrong: &mut Vec<String>) {
    let golden = path.with_extension(extension);
    if std::env::var_os("BLESS").is_some() {
        fs::File::create(&golden).unwrap().write_all(text.as_bytes()).unwrap();
        return;
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if expected != text {
        wrong.push(format!("--- {}\n{expected}\n+++ now\n{text}", golden.display()));
    }
}

fn finish(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}\n{} goldens differ; BLESS=1 rewrites them", wrong.join("\n"), wrong.len());
}

/// Everything that is wrong with one source, back ends included.
fn diagnose(source: &Source) -> Option<xenidl::Diagnostics> {
    match compile(std::slice::from_ref(source)) {
        Err(d) => Some(d),
        Ok(model) => backend::all().iter().find_map(|b| b.generate(&model).err()),
    }
}

#[test]
fn each_malformed_input_is_told_in_the_same_words() {
    let mut wrong = Vec::new();
    for path in inputs("fail") {
        let source = source(&path);
        let rule = source.text.trim_start_matches('\u{feff}');
        assert!(rule.starts_with("# "), "{}: the first line names the rule", path.display());
        let Some(diags) = diagnose(&source) else { panic!("{} compiles", path.display()) };
        golden(&path, "result", &diags.render(std::slice::from_ref(&source)), &mut wrong);
    }
    finish(&wrong);
}

#[test]
fn good_inputs_make_the_same_model_and_code() {
    let mut wrong = Vec::new();
    for path in inputs("ui") {
        let source = source(&path);
        let sources = std::slice::from_ref(&source);
        let model = compile(sources).unwrap_or_else(|d| panic!("{}", d.render(sources)));
        golden(&path, "result", &dump::dump(&model), &mut wrong);
        let files = backend::rust::Rust::default()
            .generate(&model)
            .unwrap_or_else(|d| panic!("{}", d.render(sources)));
        for (_, text) in files.iter() {
            golden(&path, "rs.result", text, &mut wrong);
        }
    }
    finish(&wrong);
}

/// Files of a back end's package that come from the model: language, file, what its golden ends with. `NAME` is the package.
const PACKAGED: &[(&str, &str, &str)] = &[
    ("typescript", "src/contract.ts", "ts.result"),
    ("typescript", "src/libxl.ts", "ts.result"),
    ("jsonschema", "NAME.all.schema.json", "schema.result"),
    ("markdown", "NAME.md", "md.result"),
    ("markdown", "xenstore-paths.pandoc", "pandoc.result"),
    ("html", "NAME.html", "html.result"),
    ("ocaml", "src/types.mli", "mli.result"),
    ("ocaml", "src/types.ml", "ml.result"),
    ("c", "NAME_types.h", "h.result"),
    ("c", "NAME_types.c", "c.result"),
];

#[test]
fn each_back_end_makes_the_same_of_every_construct() {
    let mut wrong = Vec::new();
    let mut compared = BTreeSet::new();
    for path in
        inputs("ui").into_iter().filter(|p| p.file_stem().unwrap().to_str().unwrap().ends_with("everything"))
    {
        let model = compile(&[source(&path)]).unwrap();
        for backend in backend::all() {
            let files = backend.generate(&model).unwrap();
            for entry in PACKAGED.iter().filter(|(lang, ..)| *lang == backend.lang()) {
                let (_, name, extension) = entry;
                let name = name.replace("NAME", backend::common::package(&model));
                if let Some((_, text)) = files.iter().find(|(file, _)| *file == name) {
                    golden(&path, extension, text, &mut wrong);
                    compared.insert(entry);
                }
            }
        }
    }
    finish(&wrong);
    assert_eq!(compared.len(), PACKAGED.len());
}

#[test]
fn every_code_has_a_malformed_input() {
    let mut seen = BTreeSet::new();
    for path in inputs("fail") {
        if let Some(diags) = diagnose(&source(&path)) {
            seen.extend(diags.iter().map(|d| d.code));
        }
    }
    let missing: Vec<&Code> = Code::ALL.iter().filter(|c| !seen.contains(c)).collect();
    assert!(missing.is_empty(), "no golden shows {missing:?}");
}

#[test]
fn every_code_is_in_the_readme() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for code in Code::ALL {
        let row = format!("| {} | {} |", code.as_str(), code.rule());
        assert!(readme.contains(&row), "README.md lacks: {row}");
    }
}

/// No text, however broken, makes the compiler panic: every prefix of a good file, and every file with one byte
/// taken out (of long files, at every few bytes).
#[test]
fn broken_text_is_an_error_not_a_panic() {
    for path in inputs("ui") {
        let whole = source(&path).text;
        for at in (0..whole.len()).step_by(1 + whole.len() / 2000).filter(|at| whole.is_char_boundary(*at)) {
            let prefix = Source::new("prefix", &whole[..at]);
            if let Err(d) = compile(std::slice::from_ref(&prefix)) {
                assert!(!d.render(std::slice::from_ref(&prefix)).is_empty());
            }
            let mut without = whole.clone();
            without.remove(at);
            let without = Source::new("without", without);
            if let Err(d) = compile(std::slice::from_ref(&without)) {
                assert!(!d.render(std::slice::from_ref(&without)).is_empty());
            }
        }
    }
}

/// Files of profile `contract` are one unit: their order changes nothing but the order of declarations.
#[test]
fn the_order_of_contract_files_does_not_matter() {
    let head = "profile(\"contract\")\n# A type.\n";
    let a = Source::new("a", format!("{head}a = Struct(\"a\", [\n# B.\n(\"b\", b)])\n"));
    let b = Source::new("b", format!("{head}b = Struct(\"b\", [\n# X.\n(\"x\", bool)])\n"));
    let one = compile(&[a.clone(), b.clone()]).unwrap();
    let two = compile(&[b, a]).unwrap();
    assert_eq!(one.decls.len(), 2);
    let mut lines = [dump::dump(&one), dump::dump(&two)].map(|d| {
        let mut lines: Vec<String> = d.lines().map(|l| l.trim_end_matches(',').to_owned()).collect();
        lines.sort();
        lines
    });
    let [x, y] = &mut lines;
    assert_eq!(x, y);
}
