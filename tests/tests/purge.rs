//! The end of a tenant (operator.md, rule 10): a tombstone stops service at once, applying it again restores it, a legal hold keeps
//! its keys, `purgeAfter` destroys them, and what is applied after that is another tenant. The audit trail still verifies.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, ensure};
use authly_tests::{
    api::{http, token},
    audit::verify,
    controlplane::stdout_of,
    database,
    dev::DevClient,
    manifests,
    process::{Process, eventually, free_port},
    stack::{Listening, Stack},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

const LIMIT: Duration = Duration::from_secs(60);

struct World {
    stack: Stack,
    look: PgConnection,
    server: Listening,
    _operator: Process,
}

impl World {
    async fn start() -> Self {
        let stack = Stack::new().await.unwrap();
        let port = free_port().unwrap();
        let server = stack.server_with_jobs("server", port).await.unwrap();
        let base = format!("http://localhost:{port}");
        let operator = stack.operator("operator", &format!("inst-{}", stack.id), &base).await.unwrap();
        let look = database::look(&stack.database).await.unwrap();
        Self { stack, look, server, _operator: operator }
    }

    fn tenant(&self) -> String {
        format!("tenant acme-{}", self.stack.id)
    }

    fn namespace(&self) -> String {
        format!("shop-{}", self.stack.id)
    }

    /// Applies the tenant and its client, and waits until they are served; the tenant's id, and the client.
    async fn declare(&self, legal_hold: bool) -> (String, DevClient, String) {
        let id = &self.stack.id;
        let manifests = manifests::tenant(id, &spec("acme", id, legal_hold)) + &manifests::client(id, "billing", "");
        self.stack.apply(&manifests).await.unwrap();
        let client = format!("oauthclient billing -n {}", self.namespace());
        for what in [self.tenant(), client] {
            self.stack.condition(&what, "Ready", "True", "", LIMIT).await.unwrap();
        }
        let tenant = self.id_of(&self.tenant()).await;
        let (client, endpoint) = self.stack.client(&self.namespace(), "billing-oauth").await.unwrap();
        (tenant, client, endpoint)
    }

    async fn id_of(&self, tenant: &str) -> String {
        let object = self.stack.object(tenant).await.unwrap();
        object["status"]["tenantId"].as_str().expect("a tenant that is Ready has an id").to_owned()
    }

    /// Another tenant of the installation, which no legal hold keeps; its id.
    async fn declare_another(&self) -> String {
        let id = &self.stack.id;
        let start = format!("apiVersion: authly.dev/v1alpha1\nkind: Tenant\nmetadata: {{name: other-{id}}}\nspec:\n");
        let other = start + &format!("  installation: inst-{id}\n") + &spec("other", id, false);
        self.stack.apply(&other).await.unwrap();
        let other = format!("tenant other-{id}");
        self.stack.condition(&other, "Ready", "True", "", LIMIT).await.unwrap();
        self.id_of(&other).await
    }

    async fn delete(&self, tenant: &str) {
        let args: Vec<&str> = ["delete"].into_iter().chain(tenant.split(' ')).collect();
        stdout_of(self.stack.cluster.kubectl(&args, None).await.unwrap()).unwrap();
    }

    /// Waits until no token is issued any more: until the answer is 400, or 404 where the tenant may be purged by then.
    async fn stopped(&self, client: &DevClient, endpoint: &str, by: &[u16]) {
        let http = http();
        eventually("service stops", LIMIT, || async {
            let request = http.post(endpoint).basic_auth(&client.client_id, client.client_secret.as_deref());
            let status = request.form(&[("grant_type", "client_credentials")]).send().await?.status().as_u16();
            assert!(status == 200 || by.contains(&status), "service stops with {status}");
            ensure!(status != 200, "a token is issued");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until a tenant is purged.
    async fn purged(&mut self, id: &str) {
        let left = format!("select count(*) from authly.tenant where id = '{id}' and purged_at is null");
        for _ in 0..300 {
            if self.count(&left).await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the tenant is not purged within a minute");
    }

    async fn count(&mut self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.look).await.unwrap()
    }

    /// Keys of the tenant, of whatever kind.
    async fn keys(&mut self, tenant: &str) -> i64 {
        let tables = ["tenant_key", "signing_key", "signing_key_private"];
        let counts = tables.map(|table| format!("(select count(*) from authly.{table} where tenant_id = '{tenant}')"));
        self.count(&format!("select {}", counts.join(" + "))).await
    }

    async fn kids(&self, endpoint: &str) -> anyhow::Result<BTreeSet<String>> {
        let url = endpoint.replace("/token", "/jwks.json");
        let jwks: Value = http().get(url).send().await?.error_for_status()?.json().await?;
        let keys = jwks["keys"].as_array().context("keys")?;
        Ok(keys.iter().filter_map(|key| Some(key["kid"].as_str()?.to_owned())).collect())
    }
}

/// What both tenants declare.
fn spec(name: &str, id: &str, legal_hold: bool) -> String {
    format!(
        "  legalHold: {legal_hold}\n  deletionPolicy: Delete\n  purgeAfter: 1s\n  urlHosts: [\"{name}-{id}.example\"]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_can_be_restored_until_its_keys_are_destroyed() {
    let mut world = World::start().await;
    let http = http();
    let (id, client, endpoint) = world.declare(true).await;
    token(&http, &endpoint, &client, &[]).await.unwrap();
    let kids = world.kids(&endpoint).await.unwrap();
    let keys = world.keys(&id).await;
    assert!(keys > 0);

    // Under a legal hold nothing is destroyed, and the same manifest brings everything back.
    let tenant = world.tenant();
    let other = world.declare_another().await;
    world.delete(&tenant).await;
    world.stopped(&client, &endpoint, &[400]).await;
    // One that is deleted later and has no hold: when it is purged, this one was looked at.
    world.delete(&format!("tenant other-{}", world.stack.id)).await;
    world.purged(&other).await;
    assert_eq!(world.keys(&other).await, 0);
    assert_eq!(world.keys(&id).await, keys, "a legal hold keeps the keys of a deleted tenant");
    let (restored, same, _) = world.declare(false).await;
    assert_eq!((restored, same.client_secret.clone()), (id.clone(), client.client_secret.clone()));
    assert_eq!(world.kids(&endpoint).await.unwrap(), kids);
    let old = token(&http, &endpoint, &client, &[]).await.unwrap();

    // Without one they are destroyed once the time is over, and so is all that was declared.
    world.delete(&tenant).await;
    world.stopped(&client, &endpoint, &[400, 404]).await;
    world.purged(&id).await;
    assert_eq!(world.keys(&id).await, 0);
    let left = world
        .count(&format!(
            "select (select count(*) from authly.client where tenant_id = '{id}')
                + (select count(*) from authly.client_secret where tenant_id = '{id}')
                + (select count(*) from authly.tenant_host where tenant_id = '{id}')
                + (select count(*) from authly.tenant_issuer where tenant_id = '{id}')
                + (select count(*) from authly.tenant where id = '{id}' and (name || spec::text) like '%acme%')"
        ))
        .await;
    assert_eq!(left, 0);
    let records = format!("select count(*) from authly.audit_event where tenant_id = '{id}'");
    assert!(world.count(&records).await > 0, "the trail stays");

    // What is applied now is another tenant, in the old one's place: other keys, and the old tokens mean nothing.
    let (other, client, endpoint) = world.declare(false).await;
    assert_ne!(other, id);
    let new = token(&http, &endpoint, &client, &[]).await.unwrap();
    assert!(world.kids(&endpoint).await.unwrap().is_disjoint(&kids));
    for (token, is_active) in [(new, true), (old, false)] {
        let request = http.post(endpoint.replace("/token", "/introspect"));
        let request = request.basic_auth(&client.client_id, client.client_secret.as_deref()).form(&[("token", &token)]);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["active"], is_active, "{answer}");
    }
    let verified = verify(&world.stack.jobs_url().unwrap(), &[]).unwrap();
    assert!(verified.status.success(), "{}", verified.text);
    world.server.process.check().unwrap();
}
