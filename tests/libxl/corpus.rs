//! The driver of `tests/libxl/corpus`: its head says what it does. Compiled by that script with the generated types.

/// The generated types.
#[allow(missing_docs, dead_code)]
mod libxl {
    include!(env!("XENIDL_GENERATED"));
}

use std::collections::BTreeMap;
use std::io::BufRead;
use xenidl_runtime::{Dialect, Kind, Reader};

/// What a corpus tells of one document.
#[derive(Default)]
struct Case {
    ty: String,
    input: Vec<u8>,
    /// By the name of the libxl; one without a name in corpora of one libxl.
    libxls: Vec<(String, Did)>,
}

/// What libxl did: a refusal is a negative `rc`, a crash a signal.
#[derive(Default, Clone)]
struct Did {
    rc: String,
    output: Option<String>,
}

/// The rows are JSON; half surrogates in them stand for bytes that are not UTF-8.
fn row(line: &str) -> Option<Case> {
    let mut r = Reader::new(line.as_bytes(), Dialect::LibxlJsonC);
    let (mut case, mut own, mut hex) = (Case::default(), Did::default(), None);
    let mut members = Members::of(&mut r)?;
    while let Some(key) = members.key(&mut r) {
        match key.as_str() {
            "type" => case.ty = text(&mut r)?,
            "input" => case.input = text(&mut r).unwrap_or_default().into_bytes(),
            "input_hex" => hex = text(&mut r),
            "rc" => own.rc = text(&mut r)?,
            "output" => own.output = text(&mut r),
            "kind" => _ = r.skip().ok()?,
            _ => {
                let mut did = Did::default();
                let mut members = Members::of(&mut r)?;
                while let Some(key) = members.key(&mut r) {
                    match key.as_str() {
                        "rc" => did.rc = text(&mut r)?,
                        "output" => did.output = text(&mut r),
                        _ => r.skip().ok()?,
                    }
                }
                case.libxls.push((key, did));
            }
        }
    }
    if let Some(hex) = hex {
        let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
        case.input = digits.chunks(2).map(|d| (d[0] * 16 + d[1]) as u8).collect();
    }
    if case.libxls.is_empty() {
        case.libxls.push((String::new(), own));
    }
    Some(case)
}

fn text(r: &mut Reader<'_>) -> Option<String> {
    match r.kind().ok()? {
        Kind::String => r.string().ok().map(|s| s.into_owned()),
        Kind::Integer => r.integer().ok().map(|i| i.to_string()),
        _ => {
            r.skip().ok()?;
            None
        }
    }
}

/// The members of an object whose keys are anything, through the run time's own list of keys and texts.
struct Members(xenidl_runtime::Members);

impl Members {
    fn of(r: &mut Reader<'_>) -> Option<Self> {
        r.members().ok().flatten().map(Self)
    }

    fn key(&mut self, r: &mut Reader<'_>) -> Option<String> {
        self.0.next(r).ok().flatten()
    }
}

/// Why a difference is meant, when it is one of those in `differences.md`: the number of its row.
fn meant(case: &Case, did: &Did, ours: &Result<String, String>, dialect: Dialect) -> Option<&'static str> {
    let Err(problem) = ours else { return None };
    let says = |part: &str| problem.contains(part);
    if did.rc.starts_with("sig") {
        return Some("1: libxl crashes");
    }
    if did.rc != "0" {
        return None;
    }
    if says("two arms of one union") || says("is no bit; libxl") || says("it has 32 characters; libxl") {
        return Some("1: libxl crashes, or writes beyond its memory");
    }
    if dialect == Dialect::Lossless && says(" is not from 0 to 18446744073709551615") {
        return Some("6: a number that json-c cut to 32 bits");
    }
    if dialect == Dialect::Lossless && says("null where a string or an integer belongs") {
        return Some("6: null for a number without a name");
    }
    if says("not UTF-8") && std::str::from_utf8(&case.input).is_err() {
        return Some("2: bytes that are no text");
    }
    if says("not UTF-8") || says("half of a surrogate pair") {
        return Some("3: half of a surrogate pair");
    }
    None
}

/// Reads a document and writes it again.
type Convert = fn(&[u8], Dialect, Dialect) -> xenidl_runtime::Result<String>;

#[derive(Default)]
struct Count {
    cases: usize,
    equal: usize,
    refused: usize,
    meant: BTreeMap<&'static str, usize>,
    shown: Vec<String>,
    differ: usize,
}

fn shorten(text: &str) -> String {
    let mut out: String = text.chars().take(600).collect();
    if out.len() < text.len() {
        out.push_str(" ..");
    }
    out
}

/// Around the first byte in which two texts differ.
fn around(a: &str, b: &str) -> String {
    let at = a.bytes().zip(b.bytes()).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    let from = at.saturating_sub(60);
    let part = |t: &str| String::from_utf8_lossy(t.as_bytes().get(from..(at + 60).min(t.len())).unwrap_or(&[])).into_owned();
    format!("  from byte {from}: libxl {:?}\n{:>16}ours  {:?}\n", part(a), "", part(b))
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (wanted, show) = (args[1].as_str(), args[2].parse::<usize>().expect("a number"));
    let suffix = wanted.rsplit('-').next().unwrap_or(wanted);
    let Some(dialect) = Dialect::from_name(wanted).or_else(|| Dialect::from_name(suffix)) else {
        eprintln!("no dialect is called {wanted}; it is yajl, jsonc or lossless");
        std::process::exit(2);
    };
    let named = Dialect::from_name(wanted).is_none();
    let mut convert: BTreeMap<&str, Convert> = libxl::TYPES.iter().map(|t| (t.name, t.convert)).collect();
    #[cfg(listing)]
    convert.insert("xl list -l", |text, from, to| {
        use xenidl_runtime::Json as _;
        xenidl_runtime::Listing::<libxl::DomainConfig>::from_json(text, from)?.to_output(to)
    });
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let (mut unread, mut unknown) = (0, BTreeMap::<String, usize>::new());
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line of the corpus");
        if line.trim().is_empty() {
            continue;
        }
        let Some(case) = row(&line) else {
            unread += 1;
            continue;
        };
        let Some(convert) = convert.get(case.ty.as_str()) else {
            *unknown.entry(case.ty).or_default() += 1;
            continue;
        };
        if dialect == Dialect::Lossless {
            for (name, did) in &case.libxls {
                lossless(&case, did, *convert, counts.entry(name.clone()).or_default(), show);
            }
            continue;
        }
        let ours = convert(&case.input, dialect, dialect).map_err(|e| e.to_string());
        for (name, did) in &case.libxls {
            let of_dialect = name.is_empty() || name.ends_with(&format!("-{}", dialect.as_str()));
            if if named { name == wanted || name.is_empty() } else { of_dialect } {
                compare(&case, did, &ours, dialect, counts.entry(name.clone()).or_default(), show);
            }
        }
    }
    report(&counts, unread, &unknown, dialect, show);
}

/// What libxl wrote, read as lossless: written again in libxl's dialect it is the same text, and the lossless text
/// read again gives that too.
fn lossless(case: &Case, did: &Did, convert: Convert, count: &mut Count, show: usize) {
    let Some(output) = did.output.as_ref().filter(|_| did.rc == "0") else { return };
    let of = if output.ends_with('\n') { Dialect::LibxlYajl } else { Dialect::LibxlJsonC };
    let twice = convert(output.as_bytes(), Dialect::Lossless, Dialect::Lossless)
        .and_then(|text| convert(text.as_bytes(), Dialect::Lossless, of));
    let case = Case { ty: case.ty.clone(), input: output.clone().into_bytes(), libxls: Vec::new() };
    compare(&case, did, &twice.map_err(|e| e.to_string()), Dialect::Lossless, count, show);
}

fn compare(
    case: &Case,
    did: &Did,
    ours: &Result<String, String>,
    dialect: Dialect,
    count: &mut Count,
    show: usize,
) {
    count.cases += 1;
    let same = match (ours, did.rc.as_str(), &did.output) {
        (Ok(text), "0", Some(output)) => text == output,
        (Err(_), rc, _) => {
            let refused = rc != "0" && !rc.starts_with("sig");
            count.refused += usize::from(refused);
            refused
        }
        _ => false,
    };
    if same {
        count.equal += 1;
        return;
    }
    if let Some(why) = meant(case, did, ours, dialect) {
        *count.meant.entry(why).or_default() += 1;
        return;
    }
    count.differ += 1;
    if count.shown.len() < show {
        let mut said = format!("{}: {}\n", case.ty, shorten(&String::from_utf8_lossy(&case.input)));
        match (ours, &did.output) {
            (Ok(ours), Some(libxl)) => said += &around(libxl, ours),
            (Ok(ours), None) => said += &format!("  libxl: rc {}\n  ours:  {:?}\n", did.rc, shorten(ours)),
            (Err(e), libxl) => {
                let libxl = libxl.as_deref().unwrap_or("nothing");
                said += &format!("  libxl: rc {} {:?}\n  ours:  {e}\n", did.rc, shorten(libxl));
            }
        }
        count.shown.push(said);
    }
}

fn report(
    counts: &BTreeMap<String, Count>,
    unread: usize,
    unknown: &BTreeMap<String, usize>,
    dialect: Dialect,
    show: usize,
) {
    // Of several libxls, the types file is that of the one that it fits best.
    let best = counts.values().map(|c| c.differ).min();
    let mut failed = counts.is_empty();
    for (name, count) in counts {
        let name = if name.is_empty() { dialect.as_str() } else { name };
        let meant: usize = count.meant.values().sum();
        println!(
            "{name}: {} cases, {} equal ({} refused by both), {meant} differ as listed, {} differ otherwise",
            count.cases, count.equal, count.refused, count.differ
        );
        for (why, n) in &count.meant {
            println!("  {n:>5}  differences.md, {why}");
        }
        if Some(count.differ) == best {
            failed |= count.differ > 0;
            for said in count.shown.iter().take(show) {
                print!("{said}");
            }
        } else {
            println!("  (another libxl of this corpus fits the types file better)");
        }
    }
    if counts.is_empty() {
        println!("no case of dialect {dialect}");
    }
    if unread > 0 {
        println!("{unread} lines could not be read");
        failed = true;
    }
    for (ty, n) in unknown {
        println!("{n} cases of {ty}, which the types file does not have");
        failed = true;
    }
    std::process::exit(i32::from(failed));
}
