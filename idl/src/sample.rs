//! Random values of a model's types, made from the model alone: no back end has a hand in it.
//!
//! ```text
//! model, seed -> Sampler ─ document(type) -> the bytes that every language must write for this value
//!                        └ refused(type)  -> a document with one thing wrong, with its place and what it is
//! ```
//! A value of the contract's types is written as the contract says (compact, canonical), one of libxl's types in the
//! dialect that loses nothing (`Lossless` of `xenidl-runtime`): whoever reads the text and writes it again must give the
//! same bytes. Limits, patterns and boundaries are respected, and looked for. The same seed gives the same documents.
//!
//! A wrong document is made as a right one is, but at one of its places something else is put: a first pass counts the
//! places where that can be done, a second one does it. So what is wrong is known, and so is the path that an error names.

mod contract;
mod libxl;
mod mutate;
mod node;
mod text;
mod wrong;

pub use node::Node;

use crate::model::{Decl, DeclKind, Enum, Model, Struct, Unknown};
use std::fmt::Write as _;

/// How documents are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// At random; open types sometimes with what no version knows yet.
    Random,
    /// At random, but nothing unknown.
    Known,
    /// The contract's: the longest there is, where a type has an end.
    Longest,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The path that an error names: `disks[1].format`; empty for the whole document. `None`: the text is no JSON.
    pub path: Option<String>,
    /// In words.
    pub what: String,
}

/// Makes documents from a seed.
#[derive(Clone, Debug)]
pub struct Sampler<'a> {
    model: &'a Model,
    mode: Mode,
    state: u64,
    path: Vec<Step>,
    sites: Sites,
}

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// Places where something wrong can be put.
#[derive(Clone, Debug, Default)]
struct Sites {
    /// How many there were so far.
    count: usize,
    /// The one to use.
    target: Option<usize>,
    wrong: Option<Wrong>,
}

impl<'a> Sampler<'a> {
    /// Documents of this model's types.
    #[must_use]
    pub fn new(model: &'a Model, mode: Mode, seed: u64) -> Self {
        Self { model, mode, state: seed, path: Vec::new(), sites: Sites::default() }
    }

    /// A document of a named type: the bytes that every language writes for its value.
    #[must_use]
    pub fn document(&mut self, decl: &Decl) -> String {
        self.sites = Sites::default();
        print(decl, &self.node(decl))
    }

    /// The value of a named type.
    #[must_use]
    pub fn node(&mut self, decl: &Decl) -> Node {
        if is_libxls(decl) { self.libxl_named(decl) } else { self.contract_named(decl) }
    }

    /// A document of a named type that every language refuses, and why.
    #[must_use]
    pub fn refused(&mut self, decl: &Decl) -> (String, Wrong) {
        if self.below(6) == 0 {
            let text = self.document(decl);
            return self.malformed(&text);
        }
        let seed = self.random();
        let mut first = Sampler { state: seed, ..Sampler::new(self.model, self.mode, 0) };
        let _ = first.node(decl);
        let target = self.below(first.sites.count);
        let mut second = Sampler { state: seed, ..Sampler::new(self.model, self.mode, 0) };
        second.sites.target = Some(target);
        let node = second.node(decl);
        match second.sites.wrong.take() {
            Some(wrong) => (print(decl, &node), wrong),
            // Nothing can be wrong in an empty open struct but the text.
            None => {
                let text = print(decl, &node);
                self.malformed(&text)
            }
        }
    }

    /// A number below `n`; 0 when that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.random().checked_rem(n as u64).unwrap_or(0)).unwrap_or(0)
    }

    /// splitmix64
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.mode != Mode::Longest && self.below(n) == 0
    }

    /// Whether something that no version knows goes here.
    fn unknown(&mut self) -> bool {
        self.mode == Mode::Random && self.below(8) == 0
    }

    fn pick<'t, T>(&mut self, of: &'t [T]) -> Option<&'t T> {
        let at = self.below(of.len());
        of.get(at)
    }

    /// Within the value of a key.
    fn within<T>(&mut self, key: &str, then: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Step::Key(key.to_owned()));
        let made = then(self);
        self.path.pop();
        made
    }

    fn within_index<T>(&mut self, index: usize, then: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Step::Index(index));
        let made = then(self);
        self.path.pop();
        made
    }

    fn path_text(&self) -> String {
        let mut out = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if out.is_empty() => out.push_str(key),
                Step::Key(key) => {
                    let _ = write!(out, ".{key}");
                }
                Step::Index(i) => {
                    let _ = write!(out, "[{i}]");
                }
            }
        }
        out
    }

    /// A place where something can be wrong: whether it is this one's turn.
    fn goes_wrong(&mut self) -> bool {
        let at = self.sites.count;
        self.sites.count += 1;
        self.sites.target == Some(at)
    }

    fn note(&mut self, what: impl Into<String>) {
        let path = Some(self.path_text());
        self.sites.wrong = Some(Wrong { path, what: what.into() });
    }
}

fn print(decl: &Decl, node: &Node) -> String {
    if is_libxls(decl) { node.lossless() } else { node.contract() }
}

/// Whether a type is C's: its JSON is libxl's.
fn is_libxls(decl: &Decl) -> bool {
    match &decl.kind {
        DeclKind::Struct(Struct { unknown, .. }) | DeclKind::Enum(Enum { unknown, .. }) => {
            *unknown == Unknown::Ignored
        }
        DeclKind::Text(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    fn models() -> Vec<Model> {
        ["tests/ui/everything.idl", "tests/ui/libxl_everything.idl"]
            .into_iter()
            .map(|name| {
                let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
                crate::compile(&[Source::new(name, std::fs::read_to_string(path).unwrap())]).unwrap()
            })
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_documents_and_another_one_others() {
        for model in models() {
            let all = |seed| {
                let mut sampler = Sampler::new(&model, Mode::Random, seed);
                model.decls.iter().map(|d| (sampler.document(d), sampler.refused(d))).collect::<Vec<_>>()
            };
            assert_eq!(all(7), all(7));
            assert_ne!(all(7), all(8));
        }
    }

    /// Each document is JSON by the judgement of somebody else; a wrong one is too, unless it says that it is not.
    #[test]
    fn documents_are_json_and_malformed_ones_are_not() {
        let mut malformed = 0;
        for model in models() {
            let mut sampler = Sampler::new(&model, Mode::Random, 1);
            for _ in 0..300 {
                for decl in &model.decls {
                    let text = sampler.document(decl);
                    let good = serde_json::from_str::<&serde_json::value::RawValue>(text.trim_end());
                    assert!(good.is_ok(), "{}: {text}", decl.name);
                    let (text, wrong) = sampler.refused(decl);
                    if wrong.path.is_some() {
                        assert!(
                            serde_json::from_str::<serde_json::Value>(&text).is_ok(),
                            "{wrong:?}: {text}"
                        );
                    } else {
                        malformed += 1;
                        assert!(
                            serde_json::from_str::<serde_json::Value>(&text).is_err(),
                            "{wrong:?}: {text}"
                        );
                    }
                }
            }
        }
        assert!(malformed > 500, "{malformed}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let model = &models()[0];
        let mut sampler = Sampler::new(model, Mode::Known, 3);
        let strict = model.find("strict").unwrap();
        let said: std::collections::BTreeSet<_> =
            (0..3000).filter_map(|_| sampler.refused(strict).1.path).collect();
        for path in
            ["", "flag", "mid", "list", "list[0]", "what.small", "what.small.mode", "what.type", "raw"]
        {
            assert!(said.contains(path), "{path}: {said:?}");
        }
    }
}
