//! Temporary folders for what a Pod would have mounted: private, and removed when dropped.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;

/// A folder that only its user may read; removed when dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn temporary(purpose: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("authly-chart-{purpose}-{}", Uuid::new_v4().simple()));
        let create = || fs::DirBuilder::new().mode(0o700).create(&path);
        create().with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes `files`, whose names may contain slashes, below `folder` of this one.
    pub(super) fn write(&self, folder: &str, files: &[(String, Vec<u8>)], mode: u32) -> anyhow::Result<PathBuf> {
        let base = self.0.join(folder);
        fs::create_dir_all(&base)?;
        for (name, content) in files {
            let path = base.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&base))?;
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?.write_all(content)?;
        }
        Ok(base)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
