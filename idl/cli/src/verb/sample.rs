//! `xenidl sample`: random documents of a unit's types.

use crate::args::Sample;
use crate::failure::Failure;
use crate::unit;
use std::fmt::Write as _;
use xenidl::Model;
use xenidl::model::Decl;
use xenidl::sample::{Mode, Sampler};

/// The documents. A type's are those of its own dialect: the contract's, or libxl's without loss.
pub(crate) fn run(args: &Sample) -> Result<String, Failure> {
    let sources = unit::read(&args.files)?;
    let model = unit::model(&sources)?;
    let decls = wanted(&model, &args.types)?;
    let mode = if args.known { Mode::Known } else { Mode::Random };
    let mut sampler = Sampler::new(&model, mode, args.seed);
    let mut out = String::new();
    for _ in 0..args.count {
        for decl in &decls {
            let (text, wrong) = if args.refused {
                let (text, wrong) = sampler.refused(decl);
                (text, Some(wrong))
            } else if args.mutated {
                let text = sampler.document(decl);
                (sampler.mutate(&text), None)
            } else {
                (sampler.document(decl), None)
            };
            let text = text.trim_end();
            if let Some(wrong) = &wrong {
                let place = wrong.path.as_deref().map_or(String::new(), |p| format!("{p}: "));
                let _ = writeln!(out, "# {}: {place}{}", decl.raw_name(), wrong.what.escape_debug());
            }
            if args.lines {
                // A line end is never inside of a string.
                let _ = writeln!(out, "{} {}", decl.raw_name(), text.replace('\n', ""));
            } else {
                let _ = writeln!(out, "{text}");
            }
        }
    }
    Ok(out)
}

fn wanted<'a>(model: &'a Model, names: &[String]) -> Result<Vec<&'a Decl>, Failure> {
    let all: Vec<&Decl> = model.decls.iter().filter(|d| !d.anonymous).collect();
    if names.is_empty() {
        return Ok(all);
    }
    names
        .iter()
        .map(|name| {
            let decl = all.iter().find(|d| d.name == *name || d.raw_name() == name);
            decl.copied().ok_or_else(|| {
                Failure::Usage(format!("no type is called `{name}`; `xenidl dump` lists them"))
            })
        })
        .collect()
}
