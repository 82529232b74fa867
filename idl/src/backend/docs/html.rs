//! The page in HTML: one file, without scripts and without anything from elsewhere.

use super::page::{Inline, Line, Page};
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

pub(super) fn text(page: &Page) -> String {
    let title = escape(&page.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<!-- {} -->\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<nav>\n<ul>\n",
        page.header
    );
    for section in &page.sections {
        let _ = writeln!(out, "<li><a href=\"#{0}\">{0}</a></li>", escape(&section.name));
    }
    let _ = write!(out, "</ul>\n</nav>\n<main>\n<h1>{title}</h1>\n");
    if !page.paths.is_empty() {
        out.push_str("<h2>Paths in xenstore</h2>\n<p>In the notation of Xen's <code>docs/misc/xenstore-paths.pandoc</code>.</p>\n");
        for path in &page.paths {
            let _ = writeln!(out, "<h4><code>{}</code></h4>", escape(&path.notation));
            paragraphs(&path.paragraphs, &mut out);
        }
    }
    out.push_str("<h2>Types</h2>\n");
    for section in &page.sections {
        let name = escape(&section.name);
        let _ = writeln!(
            out,
            "<section id=\"{name}\">\n<h3>{name}</h3>\n<p class=\"kind\">{}</p>",
            escape(&section.kind)
        );
        paragraphs(&section.paragraphs, &mut out);
        if let Some(table) = &section.table {
            let heads: String = table.heads.iter().map(|h| format!("<th>{h}</th>")).collect();
            let _ = writeln!(out, "<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>");
            for row in &table.rows {
                let cells: String = row.iter().map(|cell| format!("<td>{}</td>", line(cell))).collect();
                let _ = writeln!(out, "<tr>{cells}</tr>");
            }
            out.push_str("</tbody>\n</table>\n");
        }
        if !section.used_by.is_empty() {
            let _ = writeln!(out, "<p class=\"used\">{}</p>", line(&section.used_by));
        }
        out.push_str("</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn paragraphs(all: &[Line], out: &mut String) {
    for paragraph in all {
        let _ = writeln!(out, "<p>{}</p>", line(paragraph));
    }
}

fn line(pieces: &Line) -> String {
    pieces.iter().fold(String::new(), |mut out, piece| {
        let _ = match piece {
            Inline::Plain(text) => write!(out, "{}", escape(text)),
            Inline::Code(text) => write!(out, "<code>{}</code>", escape(text)),
            Inline::Link(name) => write!(out, "<a href=\"#{0}\"><code>{0}</code></a>", escape(name)),
        };
        out
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
