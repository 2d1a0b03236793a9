//! Where the compiled programs are. `tests/controlplane/build` knows; this asks it, so that the rule is in one place.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;

/// The folder with etcd, kube-apiserver, kube-controller-manager, kubectl and helm.
pub(super) struct Parts(PathBuf);

impl Parts {
    /// Fails, with what to do about it, if the programs have not been built.
    pub(super) async fn locate() -> anyhow::Result<Self> {
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/build");
        let output = Command::new(&build)
            .arg("--where")
            .output()
            .await
            .with_context(|| format!("{} does not run", build.display()))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Self(PathBuf::from(String::from_utf8(output.stdout)?.trim_end())))
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
