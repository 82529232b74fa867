//! What is made of the answers: cells of the table, and the first differences in words.

use crate::languages::{Answer, Language};
use std::collections::BTreeMap;
use xenidl::sample::Wrong;

/// Differences that are shown of each language and kind.
const SHOWN_MAX: usize = 5;

/// What was found so far.
#[derive(Default)]
pub(crate) struct Verdicts {
    /// Of each reader: how many of a writer's documents it gave back in the same bytes, and how many it did not.
    cells: BTreeMap<(String, String), (usize, usize)>,
    problems: Vec<String>,
    /// Problems of a language and a kind.
    counts: BTreeMap<String, usize>,
}

/// The document of a line, as an answer has it.
fn document(line: &str) -> String {
    flat(line, line.splitn(3, ' ').nth(2).unwrap_or(""))
}

/// A document of libxl's types loses the white space that is in no string: its layout is not what is compared here. The
/// contract's bytes are. The line says which it is.
pub(crate) fn flat(line: &str, text: &str) -> String {
    if line.starts_with("contract ") {
        return text.to_owned();
    }
    let (mut out, mut inside, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        inside ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        if inside || c != ' ' {
            out.push(c);
        }
    }
    out
}

/// The line with another document.
fn with(line: &str, document: &str) -> String {
    let head: Vec<&str> = line.splitn(3, ' ').take(2).collect();
    format!("{} {document}", head.join(" "))
}

fn cut(text: &str) -> String {
    let mut out: String = text.chars().take(700).collect();
    if out.len() < text.len() {
        out.push_str(" ..");
    }
    out
}

/// From a little before the first byte in which they differ.
fn around(a: &str, b: &str) -> String {
    let at = a.bytes().zip(b.bytes()).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    let from = at.saturating_sub(40);
    let part = |t: &str| {
        String::from_utf8_lossy(&t.as_bytes()[from.min(t.len())..(at + 60).min(t.len())]).into_owned()
    };
    format!("    from byte {from}: {:?}\n         instead of: {:?}", part(b), part(a))
}

impl Verdicts {
    pub(crate) fn begin(&mut self, langs: &[Language]) {
        self.cells.clear();
        let names: Vec<&str> = langs.iter().map(|l| l.name.as_str()).collect();
        println!("  languages: {}", names.join(", "));
    }

    fn problem(&mut self, lang: &Language, kind: &str, line: &str, said: String) {
        let count = self.counts.entry(format!("{} {kind}", lang.name)).or_default();
        *count += 1;
        if *count <= SHOWN_MAX {
            self.problems.push(format!("  {} {kind}: {}\n{said}", lang.name, cut(line)));
        }
    }

    /// What a language makes of documents: lines for the others to read.
    pub(crate) fn writes(&mut self, lang: &Language, lines: &[String]) -> Vec<String> {
        let answers = lang.ask(lines);
        let mut written = Vec::new();
        for (line, answer) in lines.iter().zip(&answers) {
            match answer {
                Answer::Ok(text) => {
                    let whole = document(line);
                    if *text != whole {
                        self.problem(lang, "writes otherwise", line, around(&whole, text));
                    }
                    written.push(with(line, text));
                }
                Answer::No(why) | Answer::None(why) => {
                    self.problem(lang, "refuses a document", line, format!("    {}", cut(why)));
                    written.push(line.clone());
                }
            }
        }
        written
    }

    /// What one wrote, read and written by another: the bytes that both began with.
    pub(crate) fn reads(&mut self, writer: &Language, reader: &Language, lines: &[String], first: &[String]) {
        let answers = reader.ask(lines);
        let same = |(line, answer): &(&String, &Answer)| **answer == Answer::Ok(document(line));
        let good = first.iter().zip(&answers).filter(same).count();
        self.cells.insert((writer.name.clone(), reader.name.clone()), (good, first.len() - good));
    }

    pub(crate) fn table(&self, langs: &[Language]) {
        let head: String = langs.iter().map(|l| format!("{:>14}", l.name)).collect();
        println!("  {:<22}{head}", "written by \\ read by");
        for writer in langs {
            let mut row = format!("  {:<22}", writer.name);
            for reader in langs {
                let (good, bad) = self.cells[&(writer.name.clone(), reader.name.clone())];
                let cell = if bad == 0 { format!("{good} =") } else { format!("{bad} differ") };
                row.push_str(&format!("{cell:>14}"));
            }
            println!("{row}");
        }
    }

    /// Whether a language refuses what is wrong, and says where.
    pub(crate) fn refuses(&mut self, lang: &Language, lines: &[(String, Wrong)]) {
        let asked: Vec<String> = lines.iter().map(|(line, _)| line.clone()).collect();
        let (mut refused, mut named, mut paths) = (0, 0, 0);
        for ((line, wrong), answer) in lines.iter().zip(lang.ask(&asked)) {
            let Answer::No(message) = &answer else {
                self.problem(
                    lang,
                    "takes what is wrong",
                    line,
                    format!("    {} ({:?})", wrong.what, wrong.path),
                );
                continue;
            };
            refused += 1;
            let Some(path) = wrong.path.as_deref().filter(|p| !p.is_empty()) else { continue };
            paths += 1;
            // What is wrong may be within the value.
            let rest = message.strip_prefix(path).unwrap_or("");
            if rest.starts_with(": ") || rest.starts_with(['.', '[']) {
                named += 1;
            } else {
                let said = format!("    {} is at {path}, and it says: {}", wrong.what, cut(message));
                self.problem(lang, "does not name the path", line, said);
            }
        }
        println!(
            "  {:<12} refuses {refused} of {} wrong ones, and names {named} of {paths} paths",
            lang.name,
            lines.len()
        );
    }

    /// Whether a language judges changed documents as Rust does.
    pub(crate) fn agrees(&mut self, lang: &Language, lines: &[String], referee: &[Answer]) {
        let (mut agrees, mut taken) = (0, 0);
        for ((line, theirs), rusts) in lines.iter().zip(lang.ask(lines)).zip(referee) {
            let said = match (rusts, &theirs) {
                (Answer::Ok(a), Answer::Ok(b)) if a == b => {
                    taken += 1;
                    agrees += 1;
                    continue;
                }
                (Answer::No(_), Answer::No(_)) => {
                    agrees += 1;
                    continue;
                }
                (Answer::Ok(a), Answer::Ok(b)) => around(a, b),
                (Answer::No(why), _) => format!("    Rust refuses it: {}", cut(why)),
                (_, Answer::No(why) | Answer::None(why)) => format!("    Rust takes it; {}", cut(why)),
                (Answer::None(why), _) => format!("    Rust: {why}"),
            };
            self.problem(lang, "judges otherwise", line, said);
        }
        println!("  {:<12} agrees on {agrees} of {} changed ones ({taken} taken)", lang.name, lines.len());
    }

    /// Fails when there was a difference.
    pub(crate) fn finish(&self) {
        for problem in &self.problems {
            println!("{problem}");
        }
        for (what, count) in &self.counts {
            println!("{what}: {count}");
        }
        assert!(self.counts.is_empty(), "languages differ (above)");
    }
}
