//! Signing keys rotate under traffic, and nobody notices (issue 4, section 2): a real operator, two servers and two gateways as
//! processes, verifiers that keep each JWKS for its max-age. Zero failures, however a rotation is asked for and whoever is killed.
//! Then a compromised key: what it signed is refused within a second.
//!
//! One test, because its parts would only slow each other. `AUTHLY_LONG=1` makes it ten rotations and waits for the last old key to go.

use std::time::Duration;

use anyhow::{Context, ensure};
use authly_tests::{
    api::http,
    controlplane::stdout_of,
    is_long,
    process::{Process, eventually, free_port},
    rotating::{Place, Traffic, manifests},
    scratch::Scratch,
    stack::{Listening, Stack},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const SECOND: Duration = Duration::from_secs(1);
/// Generous: a busy machine is no failure.
const SOON: Duration = Duration::from_secs(60);
/// How long the JWKS may be kept; a rotation takes twice as long and a little more.
const MAX_AGE: &str = "1s";
/// Of what is issued: a gateway is stopped for five seconds, and must not find the URL expired that it was asked for before.
const LIFETIME: Duration = Duration::from_secs(20);

/// How a rotation is asked for, or disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Annotation,
    /// The operator is killed when the next keys are published.
    OperatorKilled,
    /// A gateway is stopped: until it wakes, no new key signs.
    GatewayStopped,
    /// The keys are as old as they may get.
    Schedule,
    /// Client secrets get another pepper; no key changes.
    Pepper,
    /// Tokens get another algorithm.
    Algorithm(&'static str),
}

struct World {
    stack: Stack,
    operator: Process,
    tenant: String,
    issuer_base: String,
    _servers: [Listening; 2],
    gateways: [Listening; 2],
    _files: Scratch,
    place: Place,
    requests: usize,
}

impl World {
    async fn start() -> Self {
        let mut stack = Stack::new().await.unwrap();
        stack.environment.push(("AUTHLY_JWKS_MAX_AGE".to_owned(), MAX_AGE.to_owned()));
        let id = stack.id.clone();
        let ports = [(); 4].map(|()| free_port().unwrap());
        let issuer_base = format!("http://localhost:{}", ports[0]);
        let operator = stack.operator("operator", &format!("inst-{id}"), &issuer_base).await.unwrap();
        let files = Scratch::new("files").unwrap();
        std::fs::create_dir(files.path().join("reports")).unwrap();
        std::fs::write(files.path().join("reports/q3.pdf"), "%PDF-1.4 sample").unwrap();
        let services = [format!("shop-{id}/files={}", files.path().display())];
        stack.apply(&manifests(&id, ports[2], LIFETIME)).await.unwrap();
        let servers = [
            stack.server("server-1", ports[0], None).await.unwrap(),
            stack.server("server-2", ports[1], None).await.unwrap(),
        ];
        let gateways = [
            stack.gateway("gateway-1", ports[2], &services).await.unwrap(),
            stack.gateway("gateway-2", ports[3], &services).await.unwrap(),
        ];
        let place = Place::of(&stack, &ports[..2], &ports[2..], LIFETIME).await.unwrap();
        let tenant = format!("acme-{id}");
        Self { stack, operator, tenant, issuer_base, _servers: servers, gateways, _files: files, place, requests: 0 }
    }

    async fn kubectl(&self, args: &[&str]) {
        stdout_of(self.stack.cluster.kubectl(args, None).await.unwrap()).unwrap();
    }

    async fn patch(&self, signing_keys: Value) {
        let patch = json!({"spec": {"signingKeys": signing_keys}}).to_string();
        self.kubectl(&["patch", "tenant", &self.tenant, "--type=merge", "-p", &patch]).await;
    }

    async fn sql(&self, statement: String) {
        let mut connection = PgConnection::connect(&self.stack.database).await.unwrap();
        connection.execute(AssertSqlSafe(statement)).await.unwrap();
    }

    async fn restart_operator(&mut self) {
        self.operator.signal("KILL").unwrap();
        let installation = format!("inst-{}", self.stack.id);
        self.operator = self.stack.operator("operator", &installation, &self.issuer_base).await.unwrap();
    }

    async fn keys(&self) -> anyhow::Result<Vec<Value>> {
        let tenant = self.stack.object(&format!("tenant {}", self.tenant)).await?;
        tenant["status"]["signingKeys"].as_array().cloned().context("no signingKeys")
    }

    /// The kids of a state: of tokens, of URLs.
    async fn kids(&self, state: &str) -> anyhow::Result<(Option<String>, Option<String>)> {
        let keys = self.keys().await?;
        let of = |key_use: &str| {
            let found = keys.iter().find(|key| key["use"] == key_use && key["state"] == state);
            found.and_then(|key| key["kid"].as_str()).map(ToOwned::to_owned)
        };
        Ok((of("token"), of("url")))
    }

    async fn peppers(&self) -> anyhow::Result<Vec<String>> {
        let mut connection = PgConnection::connect(&self.stack.database).await?;
        let ids = "SELECT key_id FROM authly.tenant_key WHERE purpose = 'pepper'";
        Ok(sqlx::query_scalar(AssertSqlSafe(ids)).fetch_all(&mut connection).await?)
    }

    async fn change_pepper(&self) {
        let before = self.peppers().await.unwrap();
        let annotation = "authly.dev/rotate-pepper-requested-at=now";
        self.kubectl(&["annotate", "tenant", &self.tenant, "--overwrite", annotation]).await;
        eventually("another pepper", SOON, || async {
            let now = self.peppers().await?;
            ensure!(now.len() == 1 && now != before, "{now:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn request(&mut self) {
        self.requests += 1;
        let annotation = format!("authly.dev/rotate-requested-at={}", self.requests);
        self.kubectl(&["annotate", "tenant", &self.tenant, "--overwrite", &annotation]).await;
    }

    async fn until_published(&self) {
        eventually("next keys", SOON, || async {
            let next = self.kids("next").await?;
            ensure!(next.0.is_some() && next.1.is_some(), "{next:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// One rotation, until the new keys sign.
    async fn rotate(&mut self, how: How) {
        let before = self.kids("active").await.unwrap();
        match how {
            How::Annotation => self.request().await,
            How::OperatorKilled => {
                self.request().await;
                self.until_published().await;
                self.restart_operator().await;
            }
            How::GatewayStopped => {
                self.gateways[1].process.signal("STOP").unwrap();
                self.request().await;
                self.until_published().await;
                // Longer than a rotation takes, shorter than the lease of a replica.
                tokio::time::sleep(5 * SECOND).await;
                assert_eq!(self.kids("active").await.unwrap(), before, "a key signs that a gateway does not know");
                self.gateways[1].process.signal("CONT").unwrap();
            }
            How::Schedule => {
                self.patch(json!({"rotateEvery": "1h"})).await;
                self.sql("UPDATE authly.signing_key SET activated_at = now() - interval '59 minutes 58 seconds' WHERE state = 'active'".to_owned())
                    .await;
                self.restart_operator().await;
            }
            How::Algorithm(algorithm) => self.patch(json!({"algorithm": algorithm})).await,
            How::Pepper => return self.change_pepper().await,
        }
        let only_tokens = matches!(how, How::Algorithm(_));
        eventually(&format!("{how:?}: new keys sign"), SOON, || async {
            let now = self.kids("active").await?;
            ensure!(now.0.is_some() && now.0 != before.0 && (only_tokens || now.1 != before.1), "{before:?} {now:?}");
            ensure!(self.kids("next").await? == (None, None), "a rotation is under way");
            Ok(())
        })
        .await
        .unwrap();
        self.stack.condition(&format!("tenant {}", self.tenant), "Ready", "True", "", SOON).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_unnoticed_and_a_compromised_one_is_refused_within_a_second() {
    let long = is_long();
    let mut world = World::start().await;
    let traffic = Traffic::start(&world.place);
    let short = [How::Annotation, How::OperatorKilled, How::GatewayStopped, How::Pepper, How::Algorithm("ES256")];
    let more = [
        How::Annotation,
        How::Schedule,
        How::Algorithm("PS256"),
        How::Annotation,
        How::OperatorKilled,
        How::Algorithm("EdDSA"),
    ];
    let rotations = short.iter().chain(more.iter().filter(|_| long));
    let mut count = 0;
    for how in rotations {
        world.rotate(*how).await;
        count += 1;
    }
    // What the last old key signed lives on for a while.
    tokio::time::sleep(3 * SECOND).await;
    let (done, fetches, failures) = traffic.end().await;
    println!(
        "{count} changes, {done} requests and verifications, {fetches} key sets fetched, {} failures",
        failures.len()
    );
    assert!(failures.is_empty(), "{} of {done}: {:#?}", failures.len(), &failures[..failures.len().min(10)]);
    assert!(done > count * 50 && fetches > count, "{done} {fetches}");
    if long {
        eventually("the old keys go", 3 * SOON, || async {
            let keys = world.keys().await?;
            ensure!(keys.len() == 2, "{keys:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
    compromised(&world).await;
}

/// Emergency revocation of both active keys.
async fn compromised(world: &World) {
    let (http, place) = (http(), &world.place);
    let token = place.token(&http, 0).await.unwrap();
    let url = place.sign(&http, 1, &token).await.unwrap();
    let mut verifier = place.verifier(http.clone(), "/jwks.json");
    verifier.token(&place.issuer, &token).await.unwrap();
    for server in 0..2 {
        assert!(place.is_active(&http, server, &token).await.unwrap());
    }
    for gateway in 0..2 {
        assert_eq!(place.redeem(&http, gateway, &url).await.unwrap(), 200);
    }
    let (Some(of_token), Some(of_url)) = world.kids("active").await.unwrap() else { panic!("no active keys") };
    world.patch(json!({"revoked": [of_token, of_url]})).await;
    let revoked = format!(
        "SELECT 1 / (count(*) / 2) FROM authly.signing_key WHERE state = 'revoked' AND kid IN ('{of_token}', '{of_url}')"
    );
    eventually("revoked in the store", SOON, || async {
        let mut connection = PgConnection::connect(&world.stack.database).await?;
        connection.execute(AssertSqlSafe(revoked.clone())).await?;
        Ok(())
    })
    .await
    .unwrap();
    eventually("every replica refuses what they signed", SECOND, || async {
        for server in 0..2 {
            ensure!(!place.is_active(&http, server, &token).await?, "server {server}");
        }
        for gateway in 0..2 {
            ensure!(place.redeem(&http, gateway, &url).await? == 403, "gateway {gateway}");
        }
        Ok(())
    })
    .await
    .unwrap();
    // What signs instead works everywhere, and a verifier knows it once its key set is too old.
    let token = place.token(&http, 0).await.unwrap();
    for server in 0..2 {
        assert!(place.is_active(&http, server, &token).await.unwrap());
    }
    let url = place.sign(&http, 1, &token).await.unwrap();
    for gateway in 0..2 {
        assert_eq!(place.redeem(&http, gateway, &url).await.unwrap(), 200);
    }
    tokio::time::sleep(SECOND).await;
    verifier.token(&place.issuer, &token).await.unwrap();
}
