//! `xenidl check`: the files compile, every back end can make something of them, and with `--against` nothing broke.

use crate::args::{Check, Format};
use crate::failure::{Failure, Outcome};
use crate::{found, git, unit};
use serde_json::json;
use std::path::Path;
use xenidl::evolve::{Change, Report, Surface, compare};
use xenidl::{Source, compile_undocumented};

/// Exit code of breaking changes.
const BREAKING: u8 = 4;

/// Counts the types, when nothing is wrong; tells what changed.
pub(crate) fn run(args: &Check, format: Format) -> Result<Outcome, Failure> {
    let surfaces = surfaces(&args.surface)?;
    let sources = unit::read(&args.files)?;
    let model = unit::checked(&sources)?;
    let types = model.decls.len();
    if args.against.is_empty() {
        return Ok(Outcome::fine(match format {
            Format::Text => format!("{types} types, no errors\n"),
            Format::Json => found::json(&json!({ "types": types, "diagnostics": [] })),
            Format::Github => String::new(),
        }));
    }
    let old = before(args)?;
    let before = compile_undocumented(&old).map_err(|d| unit::errors(&d, &old))?;
    let report = compare(&before, &model);
    let text = match format {
        Format::Text => report.text(&surfaces, args.brief),
        Format::Json => json(&report, &surfaces, &sources),
        Format::Github => github(&report, &surfaces, &sources),
    };
    Ok(Outcome { text, code: if report.breaking(&surfaces) > 0 { BREAKING } else { 0 } })
}

fn surfaces(names: &[String]) -> Result<Vec<Surface>, Failure> {
    if names.is_empty() {
        return Ok(Surface::ALL.to_vec());
    }
    let mut found = Vec::new();
    for name in names {
        match name.as_str() {
            "json" => found.extend([Surface::JsonRead, Surface::JsonWrite]),
            "source" => found.extend(Surface::LANGUAGES),
            _ => match Surface::ALL.iter().find(|s| s.name() == name) {
                Some(s) => found.push(*s),
                None => {
                    let known: Vec<&str> = Surface::ALL.iter().map(|s| s.name()).collect();
                    return Err(Failure::Usage(format!(
                        "nothing that can break is called `{name}`; there is: json, source, {}",
                        known.join(", ")
                    )));
                }
            },
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The sources to compare with.
fn before(args: &Check) -> Result<Vec<Source>, Failure> {
    if let [rev] = args.against.as_slice()
        && !Path::new(rev).exists()
    {
        let mut old = args.files.prelude.iter().map(|p| unit::read_one(p)).collect::<Result<Vec<_>, _>>()?;
        old.extend(git::at(rev, &args.files.files)?);
        return Ok(old);
    }
    let mut sources = args.files.prelude.iter().map(|p| unit::read_one(p)).collect::<Result<Vec<_>, _>>()?;
    for path in &args.against {
        if Path::new(path).is_dir() {
            for file in unit::folder(Path::new(path))? {
                sources.push(unit::read_one(&file)?);
            }
        } else {
            sources.push(unit::read_one(path)?);
        }
    }
    Ok(sources)
}

fn json(report: &Report, surfaces: &[Surface], sources: &[Source]) -> String {
    let changes: Vec<serde_json::Value> = report
        .changes
        .iter()
        .map(|c| {
            let breaks: Vec<serde_json::Value> = c
                .breaks
                .iter()
                .map(|b| json!({ "surfaces": b.surfaces.iter().map(|s| s.name()).collect::<Vec<_>>(), "why": b.why }))
                .collect();
            let place = c.span.and_then(|s| {
                let source = sources.get(s.file)?;
                let (line, column) = source.line_col(s.start);
                Some(json!({ "file": source.name, "line": line, "column": column }))
            });
            json!({
                "type": c.ty,
                "place": c.place,
                "what": c.what,
                "breaking": c.breaks_any(surfaces),
                "breaks": breaks,
                "at": place,
            })
        })
        .collect();
    found::json(&json!({
        "types": report.now,
        "types_before": report.before,
        "breaking": report.breaking(surfaces),
        "changes": changes,
        "diagnostics": [],
    }))
}

/// Breaking changes only: an annotation each.
fn github(report: &Report, surfaces: &[Surface], sources: &[Source]) -> String {
    let breaking = |c: &&Change| c.breaks_any(surfaces);
    let found: Vec<found::Found> = report
        .changes
        .iter()
        .filter(breaking)
        .map(|c| {
            let whys: Vec<String> = c
                .breaks
                .iter()
                .map(|b| {
                    let names: Vec<&str> = b.surfaces.iter().map(|s| s.name()).collect();
                    format!("{}: {}", names.join(", "), b.why)
                })
                .collect();
            let place = if c.place.is_empty() { String::new() } else { format!(" {}", c.place) };
            let message = format!("{}{place}: {}", c.ty, c.what);
            found::Found {
                help: Some(whys.join("\n")),
                ..found::Found::new("error", "breaking", &message, c.span.unwrap_or_default(), sources)
            }
        })
        .collect();
    found::show(&found, Format::Github)
}
