//! Makes the Rust of libxl's types that the target `libxl` decodes: the IDL that has every construct.

use std::path::Path;
use xenidl::{Backend, Source, backend::rust::Rust, compile};

fn main() {
    let idl = Path::new("../tests/ui/libxl_everything.idl");
    println!("cargo:rerun-if-changed={}", idl.display());
    let sources = [Source::new("libxl_everything.idl", std::fs::read_to_string(idl).expect("the IDL"))];
    let files = compile(&sources).and_then(|m| Rust::default().generate(&m)).expect("no errors");
    let out = std::env::var("OUT_DIR").expect("run by cargo");
    for (name, text) in files.iter() {
        std::fs::write(Path::new(&out).join(name), text).expect("a folder to write into");
    }
}
