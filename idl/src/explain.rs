//! What a code means, at length: `book/codes.md`, a section for each error and each lint.

use crate::diag::Code;
use crate::lint::Rule;

const TEXT: &str = include_str!("../book/codes.md");

/// What is said of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The code: `E012`.
    pub code: &'static str,
    /// The rule in one sentence.
    pub rule: &'static str,
    /// Why it is there and what to do.
    pub text: &'static str,
    /// IDL that breaks it.
    pub wrong: String,
    /// The same, right.
    pub right: String,
}

impl Explanation {
    /// For people.
    #[must_use]
    pub fn show(&self) -> String {
        let indented = |text: &str| {
            text.lines().map(|l| format!("    {l}\n").replace("    \n", "\n")).collect::<String>()
        };
        format!(
            "{}: {}\n\n{}\n\nWrong:\n\n{}\nRight:\n\n{}",
            self.code,
            self.rule,
            self.text,
            indented(&self.wrong),
            indented(&self.right)
        )
    }
}

/// All codes with their rules, errors first.
pub fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let errors = Code::ALL.iter().map(|c| (c.as_str(), c.rule()));
    errors.chain(Rule::ALL.iter().map(|r| (r.as_str(), r.rule())))
}

/// What a code means; capitals make no difference.
#[must_use]
pub fn explain(code: &str) -> Option<Explanation> {
    let (code, rule) = codes().find(|(c, _)| c.eq_ignore_ascii_case(code))?;
    let (_, section) = TEXT.split_once(&format!("\n## {code}\n"))?;
    let section = section.split("\n## ").next()?;
    let (text, examples) = section.split_once("\nWrong:\n")?;
    let (wrong, right) = examples.split_once("\nRight:\n")?;
    let example = |text: &str| {
        let lines: Vec<&str> =
            text.trim_matches('\n').lines().map(|l| l.strip_prefix("    ").unwrap_or(l)).collect();
        format!("{}\n", lines.join("\n"))
    };
    Some(Explanation { code, rule, text: text.trim(), wrong: example(wrong), right: example(right) })
}
