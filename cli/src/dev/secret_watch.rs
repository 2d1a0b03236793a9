//! Tells the engine when a Secret's file changed, as a cluster's watch does: whoever removes one gets a new value.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use authly_operator::engine::Input;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::board::Board;

/// A write is several events.
const QUIET: Duration = Duration::from_millis(50);

/// Namespace and name.
type Place = (String, String);

/// Watches until `stop`. Where the system has no watches left, only the engine's own looks remain.
pub(crate) async fn run(
    folder: std::path::PathBuf,
    board: Arc<Board>,
    engine: mpsc::Sender<Input>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (sender, mut changed) = mpsc::unbounded_channel();
    let _watcher = watcher(&folder, sender.clone());
    loop {
        let first = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(place) = changed.recv() => place,
        };
        let mut places = BTreeSet::from([first]);
        while let Ok(Some(place)) = tokio::time::timeout(QUIET, changed.recv()).await {
            places.insert(place);
        }
        for (namespace, name) in places {
            engine.send(Input::Secrets { namespace, name: Some(name) }).await?;
        }
        board.touch();
    }
}

fn watcher(folder: &Path, sender: mpsc::UnboundedSender<Place>) -> Option<RecommendedWatcher> {
    let handle = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        for place in event.paths.iter().filter_map(|path| place(path)) {
            let _ = sender.send(place); // the receiver goes first when everything stops
        }
    };
    let mut watcher = notify::recommended_watcher(handle).ok()?;
    watcher.watch(folder, RecursiveMode::Recursive).ok()?;
    Some(watcher)
}

/// Of `…/NAMESPACE/NAME.json`.
fn place(path: &Path) -> Option<Place> {
    let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
    Some((path.parent()?.file_name()?.to_str()?.to_owned(), name.to_owned()))
}
