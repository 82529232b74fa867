//! Man pages: written by hand in roff, with lines `@WORD ARGUMENT` where something generated goes.
//!
//! | line | becomes |
//! |---|---|
//! | `@title NAME SECTION TEXT` | the `.TH` line, with the version |
//! | `@synopsis PROGRAM` | how it is called |
//! | `@options PROGRAM` | its own options |
//! | `@commands PROGRAM` | each of its commands, with their options |
//! | `@exit-codes` | the command line tool's table |
//! | `@settings` | every key of the configuration ([`crate::settings`]) |

use std::fmt::Write as _;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use crate::{Error, settings};

/// Fills in one page.
pub(crate) fn page(sources: &Path, path: &Path, template: &str) -> Result<String, Error> {
    let unknown = |word: &str| Error::Word { page: path.to_owned(), word: word.to_owned() };
    let program = |name: &str| match name {
        "xensnap" => Ok(xensnap_cli::command()),
        "xensnapd" => Ok(xensnapd::flags::command()),
        _ => Err(unknown(name)),
    };
    let mut out = String::new();
    for line in template.lines() {
        let Some(asked) = line.strip_prefix('@') else {
            let _ = writeln!(out, "{line}");
            continue;
        };
        let (word, rest) = asked.split_once(' ').unwrap_or((asked, ""));
        let made = match word {
            "title" => title(rest),
            "synopsis" => section(program(rest)?, Man::render_synopsis_section),
            "options" => section(program(rest)?, Man::render_options_section),
            "commands" => commands(&program(rest)?, rest),
            "exit-codes" => exit_codes(),
            "settings" => settings::as_roff(sources)?,
            _ => return Err(unknown(word)),
        };
        let _ = writeln!(out, "{}", made.trim_end());
    }
    Ok(out)
}

fn title(rest: &str) -> String {
    let mut words = rest.splitn(3, ' ');
    let (name, section) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let text = words.next().unwrap_or_default();
    // No date: two builds of one source are the same. Aq is what clap_mangen writes for an apostrophe.
    format!(
        ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH {} {section} \"\" \"xensnap {}\" \"{text}\"",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    )
}

/// One section as clap_mangen makes it, without its heading.
fn section(command: Command, render: fn(&Man, &mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut raw = Vec::new();
    // Into memory: it cannot fail.
    let _ = render(&Man::new(command), &mut raw);
    let text = String::from_utf8_lossy(&raw);
    text.lines().filter(|l| !l.starts_with(".SH") && !l.starts_with(".ie ") && !l.starts_with(".el ")).fold(
        String::new(),
        |mut all, line| {
            let _ = writeln!(all, "{line}");
            all
        },
    )
}

/// Every command that is not hidden, depth first.
fn commands(command: &Command, name: &str) -> String {
    let mut out = String::new();
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set()) {
        let full = format!("{name} {}", sub.get_name());
        if sub.has_subcommands() {
            out.push_str(&commands(sub, &full));
            continue;
        }
        let _ = writeln!(out, ".SS {}", escape(&full));
        let named = sub.clone().disable_help_flag(true).bin_name(full);
        out.push_str(&section(named.clone(), Man::render_synopsis_section));
        let _ =
            writeln!(out, ".PP\n{}.", escape(&sub.get_about().map(ToString::to_string).unwrap_or_default()));
        let others: Vec<_> = sub.get_visible_aliases().collect();
        if !others.is_empty() {
            let _ = writeln!(out, "Also called {}.", escape(&others.join(", ")));
        }
        out.push_str(&section(named, Man::render_options_section));
    }
    out
}

fn exit_codes() -> String {
    let mut out = String::new();
    for line in xensnap_cli::exit_codes().lines().skip(1) {
        let mut words = line.split_whitespace();
        let (code, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let meaning: Vec<_> = words.collect();
        let _ = writeln!(out, ".TP\n.B {code} {}\n{}", escape(name), escape(&meaning.join(" ")));
    }
    out
}

/// Text as roff: nothing in it is a request or an escape, and `-` is the character of command lines.
pub(crate) fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.chars().next() {
        Some('.' | '\'') => format!("\\&{text}"),
        _ => text,
    }
}
