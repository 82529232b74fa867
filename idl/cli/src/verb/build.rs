//! `xenidl build`: a back end's files, written.

use crate::args::Build;
use crate::failure::Failure;
use crate::unit;
use std::fmt::Write as _;
use xenidl::backend;

/// Writes the files and names them, one a line.
pub(crate) fn run(args: &Build) -> Result<String, Failure> {
    let backends = backend::all();
    let Some(backend) = backends.iter().find(|b| b.lang() == args.lang) else {
        let langs: Vec<&str> = backends.iter().map(|b| b.lang()).collect();
        return Err(Failure::Usage(format!(
            "no back end for `{}`; there is: {}",
            args.lang,
            langs.join(", ")
        )));
    };
    let sources = unit::read(&args.files)?;
    let model = unit::model(&sources)?;
    let generated = backend.generate(&model).map_err(|d| unit::errors(&d, &sources))?;
    let mut said = String::new();
    for (name, text) in generated.iter() {
        let path = args.out.join(name);
        unit::write(&path, text)?;
        let _ = writeln!(said, "{}", path.display());
    }
    Ok(said)
}
