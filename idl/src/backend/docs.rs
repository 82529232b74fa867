//! The back ends of documentation: Markdown, and one HTML page. Every type with its fields, units, limits, defaults, since and
//! deprecated, links both ways; and the paths in xenstore as Xen's docs/misc/xenstore-paths.pandoc writes them.
//!
//! ```text
//! model -> Page (sections, tables, links: what is said) -> markdown | html (how it looks)
//! ```

mod html;
mod markdown;
mod page;
mod paths;

use super::common::package;
use super::{Backend, Files};
use crate::diag::Diagnostics;
use crate::model::Model;

/// The Markdown back end.
#[derive(Clone, Debug, Default)]
pub struct Markdown;

/// The HTML back end.
#[derive(Clone, Debug, Default)]
pub struct Html;

impl Backend for Markdown {
    fn lang(&self) -> &'static str {
        "markdown"
    }

    fn generate(&self, model: &Model) -> Result<Files, Diagnostics> {
        let mut files = Files::default();
        files.push(format!("{}.md", package(model)), markdown::text(&page::page(model)));
        if let Some(text) = paths::pandoc(model) {
            files.push("xenstore-paths.pandoc", text);
        }
        Ok(files)
    }
}

impl Backend for Html {
    fn lang(&self) -> &'static str {
        "html"
    }

    fn generate(&self, model: &Model) -> Result<Files, Diagnostics> {
        let mut files = Files::default();
        files.push(format!("{}.html", package(model)), html::text(&page::page(model)));
        Ok(files)
    }
}
