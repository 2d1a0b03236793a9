//! What the suites share: a cluster (that of `AUTHLY_TEST_POSTGRES`, or one of this process), a database for each test,
//! logins of every role, tenants to work with.
#![allow(dead_code)] // each suite uses a part

#[path = "audit.rs"]
pub mod audit;
#[path = "proxy.rs"]
pub mod proxy;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use authly_embedded_postgres::{Options, Postgres, VERSION};
use authly_model::{
    client::{AuthMethod, Client, ClientType},
    clock::{Clock, SystemClock},
    diff::{Change, spec_hash},
    duration::Seconds,
    feed::Revision,
    ids::{ObjectName, TenantId},
    key::Algorithm,
    policy::{Mode, Policy},
    rotation::KeyPolicy,
    route::{Revocation, Route},
    tenant::{DEFAULT_PURGE_AFTER, DeletionPolicy, Role as NamespaceRole, Tenant},
};
use authly_secrets::{Kek, KekRing, KekSource, NewTenantKeys, generate_tenant_keys};
use authly_store::{
    Actor, Batch, Caps, Committer, ConnectOptions, Leader, Limits, Live, Login, ReplicaIdentity, ReplicaRole, Role,
    Store, TenantScope,
    jobs::{Jobs, Unwatched},
    login_name, migrate,
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// The password of every login of the tests.
pub const PASSWORD: &str = "only-for-the-store-tests";

/// A superuser's URL of the cluster, without database.
async fn cluster() -> &'static str {
    static CLUSTER: OnceCell<String> = OnceCell::const_new();
    CLUSTER
        .get_or_init(|| async {
            let url = match std::env::var("AUTHLY_TEST_POSTGRES") {
                Ok(url) => url,
                Err(_) => start().await,
            };
            let (base, _) = url.rsplit_once('/').expect("a URL with a database");
            base.to_owned()
        })
        .await
}

/// Starts a cluster that ends with this process.
async fn start() -> String {
    let root = Path::new("/var/tmp/authly-store-tests");
    let options = Options {
        installation: root.join(format!("postgresql-{VERSION}")),
        folder: root.join(format!("cluster-{}", std::process::id())),
        port: None,
        settings: vec!["max_connections=300".to_owned(), "min_wal_size=256MB".to_owned()],
    };
    let postgres = Postgres::start(options, &|line| println!("{line}")).await.expect("PostgreSQL starts");
    let url = postgres.url("postgres");
    postgres.leave_to_watcher().expect("a watcher");
    url
}

/// A database of its own, migrated, with a login for each role.
pub struct Database {
    pub name: String,
    pub superuser: String,
    base: String,
}

impl Database {
    pub async fn new() -> Self {
        let db = Self::empty().await;
        db.migrate().await;
        db
    }

    /// Not migrated yet.
    pub async fn empty() -> Self {
        let base = cluster().await.to_owned();
        let name = format!("store_{}", &Uuid::new_v4().simple().to_string()[..12]);
        let mut connection = PgConnection::connect(&format!("{base}/postgres")).await.expect("the cluster answers");
        connection.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a database");
        Self { superuser: format!("{base}/{name}"), name, base }
    }

    pub async fn migrate(&self) {
        let login = |role| Login { role, password: PASSWORD.to_owned() };
        migrate(&self.superuser, None, &Role::ALL.map(login)).await.expect("it migrates");
    }

    /// A superuser's connection with the schema in its path.
    pub async fn look(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.superuser).await.expect("it connects");
        connection.execute("set search_path = authly").await.expect("a path");
        connection
    }

    /// The URL of a role's login, through another port if given.
    pub fn url(&self, role: Role, port: Option<u16>) -> String {
        let at = self.base.rsplit_once('@').expect("user@host").1;
        let host = match port {
            None => at.to_owned(),
            Some(port) => format!("127.0.0.1:{port}"),
        };
        format!("postgres://{}:{PASSWORD}@{host}/{}", login_name(&self.name, role), self.name)
    }

    /// Where the cluster listens.
    pub fn address(&self) -> String {
        self.base.rsplit_once('@').expect("user@host").1.to_owned()
    }

    pub async fn store(&self, role: Role) -> Store {
        self.try_store(role, None).await.expect("the login works")
    }

    pub async fn try_store(&self, role: Role, port: Option<u16>) -> authly_store::Result<Store> {
        Store::connect(ConnectOptions { url: self.url(role, port), password: None, role, max_connections: 4 }).await
    }

    pub async fn leader(&self, installation: &str) -> Leader {
        Leader::acquire(self.store(Role::Operator).await, installation).await.expect("an epoch")
    }

    pub async fn live(&self, role: ReplicaRole) -> Replica {
        let of = match role {
            ReplicaRole::Server => Role::Server,
            ReplicaRole::Gateway => Role::Gateway,
        };
        Replica::start(self.store(of).await, role).await
    }

    /// One value of one column.
    pub async fn count(&self, sql: &str) -> i64 {
        let mut connection = self.look().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect(sql)
    }

    pub async fn execute(&self, sql: &str) {
        self.look().await.execute(AssertSqlSafe(sql.to_owned())).await.expect(sql);
    }
}

/// A replica of this process.
pub struct Replica {
    pub store: Store,
    pub live: Arc<Live>,
    pub id: Uuid,
    _stop: DropGuard,
}

impl Replica {
    pub async fn start(store: Store, role: ReplicaRole) -> Self {
        let (cancel, id) = (CancellationToken::new(), Uuid::new_v4());
        let identity = ReplicaIdentity { id, role };
        let live = Live::start(store.clone(), identity, Caps::default(), Arc::new(SystemClock), cancel.clone());
        let this = Self { store, live, id, _stop: cancel.drop_guard() };
        eventually("the replica is ready", || async { this.live.is_ready() }).await;
        this
    }

    pub fn scope(&self, tenant: TenantId) -> TenantScope {
        self.live.snapshot().tenant(tenant).expect("the tenant is loaded").scope(Actor::Client("shop.billing".into()))
    }

    pub fn committer(&self) -> (Committer, DropGuard) {
        let cancel = CancellationToken::new();
        let committer = Committer::start(&self.store, Arc::new(SystemClock), Limits::default(), cancel.clone());
        (committer, cancel.drop_guard())
    }
}

/// Waits up to half a minute: every suite of the store runs beside others.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    for _ in 0..1500 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 30 s: {what}");
}

/// The jobs with this pool and clock.
pub fn jobs_of(store: &Store, clock: impl Clock + 'static) -> Jobs {
    Jobs { store: store.clone(), kek: Arc::new(kek()), clock: Arc::new(clock), watch: Arc::new(Unwatched) }
}

/// The platform key of the tests.
pub const KEK: &str = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";

pub fn kek() -> KekRing {
    KekRing::new(Kek::load(&KekSource::Environment(KEK.to_owned().into())).expect("a key"), [])
}

pub fn new_keys(id: TenantId) -> NewTenantKeys {
    generate_tenant_keys(&kek(), id, Algorithm::EdDSA).expect("keys")
}

pub fn tenant(installation: &str, name: &str) -> Tenant {
    Tenant {
        name: name.to_owned(),
        installation: installation.to_owned(),
        display_name: name.to_owned(),
        issuer: format!("https://id.example/{installation}/{name}"),
        url_hosts: BTreeSet::from([format!("files.{name}.{installation}.example")]),
        token_algorithm: Algorithm::EdDSA,
        key_policy: KeyPolicy::default(),
        access_token_lifetime: Seconds(600),
        suspended: false,
        legal_hold: false,
        deletion: DeletionPolicy::Retain,
        purge_after: DEFAULT_PURGE_AFTER,
    }
}

pub fn client(name: &str) -> Client {
    Client {
        object: ObjectName::new("shop", name),
        client_id: format!("shop.{name}"),
        client_type: ClientType::Service,
        auth_method: AuthMethod::ClientSecret,
        jwks: Vec::new(),
        redirect_uris: Vec::new(),
        scopes: BTreeSet::from(["signed_urls".to_owned()]),
        audiences: BTreeSet::new(),
        access_token_lifetime: Seconds(600),
        suspended: false,
    }
}

pub fn route(name: &str, host: &str, prefix: &str) -> Route {
    Route {
        object: ObjectName::new("shop", name),
        hosts: BTreeSet::from([host.to_owned()]),
        path_prefix: prefix.to_owned(),
        methods: BTreeSet::from(["GET".to_owned(), "HEAD".to_owned()]),
        max_ttl: Seconds(86_400),
        default_ttl: Seconds(900),
        revocation: Revocation::Normal,
        backend: None,
    }
}

pub fn policy(name: &str, cedar: &str) -> Policy {
    Policy {
        object: ObjectName::new("shop", name),
        role: NamespaceRole::Owner,
        mode: Mode::Enforce,
        cedar: cedar.to_owned(),
    }
}

pub fn put_tenant(tenant: &Tenant) -> Change {
    Change::PutTenant(tenant.clone(), spec_hash(tenant).expect("JSON"))
}

pub fn put_client(client: &Client) -> Change {
    Change::PutClient(client.clone(), spec_hash(client).expect("JSON"))
}

pub fn put_route(route: &Route) -> Change {
    Change::PutRoute(route.clone(), spec_hash(route).expect("JSON"))
}

pub fn put_policy(policy: &Policy) -> Change {
    Change::PutPolicy(policy.clone(), spec_hash(policy).expect("JSON"))
}

pub fn batch(changes: Vec<Change>) -> Batch {
    Batch { changes, ..Batch::default() }
}

/// A new tenant with one client, one route and one policy.
pub async fn new_tenant(leader: &Leader, name: &str) -> (TenantId, Revision) {
    let id = TenantId(Uuid::new_v4());
    let tenant = tenant(leader.installation(), name);
    let host = tenant.url_hosts.first().expect("a host").clone();
    let changes = vec![
        put_tenant(&tenant),
        put_client(&client("billing")),
        put_route(&route("reports", &host, "/reports/")),
        put_policy(&policy("reports", "permit (principal, action == Action::\"redeem\", resource);")),
    ];
    let batch = Batch { changes, new_keys: Some(new_keys(id)), ..Batch::default() };
    (id, leader.apply(id, batch).await.expect("it applies"))
}
