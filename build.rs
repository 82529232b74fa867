//! Compiles the contract's IDL to Rust. The compiler does the work.

use std::io::Write;
use std::path::PathBuf;
use std::process::exit;
use xenidl::{Backend, Source, backend::rust::Rust, compile};

fn main() {
    if let Err(message) = run() {
        eprintln!("{message}");
        exit(1);
    }
}

fn run() -> Result<(), String> {
    let schema = PathBuf::from("idl/schema");
    println!("cargo:rerun-if-changed={}", schema.display());
    let mut paths: Vec<PathBuf> = schema
        .read_dir()
        .map_err(|e| format!("{}: {e}", schema.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "idl"))
        .collect();
    paths.sort();
    let mut sources = Vec::new();
    for path in &paths {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        sources.push(Source::new(path.display().to_string(), text));
    }
    let files =
        compile(&sources).and_then(|m| Rust::default().generate(&m)).map_err(|d| d.render(&sources))?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run by cargo")?);
    for (name, text) in files.iter() {
        let written = std::fs::File::create(out.join(name)).and_then(|mut f| f.write_all(text.as_bytes()));
        written.map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}
