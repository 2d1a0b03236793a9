//! The walls between tenants, as the database enforces them: every table, partition, view and function enumerated, and
//! what each role can and cannot reach (DESIGN.md, "Walls between tenants").

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/faults.rs"]
mod faults;
#[path = "support/support.rs"]
mod support;

use authly_store::{ConnectOptions, ReplicaRole, Role, Store, StoreError, login_name};
use faults::faults;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use support::{Database, new_tenant};

#[tokio::test]
async fn every_table_partition_view_and_function_keeps_the_walls() {
    let db = Database::new().await;
    let mut connection = db.look().await;
    let faults = faults(&mut connection).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let tables =
        db.count("select count(*) from pg_class where relnamespace = 'authly'::regnamespace and relkind = 'r'").await;
    assert!(tables > 40, "tables and partitions: {tables}");
}

#[tokio::test]
async fn a_new_object_without_walls_is_found() {
    let db = Database::new().await;
    for (sql, found) in [
        ("create table note (tenant_id uuid not null, text text)", "authly.note: row security is not forced"),
        ("create table public.note (tenant_id uuid not null)", "public.note: it is outside the schema authly"),
        (
            "create table audit_event_2099_01 partition of audit_event for values from ('2099-01-01') to ('2099-02-01')",
            "authly.audit_event_2099_01: row security is not forced",
        ),
        ("create view clients as select * from client", "authly.clients: a view must be security_invoker"),
        ("create materialized view old_clients as select * from client", "authly.old_clients: no materialized views"),
        (
            "create unique index by_name on client (name)",
            "authly.client: unique index by_name does not start with tenant_id",
        ),
        ("alter table route no force row level security", "authly.route: row security is not forced"),
        ("create policy open on route to authly_gateway using (true)", "authly.route: policy open for authly_gateway"),
        (
            "create function leak() returns bigint language sql security definer as 'select count(*) from authly.client'",
            "leak: its search_path is not pinned",
        ),
        ("create function open() returns int language sql as 'select 1'", "open: PUBLIC may execute it"),
        ("grant select on client to public", "authly.client: PUBLIC has privileges"),
        ("grant select on client to authly_fn_route", "authly_fn_route reaches several tables"),
    ] {
        let mut connection = db.look().await;
        let mut tx = connection.begin().await.unwrap();
        tx.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        let faults = faults(&mut tx).await;
        assert!(faults.iter().any(|fault| fault.contains(found)), "after `{sql}`: {faults:?}");
    }
}

async fn as_login(db: &Database, role: Role) -> PgConnection {
    let mut connection = PgConnection::connect(&db.url(role, None)).await.unwrap();
    connection.execute("set search_path = authly").await.unwrap();
    connection
}

async fn sqlstate(connection: &mut PgConnection, sql: &str) -> String {
    match connection.execute(AssertSqlSafe(sql.to_owned())).await {
        Ok(_) => "allowed".to_owned(),
        Err(error) => error.as_database_error().and_then(|e| e.code()).map(|c| c.into_owned()).unwrap_or_default(),
    }
}

#[tokio::test]
async fn the_gateway_reads_no_client_secret_private_or_wrapped_key() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (tenant, _) = new_tenant(&leader, "acme").await;
    let mut gateway = as_login(&db, Role::Gateway).await;
    gateway.execute(AssertSqlSafe(format!("set authly.tenant = '{}'", tenant.0))).await.unwrap();
    for table in [
        "client",
        "client_secret",
        "signing_key_private",
        "tenant_key",
        "retention_policy",
        "audit_event",
        "audit_writer",
    ] {
        assert_eq!(sqlstate(&mut gateway, &format!("select * from {table}")).await, "42501", "{table}");
        assert_eq!(sqlstate(&mut gateway, &format!("select 1 from {table}")).await, "42501", "{table}");
    }
    for call in [
        "list_clients(null)",
        "list_client_secrets(null)",
        "load_clients(null, null)",
        "load_client_secrets(null, null, null)",
        "revoke_tokens(null, null, null)",
        "revoke_urls(null, null, null, null, null)",
        "publish(null, null, null)",
        "create_audit_partitions(1)",
    ] {
        assert_eq!(sqlstate(&mut gateway, &format!("select * from {call}")).await, "42501", "{call}");
    }
    for write in [
        "update route set name = 'x'",
        "delete from feed_change",
        "update replica set seen_at = now()",
        "delete from url_use",
    ] {
        assert_eq!(sqlstate(&mut gateway, write).await, "42501", "{write}");
    }
    let forged = "select acknowledge(gen_random_uuid(), 'server', array_fill(9::bigint, array[16]), '[]')";
    assert_eq!(sqlstate(&mut gateway, forged).await, "42501", "a gateway speaks for a server");
}

#[tokio::test]
async fn two_tenants_do_not_see_each_other() {
    let db = Database::new().await;
    let (ours, theirs) = (db.leader("one").await, db.leader("two").await);
    let ((a, _), (b, _)) = (new_tenant(&ours, "acme").await, new_tenant(&theirs, "acme").await);
    let mut server = as_login(&db, Role::Server).await;
    let count = "select count(*) from client";
    let none: i64 = sqlx::query_scalar(count).fetch_one(&mut server).await.unwrap();
    assert_eq!(none, 0, "without a tenant nothing is seen");
    for tenant in [a, b] {
        let mut tx = server.begin().await.unwrap();
        tx.execute(AssertSqlSafe(format!("set local authly.tenant = '{}'", tenant.0))).await.unwrap();
        let seen: Vec<uuid::Uuid> =
            sqlx::query_scalar("select tenant_id from client").fetch_all(&mut *tx).await.unwrap();
        assert_eq!(seen, [tenant.0]);
    }
    let mut operator = as_login(&db, Role::Operator).await;
    operator.execute(AssertSqlSafe(format!("set authly.tenant = '{}'", a.0))).await.unwrap();
    let moved = format!("update client set tenant_id = '{}'", b.0);
    assert_eq!(sqlstate(&mut operator, &moved).await, "42501", "a row cannot change its tenant");
    let planted = format!(
        "insert into route (tenant_id, installation, namespace, name, spec, spec_hash)
         values ('{}', 'two', 'shop', 'planted', '{{}}', sha256('x'))",
        b.0
    );
    assert_eq!(sqlstate(&mut operator, &planted).await, "42501", "nor be planted in another");
    // An operator of one installation is refused the other's tenant.
    let refused = ours.apply(b, support::batch(vec![])).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused}");
}

#[tokio::test]
async fn the_snapshot_of_one_tenant_holds_nothing_of_another() {
    let db = Database::new().await;
    let (ours, theirs) = (db.leader("one").await, db.leader("two").await);
    let ((a, _), (b, _)) = (new_tenant(&ours, "acme").await, new_tenant(&theirs, "acme").await);
    let server = db.live(ReplicaRole::Server).await;
    let snapshot = server.live.snapshot();
    let (a, b) = (snapshot.tenant(a).unwrap(), snapshot.tenant(b).unwrap());
    assert_ne!(a.keys[0].kid, b.keys[0].kid);
    let host = "files.acme.one.example";
    assert!(a.route(host, "/reports/x").is_some() && b.route(host, "/reports/x").is_none());
    let (found, rest) = snapshot.tenant_by_issuer("id.example", "/two/acme/token").unwrap();
    assert_eq!((found.id, rest), (b.id, "/token"));
    assert!(snapshot.tenant_by_issuer("id.example", "/two/acmeX").is_none());
    let of_b = server.live.client(&b.scope(authly_store::Actor::Anonymous), "shop.billing").await.unwrap();
    assert!(of_b.is_some());
    let keys = server.store.signing_private(&a.scope(authly_store::Actor::Anonymous)).await.unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|k| a.keys.iter().any(|l| l.kid == k.kid)));
}

#[tokio::test]
async fn logins_that_must_not_be_used_are_refused() {
    let db = Database::new().await;
    let connect = |url: String, role| Store::connect(ConnectOptions { url, password: None, role, max_connections: 1 });
    let superuser = connect(db.superuser.clone(), Role::Server).await.unwrap_err();
    assert!(superuser.to_string().contains("superuser"), "{superuser}");
    let other = connect(db.url(Role::Gateway, None), Role::Server).await.unwrap_err();
    assert!(other.to_string().contains("not a member"), "{other}");
    let login = login_name(&db.name, Role::Server);
    for (attribute, found) in [("bypassrls", "BYPASSRLS"), ("createrole", "create roles")] {
        db.execute(&format!("alter role {login} {attribute}")).await;
        let refused = connect(db.url(Role::Server, None), Role::Server).await.unwrap_err();
        assert!(refused.to_string().contains(found), "{refused}");
        db.execute(&format!("alter role {login} no{attribute}")).await;
    }
    db.execute(&format!("grant authly_owner to {login}")).await;
    let owner = connect(db.url(Role::Server, None), Role::Server).await.unwrap_err();
    assert!(owner.to_string().contains("owns the schema"), "{owner}");
    db.execute(&format!("revoke authly_owner from {login}")).await;
    assert!(connect(db.url(Role::Server, None), Role::Server).await.is_ok());
    let nonsense = connect("postgres://user:hunter2@[::1".into(), Role::Server).await.unwrap_err();
    assert!(!nonsense.to_string().contains("hunter2"), "{nonsense}");
}

#[tokio::test]
async fn an_old_schema_is_refused_with_what_to_do() {
    let db = Database::new().await;
    db.execute("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)").await;
    let error = db.try_store(Role::Server, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema { .. }) && error.to_string().contains("authly migrate"), "{error}");
}

#[tokio::test]
async fn only_the_logins_may_connect() {
    let db = Database::new().await;
    let sql = format!(
        "select count(*) from aclexplode((select datacl from pg_database where datname = '{}')) where grantee = 0",
        db.name
    );
    assert_eq!(db.count(&sql).await, 0, "PUBLIC has a privilege on the database");
    let other = Database::new().await;
    let url = db.url(Role::Server, None).replace(&format!("/{}", db.name), &format!("/{}", other.name));
    let url = url.replace(&login_name(&other.name, Role::Server), &login_name(&db.name, Role::Server));
    let refused = PgConnection::connect(&url).await.unwrap_err();
    assert!(refused.to_string().contains("permission denied") || refused.to_string().contains("CONNECT"), "{refused}");
}

#[tokio::test]
async fn migrations_run_concurrently_on_one_and_on_several_databases() {
    let (one, two) = (Database::empty().await, Database::empty().await);
    // Roles belong to the cluster: all four change the same ones.
    tokio::join!(one.migrate(), one.migrate(), two.migrate(), two.migrate());
    one.migrate().await;
    for db in [one, two] {
        for role in Role::ALL {
            db.try_store(role, None).await.unwrap();
        }
    }
}
