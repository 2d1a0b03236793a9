//! Watches the folder of manifests, and tells the engine what may take effect.
//!
//! inotify says when to look; where it is silent (some network and container file systems), a look at names, sizes and
//! times every two seconds does.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use authly_model::clock::Clock;
use authly_operator::engine::{Declared, Input, Target};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    board::Board,
    folder::DataFolder,
    manifests,
    state::{Admitted, Change},
};
use crate::terminal::progress;

/// How long the folder is quiet before it is read: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// How long an object must be gone before it is deleted: an editor may replace a file by removing it first.
const GONE: Duration = Duration::from_millis(250);
/// How often the folder is looked at without being told.
const LOOK: Duration = Duration::from_secs(2);

/// The folder and where its changes go.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) board: Arc<Board>,
    pub(crate) data: DataFolder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: mpsc::Sender<Input>,
}

/// Name, size and time of each file.
type Stamps = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl Folder {
    /// Tells the engine everything, then every change until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let (touched, mut events) = watch::channel(());
        let _watcher = watcher(&self.path, touched);
        let mut stamps = stamps(&self.path);
        let mut printed = Vec::new();
        self.start(&mut printed).await?;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = events.changed() => {
                    if changed.is_err() {
                        // No inotify: only the look remains.
                        tokio::time::sleep(LOOK).await;
                    }
                }
                () = tokio::time::sleep(LOOK) => {
                    if self::stamps(&self.path) == stamps {
                        continue;
                    }
                }
            }
            while let Ok(Ok(())) = tokio::time::timeout(QUIET, events.changed()).await {}
            stamps = self::stamps(&self.path);
            let mut reading = manifests::read(&self.path);
            let would_delete = self.board.state().would_delete(&reading);
            if would_delete {
                tokio::time::sleep(GONE).await;
                reading = manifests::read(&self.path);
            }
            self.take_over(reading, &mut printed).await?;
        }
    }

    /// Everything that is declared, and then that this was everything.
    async fn start(&self, printed: &mut Vec<String>) -> anyhow::Result<()> {
        let outcome = self.board.admit(manifests::read(&self.path), self.clock.now());
        self.board.save(&self.data)?;
        report(&outcome.errors, printed);
        let inputs = {
            let state = self.board.state();
            let namespaces = state.namespaces.iter().map(|(name, labels)| namespace(name, Some(labels.clone())));
            let default =
                (!state.namespaces.contains_key("default")).then(|| namespace("default", Some(Default::default())));
            let objects = state.objects.values().filter_map(declared);
            namespaces.chain(default).chain(objects).collect::<Vec<_>>()
        };
        let complete = outcome.changes.contains(&Change::Complete(true));
        for input in inputs.into_iter().chain([Input::Complete(complete), Input::Synced]) {
            self.engine.send(input).await?;
        }
        Ok(())
    }

    async fn take_over(&self, reading: manifests::Reading, printed: &mut Vec<String>) -> anyhow::Result<()> {
        let outcome = self.board.admit(reading, self.clock.now());
        self.board.save(&self.data)?;
        report(&outcome.errors, printed);
        for change in outcome.changes {
            let input = match change {
                Change::Declared(reference) => self.board.state().objects.get(&reference).and_then(declared),
                Change::Deleted(reference) => Some(Input::Deleted(reference)),
                Change::Namespace(name, labels) => Some(namespace(&name, labels)),
                Change::Complete(complete) => Some(Input::Complete(complete)),
            };
            if let Some(input) = input {
                self.engine.send(input).await?;
            }
        }
        Ok(())
    }
}

fn declared(admitted: &Admitted) -> Option<Input> {
    let target = Target { object: admitted.object.reference()?, uid: String::new(), version: String::new() };
    Some(Input::Declared(Box::new(Declared {
        target,
        generation: admitted.generation,
        deleting: false,
        finalizer: false,
        status: admitted.status.clone(),
        object: Ok(admitted.object.clone()),
    })))
}

/// Every namespace has the one label that an API server sets.
fn namespace(name: &str, labels: Option<std::collections::BTreeMap<String, String>>) -> Input {
    let labels = labels.map(|labels| authly_desired::Namespace::new(name, labels).labels);
    Input::Namespace { name: name.to_owned(), labels }
}

/// Prints what is wrong, once per change of it.
fn report(errors: &[authly_desired::ManifestError], printed: &mut Vec<String>) {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if lines == *printed {
        return;
    }
    for line in &lines {
        progress(line);
    }
    if lines.is_empty() {
        progress("the manifests are right again");
    } else {
        progress("what is wrong was not taken over: the last good version keeps serving, and nothing is deleted");
    }
    *printed = lines;
}

/// Reports each change of a file in the folder; reading one is none.
fn watcher(folder: &Path, touched: watch::Sender<()>) -> Option<RecommendedWatcher> {
    let handle = move |event: notify::Result<notify::Event>| {
        let is_change = match event.map(|event| event.kind) {
            Ok(EventKind::Access(access)) => matches!(access, AccessKind::Close(notify::event::AccessMode::Write)),
            _ => true,
        };
        if is_change {
            touched.send_replace(());
        }
    };
    let mut watcher = notify::recommended_watcher(handle).ok()?;
    watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

fn stamps(folder: &Path) -> Stamps {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut stamps: Stamps = entries
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            Some((entry.path(), meta.len(), meta.modified().ok()))
        })
        .collect();
    stamps.sort();
    stamps
}
