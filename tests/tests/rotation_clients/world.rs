//! The stage of the suite: a tenant with clients, two servers, an operator, and traffic.

use std::time::Duration;

use anyhow::ensure;
use authly_tests::{
    api::http,
    controlplane::stdout_of,
    manifests,
    process::{Process, eventually, free_port},
    stack::{Listening, Stack},
};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use reqwest::Client;
use serde_json::{Value, json};

use crate::traffic::{self, Asker, Traffic};

/// The overlap of every client here.
pub(crate) const OVERLAP: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(60);

/// A tenant with its processes.
pub(crate) struct World {
    pub(crate) stack: Stack,
    operator: Option<Process>,
    pub(crate) servers: Vec<Listening>,
    pub(crate) namespace: String,
    secrets: Api<Secret>,
    host: String,
    path: String,
    http: Client,
}

/// An OAuthClient with these credentials.
fn client(id: &str, name: &str, credentials: &str) -> String {
    manifests::client(id, name, &format!("  credentials: {credentials}\n"))
}

fn manifests(id: &str) -> String {
    manifests::tenant(id, "") + &client(id, "billing", "{secret: {overlap: 4s}}")
}

impl World {
    /// The client `billing` is Ready.
    pub(crate) async fn start() -> Self {
        let stack = Stack::new().await.unwrap();
        let id = stack.id.clone();
        let ports = [free_port().unwrap(), free_port().unwrap()];
        let host = format!("localhost:{}", ports[0]);
        let secrets = Api::namespaced(stack.cluster.client().await.unwrap(), &format!("shop-{id}"));
        let mut world = Self {
            namespace: format!("shop-{id}"),
            path: format!("/t/acme-{id}"),
            stack,
            operator: None,
            servers: Vec::new(),
            secrets,
            host,
            http: http(),
        };
        world.start_operator().await;
        world.stack.apply(&manifests(&id)).await.unwrap();
        for (n, port) in ports.into_iter().enumerate() {
            world.servers.push(world.stack.server(&format!("server-{n}"), port, None).await.unwrap());
        }
        world.ready("billing").await;
        world
    }

    /// Adds a client with these credentials.
    pub(crate) async fn add(&self, name: &str, credentials: &str) {
        self.stack.apply(&client(&self.stack.id, name, credentials)).await.unwrap();
    }

    /// Waits until a condition of a client has a status and a reason; its message.
    pub(crate) async fn until(&self, client: &str, kind: &str, status: &str, reason: &str) -> String {
        let what = format!("oauthclient {client} -n {}", self.namespace);
        let condition = self.stack.condition(&what, kind, status, reason, PATIENCE).await.unwrap();
        condition["message"].as_str().unwrap_or_default().to_owned()
    }

    async fn start_operator(&mut self) {
        let installation = format!("inst-{}", self.stack.id);
        let base = format!("http://{}", self.host);
        self.operator = Some(self.stack.operator("operator", &installation, &base).await.unwrap());
    }

    /// `kill -9`, and another one.
    pub(crate) async fn kill_operator(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.signal("KILL").unwrap();
        }
        self.start_operator().await;
    }

    /// Waits until a client is Ready.
    pub(crate) async fn ready(&self, client: &str) {
        let what = format!("oauthclient {client} -n {}", self.namespace);
        self.stack.condition(&what, "Ready", "True", "", PATIENCE).await.unwrap();
    }

    pub(crate) async fn kubectl(&self, args: &[&str]) -> String {
        let args = [args, &["-n", &self.namespace]].concat();
        stdout_of(self.stack.cluster.kubectl(&args, None).await.unwrap()).unwrap()
    }

    pub(crate) async fn annotate(&self, client: &str, annotation: &str, value: &str) {
        let value = format!("{annotation}={value}");
        self.kubectl(&["annotate", "--overwrite", "oauthclient", client, &value]).await;
    }

    pub(crate) async fn status(&self, client: &str) -> Value {
        let object = self.stack.object(&format!("oauthclient {client} -n {}", self.namespace)).await.unwrap();
        object["status"].clone()
    }

    /// Waits until a rotation was handled and nothing of it is under way any more.
    pub(crate) async fn settled(&self, client: &str, asked: &str) {
        eventually(&format!("{asked} is over"), OVERLAP + PATIENCE, || async {
            let status = self.status(client).await;
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let rotating = conditions.iter().any(|c| c["type"] == "RotationInProgress");
            ensure!(status["rotateRequestedAt"] == asked && !rotating, "{status}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// A value of the generated Secret of a client.
    pub(crate) async fn value(&self, client: &str, key: &str) -> anyhow::Result<String> {
        traffic::value(&self.secrets, &format!("{client}-oauth"), key).await
    }

    /// Sets keys of a Secret, and removes those without a value, as its owner would.
    pub(crate) async fn put(&self, secret: &str, values: &[(&str, Option<&str>)]) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let data: serde_json::Map<String, Value> =
            values.iter().map(|(key, value)| ((*key).to_owned(), json!(value.map(|v| STANDARD.encode(v))))).collect();
        let patch = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "data": data});
        if self.secrets.get_opt(secret).await.unwrap().is_none() {
            let secret: Secret = serde_json::from_value(patch).unwrap();
            self.secrets.create(&kube::api::PostParams::default(), &secret).await.unwrap();
        } else {
            let params = kube::api::PatchParams::default();
            self.secrets.patch(secret, &params, &kube::api::Patch::Merge(patch)).await.unwrap();
        }
    }

    /// A Secret as it is.
    pub(crate) async fn secret(&self, name: &str) -> Option<Secret> {
        self.secrets.get_opt(name).await.unwrap()
    }

    /// The status of a token request on a server.
    pub(crate) async fn token(&self, port: u16, client: &str, secret: &str) -> anyhow::Result<u16> {
        self.asker(client).token(port, secret).await.map(|(status, _)| status)
    }

    fn asker(&self, client: &str) -> Asker {
        Asker {
            http: self.http.clone(),
            host: self.host.clone(),
            path: self.path.clone(),
            client_id: format!("{}.{client}", self.namespace),
        }
    }

    /// Starts `parallel` clients for each server, which read their value from a key of a Secret.
    pub(crate) fn traffic(&self, client: &str, (secret, key): (&str, &str), parallel: usize) -> Traffic {
        let ports = self.servers.iter().map(|server| server.port).cycle().take(self.servers.len() * parallel);
        Traffic::start(ports, &self.asker(client), (&self.secrets, secret, key))
    }
}
