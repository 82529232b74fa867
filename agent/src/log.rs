//! The agent's log: lines on standard error, which systemd stamps and keeps.

use std::io::Write;

/// Writes one line. A log that cannot be written is no reason to stop.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "xensnapd: {text}");
}

/// Writes an error with all its causes in one line.
pub fn error(what: &str, error: &dyn std::error::Error) {
    let mut text = format!("{what}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    line(&text);
}
