//! Documentation comments: odoc's marks, and what OCaml's lexer looks for even in comments.

/// Columns of a line.
const WIDTH: usize = 110;

/// A comment of paragraphs; `@tag` lines come last.
pub(super) fn comment(paragraphs: &[&str], indent: usize) -> String {
    let width = WIDTH.saturating_sub(indent + 4);
    let mut lines: Vec<String> = Vec::new();
    let mut tags = Vec::new();
    for paragraph in paragraphs.iter().filter(|p| !p.is_empty()) {
        if paragraph.starts_with('@') {
            tags.push(wrap(&escape(paragraph, true), width));
            continue;
        }
        for part in paragraph.split("\n\n") {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.extend(wrap(&escape(&part.replace('\n', " "), false), width));
        }
    }
    lines.extend(tags.into_iter().flatten());
    let Some((first, rest)) = lines.split_first() else { return String::new() };
    let mut out = format!("(** {first}");
    for line in rest {
        out.push('\n');
        if !line.is_empty() {
            out.push_str("    ");
            out.push_str(line);
        }
    }
    out.push_str(" *)");
    out
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Text as odoc has it: `code` becomes `[code]`. Quotes, which OCaml's lexer takes for strings even in comments,
/// become typographic ones.
fn escape(text: &str, tag: bool) -> String {
    let mut out = String::new();
    let mut code = false;
    let plain = text.matches('`').count() % 2 == 1;
    for (i, c) in text.char_indices() {
        match c {
            '`' if !plain => {
                out.push(if code { ']' } else { '[' });
                code = !code;
            }
            '"' => out.push('\u{201d}'),
            '{' | '}' | '[' | ']' => {
                out.push('\\');
                out.push(c);
            }
            '@' if !(tag && i == 0) => out.push_str("\\@"),
            '\\' => out.push_str("\\\\"),
            // Never `(*`, `*)` or `{id|`, which begins a string.
            '*' if out.ends_with('(') => out.push_str(" *"),
            ')' if out.ends_with('*') => out.push_str(" )"),
            '|' => out.push_str(" |"),
            c if (c as u32) < 0x20 => out.push_str(&c.escape_default().to_string()),
            c => out.push(c),
        }
    }
    out
}
