//! `xenidl lsp`: the language server on stdin and stdout.

use crate::failure::{Failure, Outcome};

/// Talks with the editor until it leaves. Exit code 1 when it left without a word, as the protocol has it.
pub(crate) fn run() -> Result<Outcome, Failure> {
    let told = crate::lsp::serve(std::io::stdin().lock(), std::io::stdout().lock());
    let told = told.map_err(|source| Failure::Read { path: "stdin".into(), source })?;
    Ok(Outcome { text: String::new(), code: u8::from(!told) })
}
