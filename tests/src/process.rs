//! The product's processes: started with a log file, stopped by pid, never outliving the test.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// The binary under test: `AUTHLY_BIN`, or the one that cargo built beside the tests.
pub fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("AUTHLY_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let folder = test.ancestors().find(|folder| folder.join("authly").is_file());
    Ok(folder.context("target/debug/authly is missing: run `cargo build -p authly` first")?.join("authly"))
}

/// The binary as a command that inherits no `AUTHLY_*` variable of the test itself.
pub fn command() -> anyhow::Result<Command> {
    Ok(without_variables(Command::new(binary()?)))
}

/// Another program that will run the binary, as [`command`].
pub fn under(program: &str) -> Command {
    without_variables(Command::new(program))
}

fn without_variables(mut command: Command) -> Command {
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("AUTHLY_") {
            command.env_remove(variable);
        }
    }
    command
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the product with these arguments; no `AUTHLY_*` variable of the test itself is inherited.
    pub fn authly(
        name: &str,
        folder: &Path,
        args: &[String],
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let mut command = command()?;
        command.args(args);
        command.envs(environment.iter().cloned());
        Self::spawn(name, folder, command)
    }

    /// Starts any command.
    pub fn spawn(name: &str, folder: &Path, mut command: Command) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let copy = file.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(file).stderr(copy).spawn();
        Ok(Self { name: name.to_owned(), child: child.with_context(|| format!("{name} does not start"))?, log })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by name, such as `STOP`, `CONT`, `TERM` or `KILL`.
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status()?;
        if status.success() { Ok(()) } else { bail!("kill -{signal} {} failed", self.name) }
    }

    /// Waits for its end.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{} did not end within {limit:?}:\n{}", self.name, self.output())
    }

    /// Fails with its output once it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.output()),
            None => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Orderly first: dev mode stops the PostgreSQL that it started.
            self.signal("CONT").ok();
            self.signal("TERM").ok();
            for _ in 0..200 {
                if let Ok(Some(_)) = self.child.try_wait() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// A free port on loopback.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Polls until `check` answers something, and fails with its last error after `limit`.
pub async fn eventually<T, F>(what: &str, limit: Duration, mut check: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let start = Instant::now();
    loop {
        match check().await {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > limit => {
                return Err(error.context(format!("{what}: not within {limit:?}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
