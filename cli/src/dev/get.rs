//! `authly get`: asks the running `authly dev` and prints what `kubectl get` would.

use std::io::{ErrorKind, Write};

use anyhow::{Context, anyhow, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    folder::DataFolder,
    socket::{self, Answer, Question},
};
use crate::args::Get;

/// Runs the command.
pub(crate) async fn run(options: Get) -> anyhow::Result<()> {
    let data = DataFolder::choose(options.data_dir)?;
    let mut stream = socket::connect(&data).await.map_err(|error| not_reached(&data, &error))?;
    let question = Question { kind: options.kind, wide: options.output.as_deref() == Some("wide") };
    let mut text = serde_json::to_string(&question)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    match serde_json::from_str(&answer).context("`authly dev` gave no answer; is it being stopped?")? {
        Answer::Tables(tables) => print(&tables),
        Answer::Error(error) => bail!(error),
    }
}

/// A reader that stops early, such as `head`, is no error.
fn print(tables: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(tables.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn not_reached(data: &DataFolder, error: &std::io::Error) -> anyhow::Error {
    let folder = data.path().display();
    match error.kind() {
        ErrorKind::PermissionDenied => {
            anyhow!("the `authly dev` of {folder} belongs to another account: run this as that account")
        }
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            anyhow!("no `authly dev` runs with the data folder {folder}: start one, or name its folder with --data-dir")
        }
        _ => anyhow!("the `authly dev` of {folder} cannot be asked: {error}"),
    }
}
