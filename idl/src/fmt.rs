//! The one layout of IDL files: `xenidl fmt`.
//!
//! ```text
//! text -> tokens (lex) + what lies between them (comments, line breaks) -> tree of brackets -> print
//! ```
//! - A list whose brackets or items the author put on several lines stays so: items begin 4 columns further in, the closing
//!   bracket stands below them, a comma ends the last one. Items that share a line go on sharing it, because in profile
//!   `contract` the comment above a line documents what is on it. A list on one line stays on it.
//! - Everything else is filled up to [`WIDTH`] columns and goes on 4 columns further in.
//! - Strings in double quotes where that needs no escape, one space after a comma, none around the `=` of an argument,
//!   two before a comment that follows something; at most one blank line.
//!
//! Neither the model nor a comment changes, and formatting twice is formatting once. A statement with a comment in a place
//! where none can stand well (between a name and its `=`) is left as it is.

mod print;
mod tree;

use crate::diag::{Diagnostics, Source};
use crate::lex::lex;
use crate::parse::parse;

/// Columns that a line is filled up to.
pub const WIDTH: usize = 110;

/// The text in its one layout.
///
/// # Errors
/// What is wrong with the form of the text; its meaning is not looked at.
pub fn format(source: &Source) -> Result<String, Diagnostics> {
    let mut diags = Diagnostics::default();
    let file = parse(0, source, &mut diags);
    diags.finish()?;
    let contract = crate::is_contract(&file);
    // Its form is right, so that lexing it again has nothing to say.
    let (tokens, _) = lex(0, source, &mut Diagnostics::default());
    Ok(print::print(&tree::Tree::new(&source.text, &tokens), contract))
}
