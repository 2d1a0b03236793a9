//! Initialises, starts and stops the server.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{net::TcpStream, process::Child};

use crate::{Error, account::Account, file_error, install};

/// What to start and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where PostgreSQL is unpacked; shared between servers, made if missing.
    pub installation: PathBuf,
    /// Everything of this server: `data`, `password` (mode 0600), `log`. Made if missing.
    pub folder: PathBuf,
    /// The port on 127.0.0.1; a free one if `None`.
    pub port: Option<u16>,
    /// Further settings, `name=value`.
    pub settings: Vec<String>,
}

/// A running server. Dropping it kills the server, which recovers at the next start; [`Postgres::stop`] is kinder.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    account: Account,
    options: Options,
    port: u16,
    password: String,
}

impl Postgres {
    /// Fetches if needed, initialises if needed, stops an orphan of the same folder, starts, and waits until it accepts connections.
    ///
    /// # Errors
    /// [`Error`], saying what to do.
    pub async fn start(options: Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Self, Error> {
        install::install(&options.installation, progress).await?;
        fs::create_dir_all(&options.folder).map_err(file_error(&options.folder))?;
        let account = Account::for_folder(&options.folder)?;
        account.may_enter(&options.installation.join("bin/postgres"))?;
        let home = options.folder.join("pg");
        if !home.exists() {
            fs::DirBuilder::new().mode(0o700).create(&home).map_err(file_error(&home))?;
        }
        account.own(&home)?;
        let password = password(&options.folder)?;
        if !home.join("data/PG_VERSION").exists() {
            progress("initialising the database cluster");
            initialise(account, &options, &home, &password).await?;
        }
        stop_orphan(account, &options, &home).await?;
        let port = match options.port {
            Some(port) => port,
            None => free_port().map_err(file_error(&home))?,
        };
        progress(&format!("starting PostgreSQL on 127.0.0.1:{port}"));
        let child = spawn(account, &options, &home, port)?;
        let mut this = Self { child, account, options, port, password };
        this.wait_until_ready().await?;
        Ok(this)
    }

    /// The superuser's URL of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the postmaster, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops: open connections are closed, everything committed is on disk.
    ///
    /// # Errors
    /// [`Error::Program`] if `pg_ctl` could not stop it.
    pub async fn stop(self) -> Result<(), Error> {
        self.end("--mode=fast").await
    }

    /// Stops as a crash would: no checkpoint, so that the next start on the folder recovers from the log.
    ///
    /// # Errors
    /// [`Error::Program`] if `pg_ctl` could not stop it.
    pub async fn stop_immediately(self) -> Result<(), Error> {
        self.end("--mode=immediate").await
    }

    /// Leaves the server to a watcher that stops it, and removes its folder, once this process is gone however it ends: for test
    /// programs, whose end nothing can hook into, and which never drop what they share.
    ///
    /// # Errors
    /// [`Error::Program`] if the watcher could not be started; the server is killed then.
    #[allow(clippy::zombie_processes)] // the watcher outlives this process
    pub fn leave_to_watcher(self) -> Result<(), Error> {
        let failed = |output: String| Error::Program { program: "sh", output };
        let pid = self.pid().ok_or_else(|| failed("PostgreSQL has ended already".to_owned()))?;
        let script =
            "while kill -0 $1; do sleep 0.5; done; kill -INT $2; while kill -0 $2; do sleep 0.2; done; rm -rf \"$3\"";
        let mut watcher = std::process::Command::new("sh");
        watcher
            .args(["-c", script, "watcher", &std::process::id().to_string(), &pid.to_string()])
            .arg(&self.options.folder);
        watcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        watcher.spawn().map_err(|error| failed(error.to_string()))?;
        std::mem::forget(self);
        Ok(())
    }

    async fn end(mut self, mode: &str) -> Result<(), Error> {
        let home = self.options.folder.join("pg");
        pg_ctl_stop(self.account, &self.options, &home, mode).await?;
        let _ = self.child.wait().await;
        Ok(())
    }

    async fn wait_until_ready(&mut self) -> Result<(), Error> {
        let log = self.options.folder.join("pg/log");
        for _ in 0..600 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Err(Error::Program { program: "postgres", output: tail(&fs::read(&log).unwrap_or_default()) });
            }
            // The postmaster writes its state as the last line of the pid file.
            let state = fs::read_to_string(self.options.folder.join("pg/data/postmaster.pid")).unwrap_or_default();
            let ready = state.lines().nth(7).is_some_and(|line| line.trim() == "ready");
            if ready && TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Error::NotReady(log))
    }
}

fn password(folder: &Path) -> Result<String, Error> {
    let path = folder.join("password");
    if let Ok(password) = fs::read_to_string(&path) {
        return Ok(password.trim().to_owned());
    }
    let password = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    write_private(&path, &password)?;
    Ok(password)
}

fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(file_error(path))?;
    file.write_all(text.as_bytes()).map_err(file_error(path))
}

async fn initialise(account: Account, options: &Options, home: &Path, password: &str) -> Result<(), Error> {
    let data = home.join("data");
    if data.exists() {
        // Left by an initdb that was killed: it has no PG_VERSION, so it never held anything.
        fs::remove_dir_all(&data).map_err(file_error(&data))?;
    }
    let file = home.join("initial-password");
    write_private(&file, password)?;
    account.own(&file)?;
    let output = account
        .command(&options.installation.join("bin/initdb"))
        .args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
        ])
        .arg("--pgdata")
        .arg(&data)
        .arg("--pwfile")
        .arg(&file)
        .output()
        .await
        .map_err(file_error(&options.installation))?;
    fs::remove_file(&file).map_err(file_error(&file))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Program { program: "initdb", output: tail(&[output.stdout, output.stderr].concat()) })
}

/// A server that an earlier process left behind when it was killed still holds the data folder.
async fn stop_orphan(account: Account, options: &Options, home: &Path) -> Result<(), Error> {
    if !home.join("data/postmaster.pid").exists() {
        return Ok(());
    }
    let status = pg_ctl(account, options, home, &["status"]).await?;
    if status.status.success() { pg_ctl_stop(account, options, home, "--mode=fast").await } else { Ok(()) }
}

async fn pg_ctl_stop(account: Account, options: &Options, home: &Path, mode: &str) -> Result<(), Error> {
    let output = pg_ctl(account, options, home, &["stop", mode, "--wait", "--timeout=30"]).await?;
    if output.status.success() || !home.join("data/postmaster.pid").exists() {
        return Ok(());
    }
    Err(Error::Program { program: "pg_ctl", output: tail(&[output.stdout, output.stderr].concat()) })
}

async fn pg_ctl(
    account: Account,
    options: &Options,
    home: &Path,
    args: &[&str],
) -> Result<std::process::Output, Error> {
    let program = options.installation.join("bin/pg_ctl");
    account
        .command(&program)
        .args(args)
        .arg("--pgdata")
        .arg(home.join("data"))
        .output()
        .await
        .map_err(file_error(&program))
}

fn spawn(account: Account, options: &Options, home: &Path, port: u16) -> Result<Child, Error> {
    let program = options.installation.join("bin/postgres");
    let log = home.join("log");
    let file = fs::OpenOptions::new().create(true).append(true).open(&log).map_err(file_error(&log))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(file_error(&log))?;
    let copy = file.try_clone().map_err(file_error(&log))?;
    let mut command = account.command(&program);
    command.arg("-D").arg(home.join("data")).args([
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
    ]);
    command.arg("-c").arg(format!("port={port}"));
    for setting in &options.settings {
        command.arg("-c").arg(setting);
    }
    command.stdin(Stdio::null()).stdout(Stdio::from(file)).stderr(Stdio::from(copy)).kill_on_drop(true);
    command.spawn().map_err(file_error(&program))
}

fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
