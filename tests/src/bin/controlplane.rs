//! Keeps a control plane running for a test run: `controlplane --dir DIR`.
//!
//! Prints the path of the administrator's kubeconfig once everything is ready, and runs until it gets SIGTERM or
//! SIGINT. Tests find it by `AUTHLY_CONTROLPLANE_DIR=DIR`. However it ends, its programs end with it.

use std::path::PathBuf;

use anyhow::bail;
use authly_tests::controlplane::ControlPlane;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = folder_argument()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let run = async {
        let mut control_plane = ControlPlane::start_in(&dir).await?;
        println!("{}", control_plane.kubeconfig().display());
        Err(control_plane.failure().await)
    };
    // Whichever comes first, dropping `run` stops the programs.
    tokio::select! {
        result = run => result,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn folder_argument() -> anyhow::Result<PathBuf> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [flag, dir] if flag == "--dir" => Ok(PathBuf::from(dir)),
        _ => bail!("usage: controlplane --dir DIR"),
    }
}
