//! A container of the chart as a process of this machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::process::Command;

use super::files::Folder;

/// How a container would be started: arguments and environment as rendered, with paths of mounted files pointing to copies.
///
/// The copies live as long as this value or a clone of it. Debug shows no values of the environment: they hold passwords.
#[derive(Clone)]
pub struct Process {
    /// The container's name: `server`, `gateway`, `operator` or `migrate`.
    pub name: String,
    /// The arguments, the subcommand first.
    pub args: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    pub(super) files: Arc<Folder>,
}

impl Process {
    /// The process with `binary` for the image's entrypoint and nothing of this process's environment.
    pub fn command(&self, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        command.args(&self.args).env_clear().envs(&self.environment).current_dir(self.files.path());
        command
    }

    /// The value of an argument `--flag=value`.
    pub fn argument(&self, flag: &str) -> Option<&str> {
        self.args.iter().find_map(|argument| value_of(argument, flag))
    }

    /// This process with another value of `--flag`, for what differs between the replicas on one machine: their ports.
    #[must_use]
    pub fn with_argument(mut self, flag: &str, value: &str) -> Self {
        self.args.retain(|argument| value_of(argument, flag).is_none());
        self.args.push(format!("{flag}={value}"));
        self
    }
}

fn value_of<'a>(argument: &'a str, flag: &str) -> Option<&'a str> {
    argument.strip_prefix(flag)?.strip_prefix('=')
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("args", &self.args)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}
