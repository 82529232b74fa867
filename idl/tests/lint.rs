//! Lints: goldens (`lint/*.idl`, `BLESS=1` rewrites the results), our own schema, and what is said of each code.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use xenidl::explain::{codes, explain};
use xenidl::lint::{Rule, lint};
use xenidl::{Source, backend, compile};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<(PathBuf, Source)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(here().join(folder))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "idl"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let source =
        |p: &Path| Source::new(p.file_name().unwrap().to_str().unwrap(), fs::read_to_string(p).unwrap());
    paths.into_iter().map(|p| (p.clone(), source(&p))).collect()
}

fn said(sources: &[Source]) -> String {
    let found = lint(sources).unwrap_or_else(|d| panic!("{}", d.render(sources)));
    found.iter().map(|f| f.show(sources) + "\n").collect()
}

#[test]
fn findings_are_those_of_the_goldens() {
    for (path, source) in sources("tests/lint") {
        let text = said(&[source]);
        let golden = path.with_extension("result");
        if std::env::var_os("BLESS").is_some() {
            fs::File::create(&golden).unwrap().write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&golden).unwrap(), text, "BLESS=1 rewrites {}", golden.display());
    }
}

#[test]
fn the_goldens_show_every_rule() {
    let found: BTreeSet<Rule> =
        sources("tests/lint").into_iter().flat_map(|(_, s)| lint(&[s]).unwrap()).map(|f| f.rule).collect();
    let missing: Vec<&Rule> = Rule::ALL.iter().filter(|r| !found.contains(r)).collect();
    assert!(missing.is_empty(), "no golden shows {missing:?}");
}

/// What is so on purpose: old tags may have any word in them, a change of a flag can be left out, and QEMU's arguments are
/// as long as they are.
const MEANT: &[(Rule, &str)] = &[
    (Rule::Unlimited, "`image_tag` has no maximum"),
    (Rule::OptionalFlag, "`outcome.diverged` is yes, no, or not said"),
    (Rule::Unlimited, "`qemu_config.args` has no maximum"),
];

#[test]
fn our_schema_has_only_what_is_meant() {
    let unit: Vec<Source> = sources("schema").into_iter().map(|(_, s)| s).collect();
    let found = lint(&unit).unwrap();
    let found: Vec<(Rule, &str)> = found.iter().map(|f| (f.rule, f.message.as_str())).collect();
    assert_eq!(found, MEANT, "{}", said(&unit));
}

/// Every code that is wrong with a text.
fn wrong(text: &str) -> BTreeSet<&'static str> {
    let sources = [Source::new("example", text)];
    match compile(&sources) {
        Err(d) => d.iter().map(|d| d.code.as_str()).collect(),
        Ok(model) => backend::all()
            .iter()
            .filter_map(|b| b.generate(&model).err())
            .flat_map(|d| d.iter().map(|d| d.code.as_str()).collect::<Vec<_>>())
            .collect(),
    }
}

#[test]
fn every_code_is_explained_by_examples_that_are_wrong_and_right() {
    for (code, rule) in codes() {
        let said =
            explain(&code.to_lowercase()).unwrap_or_else(|| panic!("book/codes.md does not explain {code}"));
        assert_eq!((said.code, said.rule), (code, rule));
        assert_eq!(wrong(&said.right), BTreeSet::new(), "{code}, right:\n{}", said.right);
        if code.starts_with('E') {
            let mut wrong = wrong(&said.wrong);
            // A string without an end swallows the brackets that were to be closed.
            if code == "E002" {
                wrong.remove("E011");
            }
            assert_eq!(wrong, BTreeSet::from([code]), "{code}, wrong:\n{}", said.wrong);
        } else {
            let found = |text: &str| -> Vec<&str> {
                lint(&[Source::new("example", text)]).unwrap().iter().map(|f| f.rule.as_str()).collect()
            };
            assert!(found(&said.wrong).contains(&code), "{code}, wrong:\n{}", said.wrong);
            assert!(!found(&said.right).contains(&code), "{code}, right:\n{}", said.right);
        }
        assert!(said.show().starts_with(&format!("{code}: {rule}\n\n")));
    }
    assert_eq!(explain("E999"), None);
    let sections = fs::read_to_string(here().join("book/codes.md")).unwrap().matches("\n## ").count();
    assert_eq!(sections, codes().count());
}

#[test]
fn every_lint_is_in_the_readme() {
    let readme = fs::read_to_string(here().join("README.md")).unwrap();
    for rule in Rule::ALL {
        let row = format!("| {} | {} |", rule.as_str(), rule.rule());
        assert!(readme.contains(&row), "README.md lacks: {row}");
    }
}
