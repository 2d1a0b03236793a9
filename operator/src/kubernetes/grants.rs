//! Namespaces in which the operator reads and writes Secrets (operator.md, rule 8).
//!
//! One metadata watch per namespace that a client's Secret lies in. Where RBAC forbids it, the watch is tried again, and
//! once it is granted the engine looks at the namespace's clients anew. Bindings are never created here.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use authly_model::ids::ObjectName;
use futures::StreamExt;
use k8s_openapi::api::{authentication::v1::SelfSubjectReview, core::v1::Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{PartialObjectMeta, PostParams},
    runtime::watcher::{self, Event, watcher},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::failure::describe_watch;
use crate::engine::Input;

/// The ClusterRole that the chart ships.
const ROLE: &str = "authly-secrets";
/// Between two tries of a watch that fails.
const RETRY: Duration = Duration::from_secs(5);

type Written = Arc<Mutex<HashMap<ObjectName, String>>>;

/// The namespaces that are watched, and the command that grants one.
pub(super) struct Grants {
    client: Client,
    inputs: mpsc::Sender<Input>,
    watched: Mutex<BTreeSet<String>>,
    /// The version of each Secret as this process last wrote it: its own writes are no news.
    written: Written,
    subject: String,
    /// The name of the RoleBinding: the account's, so that several releases do not collide.
    binding: String,
    stop: CancellationToken,
}

impl Grants {
    /// Asks the API server who this process is, for the commands.
    pub(super) async fn new(client: Client, inputs: mpsc::Sender<Input>, stop: CancellationToken) -> Self {
        let user = who_am_i(client.clone()).await.unwrap_or_default();
        let (subject, binding) = subject(&user);
        Self { client, inputs, watched: Mutex::default(), written: Written::default(), subject, binding, stop }
    }

    /// The exact command that grants a namespace.
    pub(super) fn fix(&self, namespace: &str) -> String {
        format!(
            "kubectl create rolebinding {} --namespace={namespace} --clusterrole={ROLE} {}",
            self.binding, self.subject
        )
    }

    /// Notes a write of this process.
    pub(super) fn wrote(&self, at: &ObjectName, version: &str) {
        lock(&self.written).insert(at.clone(), version.to_owned());
    }

    /// Starts the watch of a namespace, once.
    pub(super) fn watch(&self, namespace: &str) {
        if !lock(&self.watched).insert(namespace.to_owned()) {
            return;
        }
        let written = Arc::clone(&self.written);
        let watch = watch(self.client.clone(), namespace.to_owned(), self.inputs.clone(), written);
        let stop = self.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(watch).await });
    }
}

async fn watch(client: Client, namespace: String, inputs: mpsc::Sender<Input>, written: Written) {
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client, &namespace);
    let mut stream = std::pin::pin!(watcher(api, watcher::Config::default()));
    let mut failed = false;
    let all = || Input::Secrets { namespace: namespace.clone(), name: None };
    let named = |secret: &PartialObjectMeta<Secret>| Input::Secrets {
        namespace: namespace.clone(),
        name: Some(secret.name_any()),
    };
    while let Some(event) = stream.next().await {
        let input = match event {
            Ok(Event::Apply(secret)) if is_own(&written, &namespace, &secret) => None,
            Ok(Event::Apply(secret)) => Some(named(&secret)),
            Ok(Event::Delete(secret)) => {
                lock(&written).remove(&ObjectName::new(&namespace, secret.name_any()));
                Some(named(&secret))
            }
            Ok(Event::InitDone) if std::mem::take(&mut failed) => Some(all()),
            Ok(Event::InitDone | Event::Init | Event::InitApply(_)) => None,
            Err(error) => {
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!(%namespace, error = %describe_watch(&error), "Secrets cannot be watched; trying again");
                }
                tokio::time::sleep(RETRY).await;
                None
            }
        };
        if let Some(input) = input
            && inputs.send(input).await.is_err()
        {
            return;
        }
    }
}

/// Whether the Secret is as this process wrote it last.
fn is_own(written: &Written, namespace: &str, secret: &PartialObjectMeta<Secret>) -> bool {
    let at = ObjectName::new(namespace, secret.name_any());
    let version = secret.metadata.resource_version.as_deref();
    let mut written = lock(written);
    let is_own = written.get(&at).is_some_and(|own| Some(own.as_str()) == version);
    if is_own {
        written.remove(&at);
    }
    is_own
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn who_am_i(client: Client) -> Option<String> {
    let review =
        Api::<SelfSubjectReview>::all(client).create(&PostParams::default(), &SelfSubjectReview::default()).await;
    review.ok()?.status?.user_info?.username
}

fn subject(user: &str) -> (String, String) {
    match user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        Some((namespace, name)) => (format!("--serviceaccount={namespace}:{name}"), format!("{name}-secrets")),
        None => (format!("--user='{}'", user.replace('\'', "'\\''")), ROLE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::subject;

    #[test]
    fn the_command_names_the_account_that_asks() {
        let (subject_flag, binding) = subject("system:serviceaccount:authly:authly-operator");
        assert_eq!(subject_flag, "--serviceaccount=authly:authly-operator");
        assert_eq!(binding, "authly-operator-secrets");
        assert_eq!(subject("jane").0, "--user='jane'");
        assert_eq!(subject("o'hara").0, r"--user='o'\''hara'");
    }
}
