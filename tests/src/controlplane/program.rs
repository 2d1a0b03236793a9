//! A child process that cannot outlive its parent.
//!
//! A shell stands between: it reads from a pipe whose other end only this process holds, and kills the program once
//! that end is closed, which the operating system does however this process ends, kill -9 included.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

/// Kill, not terminate: nothing in a test's control plane is worth an orderly end.
const WATCHDOG: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
{ read -r _ <&3; kill -KILL "$program"; } 2>/dev/null &
reader=$!
exec 3<&-
wait "$program"
status=$?
kill "$reader" 2>/dev/null
exit "$status"
"#;

/// How much of a failed program's log an error shows.
const LOG_LINES: usize = 15;

/// A running program; killed when dropped.
pub(super) struct Program {
    name: &'static str,
    watchdog: Child,
    log: PathBuf,
    path: PathBuf,
    args: Vec<String>,
}

/// The program ended by itself.
#[derive(Debug)]
struct Ended {
    name: &'static str,
    status: std::process::ExitStatus,
    log: String,
}

impl Program {
    /// Runs `path` with `args`; what it writes goes to `name.log` in `dir`.
    pub(super) fn spawn(name: &'static str, path: &Path, args: &[String], dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(path)
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A terminal's Ctrl-C goes to the test process, whose end is enough.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        Ok(Self { name, watchdog, log, path: path.to_owned(), args: args.to_vec() })
    }

    /// Fails, with the end of its log, once the program has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.watchdog.try_wait()? {
            Some(status) => bail!(Ended { name: self.name, status, log: self.log_end() }),
            None => Ok(()),
        }
    }

    /// Its name.
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Kills it, and runs it again with the same arguments.
    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        let folder = self.log.parent().context("the log is in a folder")?.to_owned();
        drop(self.watchdog.stdin.take());
        self.watchdog.wait()?;
        *self = Self::spawn(self.name, &self.path, &self.args, &folder)?;
        Ok(())
    }

    /// The value of one of its arguments, `--name=value`.
    pub(super) fn argument(&self, name: &str) -> Option<&str> {
        self.args.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
    }

    /// The last lines of the log.
    pub(super) fn log_end(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        self.watchdog.wait().ok();
    }
}

/// Whether a start failed because another process took the port first.
pub(super) fn lost_its_port(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Ended>().is_some_and(|ended| ended.log.contains("address already in use"))
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ended ({}); the end of its log:\n{}", self.name, self.status, self.log)
    }
}

impl std::error::Error for Ended {}
