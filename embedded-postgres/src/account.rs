//! The account that PostgreSQL runs as. `initdb` refuses root, so a process of root lets only this child
//! drop: to the owner of the data folder, or to `nobody`.

use std::{
    os::unix::fs::{MetadataExt, chown},
    path::Path,
};

use tokio::process::Command;

use crate::{Error, file_error};

/// `nobody` and `nogroup` on Debian and most others.
const NOBODY: (u32, u32) = (65_534, 65_534);

/// An account to drop to; `None` where the process is not root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account(Option<(u32, u32)>);

impl Account {
    /// The account for this data folder, which must exist.
    pub(crate) fn for_folder(folder: &Path) -> Result<Self, Error> {
        let this = std::fs::metadata("/proc/self").map(|m| m.uid());
        if this.unwrap_or(1) != 0 {
            return Ok(Self(None));
        }
        let owner = std::fs::metadata(folder).map_err(file_error(folder))?;
        Ok(Self(Some(if owner.uid() == 0 { NOBODY } else { (owner.uid(), owner.gid()) })))
    }

    /// Gives the folder to the account, after checking that the account can reach it.
    pub(crate) fn own(self, folder: &Path) -> Result<(), Error> {
        let Some((uid, gid)) = self.0 else { return Ok(()) };
        self.may_enter(folder)?;
        chown(folder, Some(uid), Some(gid)).map_err(file_error(folder))
    }

    /// Whether every folder above `folder` lets the account through.
    pub(crate) fn may_enter(self, folder: &Path) -> Result<(), Error> {
        let Some((uid, gid)) = self.0 else { return Ok(()) };
        for above in folder.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            let meta = std::fs::metadata(above).map_err(file_error(above))?;
            let bit = if meta.uid() == uid {
                0o100
            } else if meta.gid() == gid {
                0o010
            } else {
                0o001
            };
            if meta.mode() & bit == 0 {
                return Err(Error::Closed { path: above.to_path_buf(), uid });
            }
        }
        Ok(())
    }

    /// The program, to be run as the account, in a process group of its own so that Ctrl-C reaches only its parent.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command.env_clear().env("LC_ALL", "C.UTF-8").env("TZ", "UTC").current_dir("/").process_group(0);
        command
    }
}
