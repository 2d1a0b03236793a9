//! Temporary folders that everyone may enter, because PostgreSQL may run as another account.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// A folder that goes when dropped, unless `AUTHLY_KEEP_SCRATCH` is set.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder.
    pub fn new(purpose: &str) -> anyhow::Result<Self> {
        let path = PathBuf::from(format!("/var/tmp/authly-{purpose}-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("AUTHLY_KEEP_SCRATCH").is_none() {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }
}
