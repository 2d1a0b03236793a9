//! `authly crds`: prints the CustomResourceDefinitions.

use std::io::{ErrorKind, Write};

use anyhow::anyhow;

/// Runs the command.
pub(crate) fn run() -> anyhow::Result<()> {
    let files = authly_crds::all_yaml().map_err(|error| anyhow!("{error}"))?;
    let mut out = std::io::stdout().lock();
    for (_, text) in files {
        match write!(out, "---\n{text}{}", if text.ends_with('\n') { "" } else { "\n" }) {
            // A reader that stops early, such as `head`, is no error.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}
