//! `xenidl build`: a back end's files, or what templates make, written.

use crate::args::Build;
use crate::failure::Failure;
use crate::{template, unit};
use std::fmt::Write as _;
use xenidl::{Backend, backend};

/// Writes the files and names them, one a line.
pub(crate) fn run(args: &Build) -> Result<String, Failure> {
    let backend = args.lang.as_deref().map(find).transpose()?;
    let sources = unit::read(&args.files)?;
    let model = unit::model(&sources)?;
    let generated = match (&backend, &args.template) {
        (Some(backend), _) => backend.generate(&model).map_err(|d| unit::errors(&d, &sources))?,
        (None, Some(path)) => template::render(path, &model)?,
        (None, None) => return Err(Failure::Usage("`--lang` or `--template` is needed".into())),
    };
    let mut said = String::new();
    for (name, text) in generated.iter() {
        let path = args.out.join(name);
        unit::write(&path, text)?;
        let _ = writeln!(said, "{}", path.display());
    }
    Ok(said)
}

fn find(lang: &str) -> Result<Box<dyn Backend>, Failure> {
    let mut backends = backend::all();
    match backends.iter().position(|b| b.lang() == lang) {
        Some(at) => Ok(backends.swap_remove(at)),
        None => {
            let langs: Vec<&str> = backends.iter().map(|b| b.lang()).collect();
            Err(Failure::Usage(format!("no back end for `{lang}`; there is: {}", langs.join(", "))))
        }
    }
}
