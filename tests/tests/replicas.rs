//! Two replicas of server and gateway, each a process (issue 3, section 3.4): Programmed waits for all of them; a stopped one holds
//! it back until it wakes or its lease ends; none gives NoReplicas; revocations reach all within a second.

use std::time::Duration;

use anyhow::ensure;
use authly_tests::{
    api::{http, through, token},
    dev::DevClient,
    manifests,
    process::{eventually, free_port},
    scratch::Scratch,
    stack::{Listening, Stack},
};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

struct World {
    stack: Stack,
    _operator: authly_tests::process::Process,
    namespace: String,
    server_port: u16,
    gateway_port: u16,
    _files: Scratch,
    services: Vec<String>,
}

fn manifests(id: &str, gateway_port: u16) -> String {
    manifests::tenant(id, &format!("  urlHosts: [\"localhost:{gateway_port}\"]\n"))
        + &manifests::client(id, "billing", "")
        + &manifests::reports(id, gateway_port, "")
}

impl World {
    async fn start() -> Self {
        let stack = Stack::new().await.unwrap();
        let (server_port, gateway_port) = (free_port().unwrap(), free_port().unwrap());
        let id = stack.id.clone();
        let operator = stack
            .operator("operator", &format!("inst-{id}"), &format!("http://localhost:{server_port}"))
            .await
            .unwrap();
        let files = Scratch::new("files").unwrap();
        std::fs::create_dir(files.path().join("reports")).unwrap();
        std::fs::write(files.path().join("reports/q3.pdf"), "%PDF-1.4 sample").unwrap();
        let services = vec![format!("shop-{id}/files={}", files.path().display())];
        stack.apply(&manifests(&id, gateway_port)).await.unwrap();
        Self {
            namespace: format!("shop-{id}"),
            stack,
            _operator: operator,
            server_port,
            gateway_port,
            _files: files,
            services,
        }
    }

    async fn replicas(&self) -> [Listening; 4] {
        let second = || free_port().unwrap();
        [
            self.stack.server("server-1", self.server_port, None).await.unwrap(),
            self.stack.server("server-2", second(), None).await.unwrap(),
            self.stack.gateway("gateway-1", self.gateway_port, &self.services).await.unwrap(),
            self.stack.gateway("gateway-2", second(), &self.services).await.unwrap(),
        ]
    }

    fn what(&self, kind: &str, name: &str) -> String {
        format!("{kind} {name} -n {}", self.namespace)
    }

    async fn ready(&self) {
        for (kind, name) in [("oauthclient", "billing"), ("signedurlroute", "reports"), ("accesspolicy", "reports")] {
            self.stack.condition(&self.what(kind, name), "Ready", "True", "", 30 * SECOND).await.unwrap();
        }
    }

    async fn client(&self) -> (DevClient, String) {
        self.stack.client(&self.namespace, "billing-oauth").await.unwrap()
    }

    async fn edit_policy(&self, comment: &str) {
        let what = self.what("accesspolicy", "reports");
        let policy = self.stack.object(&what).await.unwrap();
        let cedar = policy["spec"]["cedar"].as_str().unwrap();
        let patch = json!({"spec": {"cedar": format!("{cedar}// {comment}\n")}}).to_string();
        let mut args = vec!["patch"];
        args.extend(what.split_whitespace());
        args.extend(["--type=merge", "-p", &patch]);
        authly_tests::controlplane::stdout_of(self.stack.cluster.kubectl(&args, None).await.unwrap()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programmed_waits_for_every_replica() {
    let world = World::start().await;
    let route = world.what("signedurlroute", "reports");
    world.stack.condition(&route, "Accepted", "True", "", 30 * SECOND).await.unwrap();
    world.stack.condition(&route, "Programmed", "False", "NoReplicas", 10 * SECOND).await.unwrap();
    let replicas = world.replicas().await;
    world.ready().await;

    // One gateway is stopped: an edit stays Programmed=False until it wakes.
    let policy = world.what("accesspolicy", "reports");
    replicas[3].process.signal("STOP").unwrap();
    world.edit_policy("while stopped").await;
    world.stack.condition(&policy, "Programmed", "False", "", 5 * SECOND).await.unwrap();
    tokio::time::sleep(3 * SECOND).await;
    world.stack.condition(&policy, "Programmed", "False", "", SECOND).await.unwrap();
    replicas[3].process.signal("CONT").unwrap();
    world.stack.condition(&policy, "Programmed", "True", "", 5 * SECOND).await.unwrap();

    // Or until its lease of 10 s ends.
    replicas[3].process.signal("STOP").unwrap();
    world.edit_policy("until the lease ends").await;
    world.stack.condition(&policy, "Programmed", "False", "", 5 * SECOND).await.unwrap();
    world.stack.condition(&policy, "Programmed", "True", "", 20 * SECOND).await.unwrap();
    replicas[3].process.signal("CONT").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn revocations_reach_every_replica_within_a_second() {
    let world = World::start().await;
    let replicas = world.replicas().await;
    world.ready().await;
    let (client, endpoint) = world.client().await;
    let http = http();
    let access = token(&http, &endpoint, &client, &[]).await.unwrap();
    let issuer = endpoint.strip_suffix("/token").unwrap().to_owned();

    // A URL.
    let request = json!({"route": format!("{}/reports", world.namespace), "path": "/reports/q3.pdf"});
    let signed: Value = http
        .post(format!("{issuer}/v1/signed-urls"))
        .bearer_auth(&access)
        .json(&request)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let url = signed["url"].as_str().unwrap_or_else(|| panic!("{signed}"));
    for gateway in &replicas[2..] {
        assert_eq!(through(&http, Method::GET, url, gateway.port).await.unwrap().status(), 200);
    }
    let id = signed["id"].as_str().unwrap();
    let deleted = http.delete(format!("{issuer}/v1/signed-urls/{id}")).bearer_auth(&access).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    eventually("both gateways refuse the URL", SECOND, || async {
        for gateway in &replicas[2..] {
            ensure!(through(&http, Method::GET, url, gateway.port).await?.status() == 410);
        }
        Ok(())
    })
    .await
    .unwrap();

    // A token.
    let secret = client.client_secret.as_deref();
    let active = async |http: &Client, port: u16| -> anyhow::Result<bool> {
        let path = issuer.rsplit_once(&format!(":{}", world.server_port)).map_or("", |(_, path)| path);
        let answer = http
            .post(format!("http://127.0.0.1:{port}{path}/introspect"))
            .header("host", format!("localhost:{}", world.server_port))
            .basic_auth(&client.client_id, secret)
            .form(&[("token", &access)])
            .send()
            .await?;
        let body: Value = answer.json().await?;
        Ok(body["active"] == true)
    };
    for server in &replicas[..2] {
        assert!(active(&http, server.port).await.unwrap());
    }
    let revoked = http
        .post(format!("{issuer}/revoke"))
        .basic_auth(&client.client_id, secret)
        .form(&[("token", &access)])
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), 200);
    eventually("both servers say inactive", SECOND, || async {
        for server in &replicas[..2] {
            ensure!(!active(&http, server.port).await?);
        }
        Ok(())
    })
    .await
    .unwrap();
}
