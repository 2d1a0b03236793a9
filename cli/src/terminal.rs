//! Lines for people. A terminal that went away is no reason to stop serving, so nothing here fails.

use std::io::Write;

/// Progress and problems, to standard error.
pub(crate) fn progress(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What was asked for, to standard output.
pub(crate) fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
