//! An engine between a cluster in memory and a real PostgreSQL, with real replicas.

use std::{sync::Arc, time::Duration};

use authly_desired::{Object, parse};
use authly_model::{
    clock::SystemClock,
    duration::Seconds,
    ids::{Kind, ObjectName, ObjectRef},
};
use authly_runtime::Metrics;
use authly_secrets::{Kek, KekRing, KekSource};
use authly_store::{
    Caps, ConnectOptions, Leader, Live, Login, ReplicaIdentity, ReplicaRole, Role, Store, login_name, migrate,
};
use authly_tests::{database, slow::Slow};
use secrecy::SecretString;
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::cluster::FakeCluster;
use crate::engine::{Declared, Engine, EngineError, EngineMetrics, Input, Parts, Target};

pub(crate) const QUICKSTART: &str = include_str!("quickstart.yaml");

const PASSWORD: &str = "operator-tests-password";
const KEK: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SOON: Duration = Duration::from_secs(30);

/// A store, a cluster, and an engine that may be stopped and started.
pub(crate) struct Lab {
    pub(crate) cluster: Arc<FakeCluster>,
    /// Before the operator's connections.
    pub(crate) proxy: Slow,
    url: String,
    objects: Vec<Object>,
    /// Whether the engine is told that some source cannot be read.
    pub(crate) incomplete: bool,
    running: Option<Running>,
}

struct Running {
    inputs: mpsc::Sender<Input>,
    cancel: CancellationToken,
    engine: JoinHandle<Result<(), EngineError>>,
}

/// A replica; its lease ends when dropped.
pub(crate) struct Replica {
    pub(crate) live: Arc<Live>,
    _stop: tokio_util::sync::DropGuard,
}

pub(crate) fn tenant(name: &str) -> ObjectRef {
    ObjectRef::new(Kind::Tenant, "", name)
}

pub(crate) fn in_shop(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef::new(kind, "shop", name)
}

pub(crate) fn secret_place() -> ObjectName {
    ObjectName::new("shop", "billing-oauth")
}

/// The platform key of the laboratory.
pub(crate) fn kek() -> KekRing {
    KekRing::new(Kek::load(&KekSource::Environment(SecretString::from(KEK))).unwrap(), [])
}

impl Lab {
    /// A migrated, empty store and an empty cluster; nothing runs.
    pub(crate) async fn new() -> Self {
        let url = database::create("operator").await.unwrap();
        let login = |role| Login { role, password: PASSWORD.to_owned() };
        migrate(&url, None, &[login(Role::Server), login(Role::Gateway), login(Role::Operator)]).await.unwrap();
        let (_, place) = url.rsplit_once('@').unwrap();
        let port = place.split([':', '/']).nth(1).unwrap().parse().unwrap();
        let proxy = Slow::before(port).await.unwrap();
        Self { cluster: Arc::default(), proxy, url, objects: Vec::new(), incomplete: false, running: None }
    }

    pub(crate) async fn store(&self, role: Role, port: Option<u16>) -> Store {
        let (_, place) = self.url.rsplit_once('@').unwrap();
        let (address, database) = place.split_once('/').unwrap();
        let address = port.map_or_else(|| address.to_owned(), |port| format!("127.0.0.1:{port}"));
        let url = format!("postgres://{}@{address}/{database}", login_name(database, role));
        let password = Some(PASSWORD.to_owned());
        Store::connect(ConnectOptions { url, password, role, max_connections: 4 }).await.unwrap()
    }

    /// The right to write; every engine before is fenced.
    pub(crate) async fn leader(&self) -> Leader {
        Leader::acquire(self.store(Role::Operator, Some(self.proxy.port)).await, "default").await.unwrap()
    }

    /// Starts a replica.
    pub(crate) async fn replica(&self, role: ReplicaRole) -> Replica {
        let login = if role == ReplicaRole::Server { Role::Server } else { Role::Gateway };
        let (store, stop) = (self.store(login, None).await, CancellationToken::new());
        let identity = ReplicaIdentity { id: Uuid::new_v4(), role };
        let live = Live::start(store, identity, Caps::default(), Arc::new(SystemClock), stop.clone());
        Replica { live, _stop: stop.drop_guard() }
    }

    /// An engine that knows nothing yet and does not run.
    pub(crate) async fn engine(&self) -> Engine<FakeCluster> {
        Engine::new(Parts {
            cluster: Arc::clone(&self.cluster),
            leader: self.leader().await,
            kek: Arc::new(kek()),
            clock: Arc::new(SystemClock),
            metrics: EngineMetrics::new(&Metrics::new()),
            issuer_base: "https://id.example".to_owned(),
            jwks_max_age: Seconds(1),
        })
    }

    /// Starts an engine and tells it everything that is declared.
    pub(crate) async fn start(&mut self) {
        let engine = self.engine().await;
        let (inputs, receiver) = mpsc::channel(64);
        let cancel = CancellationToken::new();
        let engine = tokio::spawn(engine.run(receiver, cancel.clone()));
        self.running = Some(Running { inputs, cancel, engine });
        for input in self.inputs() {
            self.send(input).await;
        }
    }

    /// Everything that an engine is told at its start.
    pub(crate) fn inputs(&self) -> Vec<Input> {
        let objects = self.objects.iter().map(|object| self.input(object.clone(), false));
        objects.chain([Input::Complete(!self.incomplete), Input::Synced]).collect()
    }

    /// Stops the engine; how it ended.
    pub(crate) async fn stop(&mut self) -> Result<(), EngineError> {
        let running = self.running.take().unwrap();
        running.cancel.cancel();
        running.engine.await.unwrap()
    }

    /// Waits for the engine to end by itself.
    pub(crate) async fn ended(&mut self) -> Result<(), EngineError> {
        let running = self.running.take().unwrap();
        tokio::time::timeout(SOON, running.engine).await.unwrap().unwrap()
    }

    pub(crate) async fn send(&self, input: Input) {
        if let Some(running) = &self.running {
            running.inputs.send(input).await.unwrap();
        }
    }

    /// `kubectl apply`.
    pub(crate) async fn apply(&mut self, manifests: &str) {
        for manifest in parse(manifests, "test") {
            let object = manifest.unwrap().object;
            self.objects.retain(|old| old.reference() != object.reference() || object.reference().is_none());
            self.objects.push(object.clone());
            self.send(self.input(object, true)).await;
        }
    }

    /// `kubectl delete`, of something without finalizer.
    pub(crate) async fn delete(&mut self, reference: &ObjectRef) {
        self.objects.retain(|object| object.reference().as_ref() != Some(reference));
        self.cluster.state().versions.remove(reference);
        self.cluster.state().statuses.remove(reference);
        self.send(Input::Deleted(reference.clone())).await;
    }

    /// `kubectl delete`, of something with a finalizer: it is there, and being deleted.
    pub(crate) async fn delete_with_finalizer(&mut self, reference: &ObjectRef) {
        for object in &mut self.objects {
            if object.reference().as_ref() == Some(reference)
                && let Object::Tenant(tenant) = object
            {
                let mut tenant = authly_crds::Tenant::clone(tenant);
                tenant.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                    authly_model::clock::Clock::now(&SystemClock),
                ));
                *object = tenant.into();
                let object = object.clone();
                return self.send(self.input(object, true)).await;
            }
        }
    }

    fn input(&self, object: Object, changed: bool) -> Input {
        match object {
            Object::Namespace(namespace) => Input::Namespace { name: namespace.name, labels: Some(namespace.labels) },
            object => {
                let reference = object.reference().unwrap();
                Input::Declared(Box::new(self.declared(reference, Ok(object), changed)))
            }
        }
    }

    /// An object as a watch would tell it.
    pub(crate) fn declared(&self, reference: ObjectRef, object: Result<Object, String>, changed: bool) -> Declared {
        let mut state = self.cluster.state();
        let generation = state.generations.entry(reference.clone()).or_insert(0);
        *generation += i64::from(changed);
        let generation = *generation;
        let version = state.touch(&reference, changed);
        Declared {
            generation,
            deleting: matches!(&object, Ok(object) if object.metadata().is_some_and(|m| m.deletion_timestamp.is_some())),
            finalizer: state.finalizers.contains(&reference),
            status: state.statuses.get(&reference).cloned().unwrap_or(Value::Null),
            target: Target { object: reference, uid: "u".to_owned(), version },
            object,
        }
    }

    /// A condition as `True/Reason`; empty if it is not there.
    pub(crate) fn condition(&self, object: &ObjectRef, kind: &str) -> String {
        let state = self.cluster.state();
        let Some(status) = state.statuses.get(object) else { return String::new() };
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|c| c["type"] == kind);
        found
            .map(|c| format!("{}/{}", c["status"].as_str().unwrap(), c["reason"].as_str().unwrap()))
            .unwrap_or_default()
    }

    /// Waits until a condition says so of the newest generation.
    pub(crate) async fn until(&self, object: &ObjectRef, kind: &str, expected: &str) {
        let says = || {
            let observed = self.cluster.state().statuses.get(object).map(|s| s["observedGeneration"].clone());
            let generation = self.cluster.state().generations.get(object).copied();
            self.condition(object, kind) == expected && observed == generation.map(Value::from)
        };
        self.eventually(&format!("{object} {kind}={expected}"), says).await;
    }

    /// Waits until something holds.
    pub(crate) async fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + SOON;
        while !holds() {
            if tokio::time::Instant::now() > deadline {
                let state = self.cluster.state();
                panic!("never: {what}\n{:#?}", state.statuses);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The five objects of the quick start, and all of them Ready.
    pub(crate) async fn until_all_ready(&self) {
        self.until(&tenant("acme"), "Ready", "True/Programmed").await;
        for (kind, name) in [
            (Kind::OAuthClient, "billing"),
            (Kind::SignedUrlRoute, "reports"),
            (Kind::AccessPolicy, "reports"),
            (Kind::RetentionPolicy, "standard"),
        ] {
            self.until(&in_shop(kind, name), "Ready", "True/Programmed").await;
        }
    }

    /// The `client_secret` that a Pod would read.
    pub(crate) fn client_secret(&self) -> Option<String> {
        let state = self.cluster.state();
        Some(state.secrets.get(&secret_place())?.data.get("client_secret")?.text()?.to_owned())
    }
}
