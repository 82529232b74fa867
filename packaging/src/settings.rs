//! The commented configuration as a list of keys, so that xensnapd.toml(5) says what the file says.
//!
//! Its form: a block of `# text` lines, then `#key = default` (no space after `#`), then an empty line. A block without a key is text between keys.
//! `# key = value` (with a space) is an example: shown, never a default.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Error;
use crate::man::escape;

/// One block: its text, and its key with the default when it has one.
struct Block {
    text: Vec<String>,
    key: Option<(String, String)>,
}

fn blocks(file: &str) -> Result<Vec<Block>, Error> {
    let mut all = Vec::new();
    let mut text = Vec::new();
    for line in file.lines().chain([""]) {
        if let Some(words) = line.strip_prefix("# ") {
            text.push(words.to_owned());
        } else if let Some((key, value)) = line.strip_prefix('#').and_then(|l| l.split_once(" = ")) {
            let key = Some((key.to_owned(), value.to_owned()));
            all.push(Block { text: std::mem::take(&mut text), key });
        } else if line.is_empty() {
            if !text.is_empty() {
                all.push(Block { text: std::mem::take(&mut text), key: None });
            }
        } else {
            return Err(Error::Settings(format!("neither text, nor a commented key, nor empty: {line}")));
        }
    }
    Ok(all)
}

/// The keys as a list of a man page. The first block is the file's head, which the page says in its own words.
pub(crate) fn as_roff(sources: &Path) -> Result<String, Error> {
    let path = sources.join("xensnapd.toml");
    let file = fs::read_to_string(&path).map_err(Error::file(&path))?;
    let mut out = String::new();
    for block in blocks(&file)?.iter().skip(1) {
        match &block.key {
            Some((key, value)) => {
                let _ = writeln!(out, ".TP\n.BR {} \" = \" {}", escape(key), quote(value));
                for line in &block.text {
                    let _ = writeln!(out, "{}", escape(line));
                }
            }
            None => {
                out.push_str(".PP\n");
                for line in &block.text {
                    example_or_text(&mut out, line);
                }
            }
        }
    }
    Ok(out)
}

/// Lines indented in the comment are shown as they are.
fn example_or_text(out: &mut String, line: &str) {
    let _ = match line.strip_prefix("    ") {
        Some(code) => writeln!(out, ".RS 4\n.nf\n{}\n.fi\n.RE", escape(code)),
        None => writeln!(out, "{}", escape(line)),
    };
}

/// As one argument of a roff request.
fn quote(text: &str) -> String {
    format!("\"{}\"", escape(text).replace('"', "\\(dq"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use xensnapd::config::Config;

    fn shipped() -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("xensnapd.toml")).unwrap()
    }

    #[test]
    fn the_file_as_shipped_changes_nothing() {
        assert_eq!(toml::from_str::<Config>(&shipped()).unwrap(), Config::default());
    }

    #[test]
    fn the_defaults_in_the_comments_are_the_built_in_ones() {
        let keys: Vec<_> = blocks(&shipped()).unwrap().into_iter().filter_map(|b| b.key).collect();
        assert!(keys.len() > 5);
        let active: String = keys.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
        assert_eq!(toml::from_str::<Config>(&active).unwrap(), Config::default(), "{active}");
    }

    #[test]
    fn every_key_is_explained_and_no_other() {
        // The parser lists the keys it knows when it meets another.
        let error = toml::from_str::<Config>("no_such_key = 1").unwrap_err().to_string();
        let known: Vec<_> =
            error.split("expected one of").nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert!(known.len() > 5, "{error}");
        let file = shipped();
        for key in &known {
            let as_key = file.lines().any(|l| l.starts_with(&format!("#{key} = ")));
            let as_example = file.lines().any(|l| {
                l.strip_prefix("# ").is_some_and(|l| {
                    let l = l.trim_start();
                    l.starts_with(&format!("{key} = ")) || l == format!("[[{key}]]")
                })
            });
            assert!(as_key || as_example, "{key} is not in xensnapd.toml");
        }
        for (key, _) in blocks(&file).unwrap().into_iter().filter_map(|b| b.key) {
            assert!(known.contains(&key.as_str()), "{key} is no key of the agent's");
        }
    }
}
