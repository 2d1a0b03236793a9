//! The stage of the suite: a tenant with clients, two servers, an operator, and traffic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use authly_tests::{
    api::http,
    controlplane::stdout_of,
    process::{Process, eventually, free_port},
    stack::{Listening, Stack},
};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The overlap of every client here.
pub(crate) const OVERLAP: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the full form was asked for.
pub(crate) fn long() -> bool {
    std::env::var("AUTHLY_LONG").is_ok_and(|long| long == "1")
}

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

/// What clients saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answered: u64,
    /// Answers that came later than the overlap: they say nothing.
    pub(crate) late: u64,
    pub(crate) failures: Vec<String>,
}

/// Clients that read their Secret and ask for a token, again and again.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
}

/// An OAuthClient that is there beside `billing`, with these credentials.
pub(crate) fn client(id: &str, name: &str, credentials: &str) -> String {
    format!(
        r"---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {{name: {name}, namespace: shop-{id}}}
spec:
  tenantRef: {{name: acme-{id}}}
  type: Service
  credentials: {credentials}
"
    )
}

fn manifests(id: &str) -> String {
    let base = format!(
        r"apiVersion: v1
kind: Namespace
metadata: {{name: shop-{id}}}
---
apiVersion: authly.dev/v1alpha1
kind: Tenant
metadata: {{name: acme-{id}}}
spec:
  displayName: Acme
  installation: inst-{id}
  allowedNamespaces: [{{name: shop-{id}, role: Owner}}]
"
    );
    base + &client(id, "billing", "{secret: {overlap: 4s}}")
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
        value(&self.secrets, &format!("{client}-oauth"), key).await
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
        let stop = Arc::new(AtomicBool::new(false));
        let ports = self.servers.iter().map(|server| server.port).cycle().take(self.servers.len() * parallel);
        let clients = ports.map(|port| {
            let (asker, secrets, stop) = (self.asker(client), self.secrets.clone(), Arc::clone(&stop));
            let (secret, key) = (secret.to_owned(), key.to_owned());
            tokio::spawn(async move { asker.keep_asking(port, (&secret, &key), &secrets, &stop).await })
        });
        Traffic { clients: clients.collect(), stop }
    }
}

async fn value(secrets: &Api<Secret>, name: &str, key: &str) -> anyhow::Result<String> {
    let secret = secrets.get(name).await?;
    let value = secret.data.as_ref().and_then(|data| data.get(key)).with_context(|| format!("no {key}"))?;
    Ok(String::from_utf8(value.0.clone())?)
}

/// Who asks for tokens.
struct Asker {
    http: Client,
    host: String,
    path: String,
    client_id: String,
}

impl Asker {
    async fn token(&self, port: u16, secret: &str) -> anyhow::Result<(u16, String)> {
        let answer = self
            .http
            .post(format!("http://127.0.0.1:{port}{}/token", self.path))
            .header("host", &self.host)
            .basic_auth(&self.client_id, Some(secret))
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    async fn keep_asking(
        self,
        port: u16,
        (secret, key): (&str, &str),
        secrets: &Api<Secret>,
        stop: &AtomicBool,
    ) -> Seen {
        let mut seen = Seen::default();
        while !stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            let value = value(secrets, secret, key).await.expect("the value never goes");
            let answer = self.token(port, &value).await;
            seen.answered += 1;
            match answer {
                Ok((200, _)) => {}
                _ if start.elapsed() >= OVERLAP => seen.late += 1,
                Ok((status, body)) => {
                    seen.failures.push(format!("port {port}, after {:?}: {status}: {body}", start.elapsed()));
                }
                Err(error) => seen.failures.push(format!("port {port}, after {:?}: {error:#}", start.elapsed())),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen
    }
}

impl Traffic {
    /// Ends it; what all of them saw together.
    pub(crate) async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.await.unwrap();
            all.answered += seen.answered;
            all.late += seen.late;
            all.failures.extend(seen.failures);
        }
        all
    }
}
