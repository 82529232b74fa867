//! The harness of Rust for `tests/matrix`, whose README says what it is asked and how it answers.

/// The generated types of libxl.
#[allow(missing_docs, dead_code)]
mod libxl {
    include!(env!("XENIDL_GENERATED"));
}

use std::io::{BufRead, Write};
use xenidl_runtime::Dialect;

fn answer(line: &str) -> Result<String, String> {
    let mut words = line.splitn(3, ' ');
    let (unit, ty, text) = (words.next(), words.next(), words.next().unwrap_or(""));
    match (unit, ty) {
        (Some("contract"), Some(ty)) => {
            let info = xensnap::contract::TYPES.iter().find(|t| t.name == ty).ok_or("unknown type")?;
            info.recode(text).map_err(|e| e.to_string())
        }
        (Some("libxl"), Some(ty)) => {
            let named = |t: &&xenidl_runtime::TypeInfo| {
                // Names in the table are whole: `libxl_disk`, and `xl_other` of another namespace.
                t.name == ty || t.name.split_once('_').is_some_and(|(_, raw)| raw == ty)
            };
            let info = libxl::TYPES.iter().find(named).ok_or("unknown type")?;
            (info.convert)(text.as_bytes(), Dialect::Lossless, Dialect::Lossless)
                .map(|t| t.replace('\n', ""))
                .map_err(|e| e.to_string())
        }
        _ => Err("unknown type".into()),
    }
}

fn main() {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line of UTF-8");
        let said = match answer(&line) {
            Ok(text) => writeln!(out, "ok {text}"),
            Err(e) => writeln!(out, "no {}", e.replace('\n', " ")),
        };
        said.expect("somebody who reads");
    }
}
