//! The template back end: a user's own, without Rust. Templates (minijinja, the language of Jinja2) see the model as data.
//!
//! ```text
//! model -> context (data: documented in templates/README.md) -> each *.j2 of a folder -> its file, or one for each type
//! ```
//! A template that is named `_..` is for others to include. `__package__`, `__type__`, `__struct__`, `__enum__` in a name stand
//! for a name; but for the first, the template is rendered once for each. What does not end in `.j2` is taken as it is.

mod context;

use crate::failure::Failure;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use std::path::{Path, PathBuf};
use xenidl::{Files, Model};

/// What a template's name may stand for, and which types those are.
const PER_TYPE: [(&str, &str); 3] = [("__type__", ""), ("__struct__", "struct"), ("__enum__", "enum")];

/// A file of the user's.
struct Source {
    /// Its path below the folder.
    name: String,
    text: String,
}

/// Renders a template, or a folder of them.
pub(crate) fn render(path: &Path, model: &Model) -> Result<Files, Failure> {
    let sources = read(path)?;
    let env = environment(&sources)?;
    let unit = context::unit(model);
    let mut files = Files::default();
    for source in &sources {
        let file = Path::new(&source.name).file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some(out) = source.name.strip_suffix(".j2") else {
            files.push(source.name.clone(), source.text.clone());
            continue;
        };
        if file.starts_with('_') && !file.starts_with("__") {
            continue;
        }
        let out = out.replace("__package__", &unit.package);
        let one = |context: Value| {
            let template = env.get_template(&source.name).map_err(|e| failure(&e))?;
            template.render(context).map_err(|e| failure(&e))
        };
        match PER_TYPE.iter().find(|(mark, _)| out.contains(mark)) {
            None => files.push(out, one(Value::from_serialize(&unit.value))?),
            Some((mark, kind)) => {
                for ty in unit.types().filter(|t| kind.is_empty() || context::is_kind(t, kind)) {
                    let name = ty.get("name").and_then(serde_json::Value::as_str).unwrap_or_default();
                    let context = context! { type => ty, ..Value::from_serialize(&unit.value) };
                    files.push(out.replace(mark, name), one(context)?);
                }
            }
        }
    }
    Ok(files)
}

fn environment(sources: &[Source]) -> Result<Environment<'_>, Failure> {
    let mut env = Environment::new();
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_keep_trailing_newline(true);
    // A mistyped name is an error, not nothing.
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|name| {
        let html =
            [".html", ".htm", ".xml", ".svg"].iter().any(|e| name.trim_end_matches(".j2").ends_with(e));
        if html { AutoEscape::Html } else { AutoEscape::None }
    });
    env.add_filter("camel", |name: String| xenidl::backend::common::camel(&name));
    env.add_filter("quote", |text: String| serde_json::Value::String(text).to_string());
    env.add_filter("prefix", |text: String, prefix: String| -> String {
        let lines = text.lines().map(|line| format!("{prefix}{line}").trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    });
    for source in sources.iter().filter(|s| s.name.ends_with(".j2")) {
        env.add_template(&source.name, &source.text).map_err(|e| failure(&e))?;
    }
    Ok(env)
}

/// Where in which template, and why.
fn failure(error: &minijinja::Error) -> Failure {
    let place = match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!("{name}:{line}: "),
        (Some(name), None) => format!("{name}: "),
        _ => String::new(),
    };
    let why = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
    Failure::Template(format!("{place}{why}"))
}

/// The files of a folder and the folders in it, or the one file.
fn read(path: &Path) -> Result<Vec<Source>, Failure> {
    let fail = |path: &Path, source| Failure::Read { path: path.display().to_string(), source };
    let mut files = Vec::new();
    if path.is_dir() {
        let mut todo = vec![path.to_owned()];
        while let Some(folder) = todo.pop() {
            for entry in folder.read_dir().map_err(|e| fail(&folder, e))? {
                let found: PathBuf = entry.map_err(|e| fail(&folder, e))?.path();
                if found.is_dir() { todo.push(found) } else { files.push(found) }
            }
        }
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let below = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).map_err(|e| fail(&file, e))?;
            let name = file.strip_prefix(below).unwrap_or(&file).display().to_string();
            Ok(Source { name, text })
        })
        .collect()
}
