//! `xenidl watch`: checks again, or builds again, whenever a file changes. It looks at the files themselves a few times a
//! second: they are small, and that works on every file system.

use crate::args::{Build, Watch};
use crate::failure::{Failure, Outcome};
use crate::unit;
use crate::verb::build;
use std::io::Write as _;
use std::time::Duration;

/// How often the files are looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Goes on until it is ended.
pub(crate) fn run(args: &Watch) -> Result<Outcome, Failure> {
    let target = args.out.clone().map(|out| Build {
        lang: args.lang.clone(),
        template: args.template.clone(),
        out,
        files: args.files.clone(),
    });
    let mut before = None;
    loop {
        // A file that is just being written anew can be missing for a moment: that is a state as well.
        let now: Vec<Option<String>> = args
            .files
            .prelude
            .iter()
            .chain(&args.files.files)
            .map(|f| std::fs::read_to_string(f).ok())
            .collect();
        if before.as_ref() != Some(&now) {
            let done = match &target {
                Some(target) => build::run(target),
                None => check(args),
            };
            let text = done.unwrap_or_else(|failure| failure.to_string());
            let mut stdout = std::io::stdout();
            let said = writeln!(stdout, "{}\n---", text.trim_end()).and_then(|()| stdout.flush());
            if said.is_err() {
                return Ok(Outcome::fine("")); // nobody reads any more
            }
            before = Some(now);
        }
        std::thread::sleep(PAUSE);
    }
}

fn check(args: &Watch) -> Result<String, Failure> {
    let sources = unit::read(&args.files)?;
    Ok(format!("{} types, no errors\n", unit::checked(&sources)?.decls.len()))
}
