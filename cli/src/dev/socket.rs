//! The socket in the data folder where `authly get` asks: one line of JSON in, one line of JSON out.

use std::{
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use authly_model::clock::Clock;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

use super::{board::Board, folder::DataFolder};
use crate::tables::{self, Style};

const NAME: &str = "socket";
/// The longest path of a socket is 107 bytes.
const MAX_PATH: usize = 100;
/// The longest question.
const MAX_QUESTION: u64 = 4096;
/// How long a question or an answer may take.
const WAIT: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// A kind, in any of its names, or `all`.
    pub(crate) kind: String,
    /// Whether all columns are shown.
    pub(crate) wide: bool,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The tables.
    Tables(String),
    /// Why there are none.
    Error(String),
}

/// Listens; a socket that an earlier process left is replaced, so hold the folder's lock.
pub(crate) fn listen(data: &DataFolder) -> anyhow::Result<UnixListener> {
    data.remove(NAME)?;
    let listener = with_short_path(data, |path| UnixListener::bind(path))?;
    std::fs::set_permissions(data.join(NAME), std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Removes the socket.
pub(crate) fn remove(data: &DataFolder) -> anyhow::Result<()> {
    Ok(data.remove(NAME)?)
}

/// Connects to the running dev of this folder.
pub(crate) async fn connect(data: &DataFolder) -> std::io::Result<UnixStream> {
    let stream = with_short_path(data, std::os::unix::net::UnixStream::connect)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// Answers until `stop`.
pub(crate) async fn serve(listener: UnixListener, board: Arc<Board>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (board, clock) = (Arc::clone(&board), Arc::clone(&clock));
        tokio::spawn(async move { tokio::time::timeout(WAIT, answer(stream, &board, clock.as_ref())).await });
    }
}

async fn answer(mut stream: UnixStream, board: &Board, clock: &dyn Clock) -> std::io::Result<()> {
    let mut line = String::new();
    let (reading, mut writing) = stream.split();
    BufReader::new(reading.take(MAX_QUESTION)).read_line(&mut line).await?;
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(question) => tables_of(&question, board, clock),
        Err(_) => Answer::Error("the question is not understood: use the same version of authly for both".to_owned()),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    writing.write_all(&text).await
}

fn tables_of(question: &Question, board: &Board, clock: &dyn Clock) -> Answer {
    match tables::selected(&question.kind) {
        Ok((kinds, with_kind)) => {
            let style = Style { wide: question.wide, with_kind, now: clock.now() };
            Answer::Tables(tables::print(&kinds, &board.rows(), style))
        }
        Err(error) => Answer::Error(error.to_string()),
    }
}

/// Calls `open` with the socket's path, or with a short one for the same place where that is too long.
fn with_short_path<T>(data: &DataFolder, open: impl Fn(PathBuf) -> std::io::Result<T>) -> std::io::Result<T> {
    let path = data.join(NAME);
    if path.as_os_str().len() <= MAX_PATH {
        return open(path);
    }
    let folder = std::fs::File::open(data.path())?;
    open(PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd())))
}
