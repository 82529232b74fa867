//! Every language writes what every other reads: README.md beside this file says what must hold.
//!
//! ```text
//! IDL -> Sampler -> documents, wrong ones, changed ones ──┐
//! IDL -> back end -> package -> tests/matrix/LANG/build -> harness ×N -> answers -> judged -> table
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test, of programs that it starts"
)]

mod judge;
mod languages;

use judge::Verdicts;
use languages::{Language, languages};
use std::path::{Path, PathBuf};
use xenidl::model::Decl;
use xenidl::sample::{Mode, Sampler, Wrong};
use xenidl::{Model, Source, compile};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Types that are sent through the harnesses.
struct Unit {
    /// What the harness calls it.
    name: &'static str,
    /// Where its types are from.
    idl: String,
    model: Model,
}

impl Unit {
    fn new(name: &'static str, idl: &str, sources: &[Source]) -> Self {
        let model = compile(sources).unwrap_or_else(|d| panic!("{}", d.render(sources)));
        Self { name, idl: idl.to_owned(), model }
    }

    fn types(&self) -> Vec<&Decl> {
        self.model.decls.iter().filter(|d| !d.anonymous).collect()
    }
}

fn read(path: &Path) -> Source {
    Source::new(path.display().to_string(), std::fs::read_to_string(path).unwrap())
}

fn contract() -> Unit {
    let mut paths: Vec<PathBuf> =
        root().join("idl/schema").read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "idl"));
    paths.sort();
    Unit::new("contract", "the contract", &paths.iter().map(|p| read(p)).collect::<Vec<_>>())
}

/// libxl's types: an IDL of our own that has every construct, and those of a real libxl where the shared data is there.
fn libxls() -> Vec<Unit> {
    let own = root().join("idl/tests/ui/libxl_everything.idl");
    let mut units = vec![Unit::new("libxl", "libxl_everything.idl", &[read(&own)])];
    let shared = std::env::var_os("XENSNAP_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let folder = shared.join("libxl-idl");
    if !folder.is_dir() {
        println!("skipped: matrix on a real libxl's types: no {}", folder.display());
        return units;
    }
    let name = "libxl-types-4.22.json";
    let out = std::process::Command::new(folder.join("render")).arg(folder.join(name)).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    units.push(Unit::new("libxl", "libxl_types.idl of Xen 4.22", &[Source::new("libxl_types.idl", text)]));
    units
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no number")))
}

/// What is sent, each as a line of the protocol.
struct Lines {
    /// With the answer's JSON.
    good: Vec<String>,
    wrong: Vec<(String, Wrong)>,
    changed: Vec<String>,
}

fn lines(unit: &Unit, corners: &[String]) -> Lines {
    let types = unit.types();
    let count = number("XENSNAP_MATRIX_COUNT", (2000 / types.len() as u64).max(20));
    let mut sampler = Sampler::new(&unit.model, Mode::Random, number("XENSNAP_MATRIX_SEED", 1));
    let line =
        |decl: &Decl, text: &str| format!("{} {} {}", unit.name, decl.raw_name(), text.replace('\n', ""));
    let mut lines = Lines { good: Vec::new(), wrong: Vec::new(), changed: corners.to_vec() };
    for _ in 0..count {
        for decl in &types {
            let text = sampler.document(decl);
            let (refused, wrong) = sampler.refused(decl);
            lines.good.push(line(decl, &text));
            lines.wrong.push((line(decl, &refused), wrong));
            lines.changed.push(line(decl, &sampler.mutate(&text)));
        }
    }
    lines
}

/// Lines of `corners.txt` that are about a unit's types.
fn corners(unit: &Unit) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("tests/matrix/corners.txt")).unwrap();
    let known = |line: &&str| {
        let mut words = line.split(' ');
        let (name, ty) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        name == unit.name && unit.types().iter().any(|d| d.raw_name() == ty)
    };
    text.lines().filter(known).map(str::to_owned).collect()
}

/// All pairs of languages on a unit's documents.
fn run(unit: &Unit, langs: &[Language], verdicts: &mut Verdicts) {
    let lines = lines(unit, &corners(unit));
    println!(
        "\n{}: {} types; {} documents, {} wrong ones, {} changed ones",
        unit.idl,
        unit.types().len(),
        lines.good.len(),
        lines.wrong.len(),
        lines.changed.len()
    );
    verdicts.begin(langs);
    // What each wrote, as lines for the others; what it refused is in the judgement already.
    let written: Vec<Vec<String>> = langs.iter().map(|l| verdicts.writes(l, &lines.good)).collect();
    for (writer, written) in langs.iter().zip(&written) {
        for reader in langs {
            verdicts.reads(writer, reader, written, &lines.good);
        }
    }
    verdicts.table(langs);
    let referee: Vec<_> = langs[0].ask(&lines.changed);
    for lang in langs {
        verdicts.refuses(lang, &lines.wrong);
        verdicts.agrees(lang, &lines.changed, &referee);
    }
}

#[test]
fn every_language_reads_what_every_other_writes() {
    let contract = contract();
    let mut verdicts = Verdicts::default();
    for (i, libxl) in libxls().iter().enumerate() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("matrix-{i}"));
        let langs = languages(&folder, &contract.model, &libxl.model);
        if i == 0 {
            run(&contract, &langs, &mut verdicts);
        }
        run(libxl, &langs, &mut verdicts);
    }
    println!();
    verdicts.finish();
}
