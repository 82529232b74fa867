//! The command line tool `xensnap`: see the library.

fn main() -> std::process::ExitCode {
    xensnap_cli::main()
}
