//! The parts of dev mode, each a task: server, gateway, engine, the folder's watcher, the announcer, the socket. When one
//! of them ends before it is told to, all of them do, with its error.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use authly_desired::defaults::INSTALLATION;
use authly_gateway::Services;
use authly_model::{
    clock::{Clock, SystemClock},
    rotation::DEFAULT_JWKS_MAX_AGE,
};
use authly_operator::engine::{Engine, EngineMetrics, Parts};
use authly_runtime::{Health, Listener, Metrics, Networks};
use authly_secrets::KekRing;
use authly_store::{Leader, Role};
use tokio::{net::UnixListener, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    announce::Announcer,
    board::Board,
    cluster::DevCluster,
    credentials,
    database::Database,
    folder::DataFolder,
    secret_files::{self, SecretFiles},
    secret_watch, socket,
    watch::Folder,
};
use crate::serving::{self, Common};

/// How long requests in flight may take after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(3);
/// Inputs that wait for the engine.
const INPUTS: usize = 1024;

/// What is listened on; taken first, so that a port in use is told at once.
pub(crate) struct Sockets {
    pub(crate) server: Listener,
    pub(crate) gateway: Listener,
    pub(crate) questions: UnixListener,
}

/// What several parts share.
struct Shared {
    board: Arc<Board>,
    secrets: Arc<SecretFiles>,
    clock: Arc<dyn Clock>,
    kek: Arc<KekRing>,
    issuer_base: String,
    gateway_base: String,
}

/// Runs everything until `stop`.
pub(crate) async fn run(
    manifests: &Path,
    data: &DataFolder,
    database: &Database,
    sockets: Sockets,
    services: Services,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let base = |listener: &Listener| format!("http://localhost:{}", listener.address().port());
    let shared = Shared {
        board: Arc::new(Board::load(data)?),
        secrets: Arc::new(SecretFiles::new(data.clone())?),
        clock: Arc::new(SystemClock),
        kek: Arc::new(credentials::kek(data)?),
        issuer_base: base(&sockets.server),
        gateway_base: base(&sockets.gateway),
    };
    let mut tasks = JoinSet::new();
    let end = stop.child_token();
    serve(&shared, database, (sockets.server, sockets.gateway), services, &end, &mut tasks).await?;
    reconcile(&shared, manifests, data, database, &end, &mut tasks).await?;
    let (board, clock, until) = (Arc::clone(&shared.board), Arc::clone(&shared.clock), end.clone());
    tasks.spawn(async move {
        socket::serve(sockets.questions, board, clock, until).await;
        Ok(())
    });
    let announcer = Announcer {
        board: shared.board,
        secrets: shared.secrets,
        data: data.clone(),
        gateway: shared.gateway_base,
        manifests: manifests.display().to_string(),
    };
    tasks.spawn(announcer.run(end.clone()));
    until_ended(tasks, &end).await
}

type Tasks = JoinSet<anyhow::Result<()>>;

/// Starts server and gateway.
async fn serve(
    shared: &Shared,
    database: &Database,
    (server, gateway): (Listener, Listener),
    services: Services,
    end: &CancellationToken,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let common = |store, listener| Common {
        store,
        listener,
        trusted: Networks::default(),
        metrics: Metrics::new(),
        health: Health::new(),
        clock: Arc::clone(&shared.clock),
        drain: DRAIN,
    };
    let as_server = common(database.connect(Role::Server).await?, server);
    let as_gateway = common(database.connect(Role::Gateway).await?, gateway);
    let jobs = database.connect(Role::Jobs).await?;
    let (kek, until) = (Arc::clone(&shared.kek), end.clone());
    tasks.spawn(async move {
        serving::server(as_server, (kek, DEFAULT_JWKS_MAX_AGE), Some(jobs), until).await;
        Ok(())
    });
    let until = end.clone();
    tasks.spawn(async move {
        serving::gateway(as_gateway, services, Networks::default(), until).await;
        Ok(())
    });
    Ok(())
}

/// Starts the engine and what tells it of the manifests.
async fn reconcile(
    shared: &Shared,
    manifests: &Path,
    data: &DataFolder,
    database: &Database,
    end: &CancellationToken,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let store = database.connect(Role::Operator).await?;
    let leader = Leader::acquire(store.clone(), INSTALLATION).await.context("taking over the installation")?;
    let cluster =
        DevCluster::new(Arc::clone(&shared.board), Arc::clone(&shared.secrets), INSTALLATION, &shared.issuer_base);
    let engine = Engine::new(Parts {
        cluster: Arc::new(cluster),
        leader,
        kek: Arc::clone(&shared.kek),
        clock: Arc::clone(&shared.clock),
        metrics: EngineMetrics::new(&Metrics::new()),
        issuer_base: shared.issuer_base.clone(),
        jwks_max_age: DEFAULT_JWKS_MAX_AGE,
    });
    let (sender, inputs) = mpsc::channel(INPUTS);
    let until = end.clone();
    tasks.spawn(async move {
        let ended = engine.run(inputs, until).await;
        store.close().await;
        ended.context(
            "reconciling; does another `authly dev` or operator use this database, or was it restored? Start it again",
        )
    });
    let folder = data.join(secret_files::FOLDER);
    tasks.spawn(secret_watch::run(folder, Arc::clone(&shared.board), sender.clone(), end.clone()));
    let folder = Folder {
        path: manifests.to_owned(),
        board: Arc::clone(&shared.board),
        data: data.clone(),
        clock: Arc::clone(&shared.clock),
        engine: sender,
    };
    tasks.spawn(folder.run(end.clone()));
    Ok(())
}

/// Waits for the end of all; the first one that ends too early ends the others.
async fn until_ended(mut tasks: Tasks, end: &CancellationToken) -> anyhow::Result<()> {
    let mut first = Ok(());
    while let Some(joined) = tasks.join_next().await {
        let ended = joined.unwrap_or_else(|error| Err(anyhow!("a part failed: {error}")));
        let early = !end.is_cancelled();
        if early && first.is_ok() {
            first = ended.and(Err(anyhow!("a part ended by itself: this is a bug, please report it")));
        }
        end.cancel();
    }
    first
}
