//! The folder of a control plane: private to its user, locked while in use, temporary ones removed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use uuid::Uuid;

const LOCK: &str = "lock";
const TEMPORARY_PREFIX: &str = "authly-controlplane-";

/// A folder, held by a lock as long as this value (or its process) lives.
pub(super) struct Folder {
    path: PathBuf,
    temporary: bool,
    _lock: Option<File>,
}

impl Folder {
    /// A new folder among the temporary files; removed when dropped.
    pub(super) fn temporary() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("{TEMPORARY_PREFIX}{}", Uuid::new_v4().simple()));
        let lock = create_and_lock(&path)?;
        Ok(Self { path, temporary: true, _lock: Some(lock) })
    }

    /// A folder that stays; fails while another process holds it.
    pub(super) fn kept(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)?;
        let lock = create_and_lock(&path)?;
        Ok(Self { path, temporary: false, _lock: Some(lock) })
    }

    /// A folder that another process holds; only used, never changed by its end.
    pub(super) fn of_another(path: &Path) -> Self {
        Self { path: path.to_owned(), temporary: false, _lock: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What stays behind is swept by the next start.
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

/// Removes the temporary folders of test processes that ended without a chance to.
pub(super) fn sweep() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX)) {
        let abandoned = File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if abandoned {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// Writes a file that only its owner may read: a folder that was there before may be open to all.
pub(super) fn write_private(path: &Path, content: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())
}

/// Only its owner may read a new folder.
fn create_and_lock(path: &Path) -> anyhow::Result<File> {
    let create = || fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    create().with_context(|| format!("cannot create {}", path.display()))?;
    let lock = File::create(path.join(LOCK))?;
    if lock.try_lock().is_err() {
        bail!("a control plane runs in {} already", path.display());
    }
    Ok(lock)
}
