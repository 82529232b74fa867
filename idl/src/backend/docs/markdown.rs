//! The page in Markdown (CommonMark, with GitHub's tables).

use super::page::{Inline, Line, Page};
use std::fmt::Write as _;

pub(super) fn text(page: &Page) -> String {
    let mut out = format!("<!-- {} -->\n\n# {}\n", page.header, page.title);
    if !page.paths.is_empty() {
        out.push_str(
            "\n## Paths in xenstore\n\nIn the notation of Xen's `docs/misc/xenstore-paths.pandoc`.\n",
        );
        for path in &page.paths {
            let _ = write!(out, "\n#### {}\n", path.notation);
            paragraphs(&path.paragraphs, &mut out);
        }
    }
    out.push_str("\n## Types\n\n");
    for section in &page.sections {
        let _ = writeln!(
            out,
            "- [{0}](#{0}): {1}",
            section.name,
            section.kind.split(',').next().unwrap_or_default()
        );
    }
    for section in &page.sections {
        let _ = write!(out, "\n### {}\n\n*{}*\n", section.name, section.kind);
        paragraphs(&section.paragraphs, &mut out);
        if let Some(table) = &section.table {
            let _ = write!(out, "\n| {} |\n|{}\n", table.heads.join(" | "), "---|".repeat(table.heads.len()));
            for row in &table.rows {
                let cells: Vec<String> = row.iter().map(|cell| line(cell).replace('|', "\\|")).collect();
                let _ = writeln!(out, "| {} |", cells.join(" | "));
            }
        }
        if !section.used_by.is_empty() {
            let _ = write!(out, "\n{}\n", line(&section.used_by));
        }
    }
    out
}

fn paragraphs(all: &[Line], out: &mut String) {
    for paragraph in all {
        let _ = write!(out, "\n{}\n", line(paragraph));
    }
}

fn line(pieces: &Line) -> String {
    pieces.iter().fold(String::new(), |mut out, piece| {
        match piece {
            Inline::Plain(text) => {
                out.push_str(&text.replace('\\', "\\\\").replace('<', "\\<").replace('*', "\\*"))
            }
            Inline::Code(text) if text.contains('`') => {
                let _ = write!(out, "`` {text} ``");
            }
            Inline::Code(text) => {
                let _ = write!(out, "`{text}`");
            }
            Inline::Link(name) => {
                let _ = write!(out, "[`{name}`](#{name})");
            }
        }
        out
    })
}
