//! `schema.lock`: an interface as it was last agreed upon, to compare with.
//!
//! It is IDL itself, in one canonical form: no comments, one field, value or arm a line, the declarations of profile
//! `contract` in order of their names (where order means nothing), those of libxl's files as they stand. So a lock is
//! read by [`compile_undocumented`](crate::compile_undocumented) like any older version, a change of documentation or
//! layout leaves it as it is, and the difference of two locks shows what changed.

use crate::ast::{Call, Expr, ExprKind, File, Stmt};
use crate::diag::{Diagnostics, Source};
use crate::parse::parse;

const HEAD: &str = "\
# The interface as it was last agreed upon. Written by `xenidl lock`: do not edit. A change that breaks something is seen
# by `xenidl check --against` this file; when it is meant, write the lock anew.
";

/// The lock of a unit.
///
/// # Errors
/// What is wrong with the sources.
pub fn lock(sources: &[Source]) -> Result<String, Diagnostics> {
    // A lock of a lock is the lock itself: documentation is not asked for.
    crate::compile_undocumented(sources)?;
    let mut quiet = Diagnostics::default();
    let files: Vec<File> = sources.iter().enumerate().map(|(i, s)| parse(i, s, &mut quiet)).collect();
    let (ours, libxls): (Vec<&File>, Vec<&File>) = files.iter().partition(|f| crate::is_contract(f));
    let mut out = HEAD.to_owned();
    if !ours.is_empty() {
        let mut settings: Vec<String> = ours.iter().flat_map(|f| &f.stmts).filter_map(setting).collect();
        settings.sort();
        settings.dedup();
        let mut types: Vec<&Stmt> =
            ours.iter().flat_map(|f| &f.stmts).filter(|s| s.target.is_some()).collect();
        types.sort_by_key(|s| s.target.as_ref().map(|t| t.name.as_str()));
        out.push('\n');
        settings.iter().for_each(|s| out.push_str(s));
        types.iter().for_each(|s| statement(&named_whole(s), &mut out));
    }
    for (i, file) in libxls.iter().enumerate() {
        if i > 0 {
            out.push_str("\nnamespace(\"\")\nhidden(False)\n");
        }
        out.push('\n');
        file.stmts.iter().for_each(|s| statement(s, &mut out));
    }
    Ok(out)
}

/// The statement with the whole name of its type, which can be written without its namespace.
fn named_whole(stmt: &Stmt) -> Stmt {
    let mut stmt = stmt.clone();
    if let (Some(target), ExprKind::Call(call)) = (&stmt.target, &mut stmt.value.kind)
        && let Some(Expr { kind: ExprKind::Str(name), .. }) = call.args.first_mut()
    {
        name.clone_from(&target.name);
    }
    stmt
}

fn setting(stmt: &Stmt) -> Option<String> {
    let mut out = String::new();
    stmt.target.is_none().then(|| expr(&stmt.value, 0, &mut out))?;
    out.push('\n');
    Some(out)
}

fn statement(stmt: &Stmt, out: &mut String) {
    if let Some(target) = &stmt.target {
        out.push_str(&target.name);
        out.push_str(" = ");
    }
    expr(&stmt.value, 0, out);
    out.push('\n');
}

fn expr(e: &Expr, indent: usize, out: &mut String) {
    match &e.kind {
        ExprKind::Name(n) => out.push_str(n),
        ExprKind::Str(s) => string(s, out),
        ExprKind::Int(i) => out.push_str(&i.to_string()),
        ExprKind::None => out.push_str("None"),
        ExprKind::Bool(b) => out.push_str(if *b { "True" } else { "False" }),
        ExprKind::List(items) => list(items, indent, out),
        ExprKind::Tuple(items) => {
            out.push('(');
            separated(items, out, |e, out| expr(e, indent, out));
            // `(x)` is x.
            out.push_str(if items.len() == 1 { ",)" } else { ")" });
        }
        ExprKind::Dict(items) => {
            let mut items: Vec<_> = items.iter().collect();
            items.sort_by_key(|(key, _)| match &key.kind {
                ExprKind::Str(s) => s.as_str(),
                _ => "",
            });
            out.push('{');
            separated(&items, out, |(key, value), out| {
                expr(key, indent, out);
                out.push_str(": ");
                expr(value, indent, out);
            });
            out.push('}');
        }
        ExprKind::Call(call) => self::call(call, indent, out),
        ExprKind::Error => {}
    }
}

fn separated<T>(items: &[T], out: &mut String, write: impl Fn(&T, &mut String)) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write(item, out);
    }
}

fn list(items: &[Expr], indent: usize, out: &mut String) {
    if items.iter().all(|e| matches!(e.kind, ExprKind::Str(_) | ExprKind::Int(_) | ExprKind::Name(_))) {
        out.push('[');
        separated(items, out, |e, out| expr(e, indent, out));
        out.push(']');
        return;
    }
    let inner = indent + 4;
    let margin = " ".repeat(inner);
    out.push_str("[\n");
    for item in items {
        out.push_str(&margin);
        expr(item, inner, out);
        out.push_str(",\n");
    }
    out.push_str(&margin);
    out.push(']');
}

fn call(call: &Call, indent: usize, out: &mut String) {
    out.push_str(&call.func.name);
    out.push('(');
    separated(&call.args, out, |e, out| expr(e, indent, out));
    let mut named: Vec<_> = call.kwargs.iter().collect();
    named.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    for (i, (name, value)) in named.into_iter().enumerate() {
        if i > 0 || !call.args.is_empty() {
            out.push_str(", ");
        }
        out.push_str(&name.name);
        out.push('=');
        expr(value, indent, out);
    }
    out.push(')');
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() && (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}
