//! One half of `tests/libxl/bench`: documents through the generated Rust. Compiled by that script.

/// The generated types.
#[allow(missing_docs, dead_code)]
mod libxl {
    include!(env!("XENIDL_GENERATED"));
}

use std::hint::black_box;
use xenidl_runtime::{Dialect, Json};

unsafe extern "C" {
    /// CPU time of this process in microseconds: other processes do not count.
    safe fn clock() -> i64;
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let rounds: u32 = args[1].parse().expect("how many rounds");
    let dialect = Dialect::LibxlYajl;
    for name in &args[2..] {
        let text = std::fs::read(name).expect("a document");
        let start = clock();
        for _ in 0..rounds {
            black_box(libxl::DomainConfig::from_json(black_box(&text), dialect).expect("a domain_config"));
        }
        let decode = (clock() - start) as f64 / f64::from(rounds);
        let config = libxl::DomainConfig::from_json(&text, dialect).expect("a domain_config");
        let start = clock();
        for _ in 0..rounds {
            black_box(black_box(&config).to_json(dialect).expect("text"));
        }
        println!("{decode:.3} {:.3}", (clock() - start) as f64 / f64::from(rounds));
    }
}
