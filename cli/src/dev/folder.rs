//! The data folder: where everything of `authly dev` is kept, who may read it, and that one process uses it at a time.
//!
//! The folder itself may be entered by everyone, because PostgreSQL may run as another account; what is secret has
//! mode 0600 or lies in a folder with mode 0700.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Where a root's data is.
const ROOT: &str = "/var/lib/authly-dev";

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{path}: {source}. Check its owner and the free space, or choose another folder with --data-dir")]
    File { path: PathBuf, source: std::io::Error },
    #[error("another `authly dev` (process {pid}) uses {path}: stop it, or choose another folder with --data-dir")]
    InUse { path: PathBuf, pid: String },
    #[error("there is no home folder to keep data in: set HOME, or name a folder with --data-dir")]
    NoHome,
    #[error("{path} is damaged: {reason}. Restore it, or remove it together with the database that it belongs to")]
    Damaged { path: PathBuf, reason: String },
}

/// The data folder. Clones name the same one.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder(PathBuf);

/// Held while a process uses the folder; the system releases it when the process ends, however it does.
#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code)] File); // held, never read

impl DataFolder {
    /// The folder that was named, or the default one; not made yet.
    pub(crate) fn choose(named: Option<PathBuf>) -> Result<Self, FolderError> {
        let path = named.map_or_else(default_path, Ok)?;
        // PostgreSQL runs in another working directory.
        let path = std::path::absolute(&path).map_err(|source| FolderError::File { path, source })?;
        Ok(Self(path))
    }

    /// Makes the folder.
    pub(crate) fn create(&self) -> Result<(), FolderError> {
        if !self.0.is_dir() {
            fs::create_dir_all(&self.0).map_err(file_error(&self.0))?;
            // Whatever the umask says.
            fs::set_permissions(&self.0, Permissions::from_mode(0o755)).map_err(file_error(&self.0))?;
        }
        Ok(())
    }

    /// Takes the folder for this process.
    pub(crate) fn lock(&self) -> Result<Lock, FolderError> {
        let path = self.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(file_error(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&path).unwrap_or_default();
                return Err(FolderError::InUse { path: self.0.clone(), pid: pid.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(FolderError::File { path, source }),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(file_error(&path))?;
        Ok(Lock(file))
    }

    /// A path in the folder.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// The folder's path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a folder in it that only this account may enter.
    pub(crate) fn private_folder(&self, name: impl AsRef<Path>) -> Result<PathBuf, FolderError> {
        let path = self.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(file_error(&path))?;
        Ok(path)
    }

    /// The text of a file, if there is one.
    pub(crate) fn read(&self, name: impl AsRef<Path>) -> Result<Option<String>, FolderError> {
        let path = self.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::File { path, source }),
        }
    }

    /// Replaces a file in one step; only this account may read it.
    pub(crate) fn write_private(&self, name: impl AsRef<Path>, text: &str) -> Result<(), FolderError> {
        let path = self.join(name);
        let fresh = path.with_added_extension("new");
        let write = || {
            if let Err(error) = fs::remove_file(&fresh)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(error);
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(file_error(&path))
    }

    /// Removes a file, if there is one.
    pub(crate) fn remove(&self, name: impl AsRef<Path>) -> Result<(), FolderError> {
        let path = self.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error(&path)(error)),
            _ => Ok(()),
        }
    }

    /// What is wrong with a file of the folder that cannot be read as what it should be.
    pub(crate) fn damaged(&self, name: &str, reason: impl ToString) -> FolderError {
        FolderError::Damaged { path: self.join(name), reason: reason.to_string() }
    }
}

fn default_path() -> Result<PathBuf, FolderError> {
    if fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0) {
        return Ok(ROOT.into());
    }
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = folder("XDG_DATA_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("authly-dev")).ok_or(FolderError::NoHome)
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> FolderError + '_ {
    |source| FolderError::File { path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::DataFolder;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn one_process_at_a_time_and_private_files() {
        let path = std::env::temp_dir().join(format!("authly-folder-{}", uuid::Uuid::new_v4().simple()));
        let folder = DataFolder::choose(Some(path.clone())).unwrap();
        folder.create().unwrap();
        let lock = folder.lock().unwrap();
        let refused = folder.lock().unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(lock);
        folder.lock().unwrap();

        assert_eq!(folder.read("kek").unwrap(), None);
        for text in ["one", "two"] {
            folder.write_private("kek", text).unwrap();
            assert_eq!(folder.read("kek").unwrap().as_deref(), Some(text));
        }
        let mode = std::fs::metadata(folder.join("kek")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        folder.remove("kek").unwrap();
        folder.remove("kek").unwrap();
        std::fs::remove_dir_all(path).unwrap();
    }
}
