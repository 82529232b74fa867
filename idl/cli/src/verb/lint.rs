//! `xenidl lint`: what compiles and could still be better.

use crate::args::{Format, Lint};
use crate::failure::{Failure, Outcome};
use crate::found::{self, Found};
use crate::unit;
use xenidl::lint::{Rule, lint};

/// Shows what was found; exit code 1 when that is anything.
pub(crate) fn run(args: &Lint, format: Format) -> Result<Outcome, Failure> {
    for name in &args.allow {
        if !Rule::ALL.iter().any(|r| r.as_str().eq_ignore_ascii_case(name)) {
            return Err(Failure::Usage(format!("no lint is called `{name}`; `xenidl codes` lists them")));
        }
    }
    let sources = unit::read(&args.files)?;
    let findings = lint(&sources).map_err(|d| unit::errors(&d, &sources))?;
    let found: Vec<Found> = findings
        .iter()
        .filter(|f| !args.allow.iter().any(|a| a.eq_ignore_ascii_case(f.rule.as_str())))
        .map(|f| Found {
            help: Some(f.help.clone()),
            shown: f.show(&sources),
            ..Found::new("warning", f.rule.as_str(), &f.message, f.span, &sources)
        })
        .collect();
    if found.is_empty() && format == Format::Text {
        return Ok(Outcome::fine(""));
    }
    Ok(Outcome { text: found::show(&found, format), code: u8::from(!found.is_empty()) })
}
