//! What the kubelet does before it starts a container: resolve environment, mounted files, token and `$(NAME)`.
//!
//! Knows what the chart uses. Anything else is an error, never left out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, KeyToPath, PodSpec, Secret, Volume};
use kube::{Api, Client};

use super::files::Folder;
use super::process::Process;
use crate::controlplane::ControlPlane;

type Data = BTreeMap<String, Vec<u8>>;

/// Resolves the references of Pods in one namespace.
pub(super) struct Resolver<'a> {
    control_plane: &'a ControlPlane,
    client: Client,
    namespace: &'a str,
}

impl<'a> Resolver<'a> {
    pub(super) async fn new(control_plane: &'a ControlPlane, namespace: &'a str) -> anyhow::Result<Self> {
        Ok(Self { control_plane, client: control_plane.client().await?, namespace })
    }

    pub(super) async fn process(&self, name: &str, pod: &PodSpec) -> anyhow::Result<Process> {
        let container = only_container(pod)?;
        let files = Folder::temporary(name)?;
        let mounts = self.mounts(pod, container, &files).await?;
        let environment = self.environment(container).await?;

        let mut args: Vec<String> =
            container.args.iter().flatten().map(|argument| expand(argument, &environment)).collect();
        let mut environment: BTreeMap<_, _> = environment.into_iter().collect();
        for text in args.iter_mut().chain(environment.values_mut()) {
            for (mounted, copy) in &mounts {
                *text = text.replace(&format!("{mounted}/"), &format!("{}/", copy.display()));
            }
        }
        if pod.automount_service_account_token != Some(false) {
            let kubeconfig = self.kubeconfig(pod).await?;
            environment.insert("KUBECONFIG".to_owned(), kubeconfig.display().to_string());
        }
        Ok(Process { name: container.name.clone(), args, environment, files: Arc::new(files) })
    }

    /// In place of the token that the kubelet mounts: a kubeconfig with a token of the same service account.
    async fn kubeconfig(&self, pod: &PodSpec) -> anyhow::Result<PathBuf> {
        let account = pod.service_account_name.as_deref().unwrap_or("default");
        let token = self.control_plane.token(self.namespace, account).await?;
        self.control_plane.kubeconfig_for_token(&token)
    }

    /// The variables in their order, which `$(NAME)` depends on.
    async fn environment(&self, container: &Container) -> anyhow::Result<Vec<(String, String)>> {
        let mut environment = Vec::new();
        for variable in container.env.iter().flatten() {
            let value = self.variable(variable, &environment).await;
            if let Some(value) = value.with_context(|| format!("the variable {}", variable.name))? {
                environment.push((variable.name.clone(), value));
            }
        }
        Ok(environment)
    }

    async fn variable(&self, variable: &EnvVar, earlier: &[(String, String)]) -> anyhow::Result<Option<String>> {
        let Some(source) = &variable.value_from else {
            return Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), earlier)));
        };
        let (data, key, optional) = if let Some(secret) = &source.secret_key_ref {
            (self.secret(&secret.name).await, &secret.key, secret.optional)
        } else if let Some(map) = &source.config_map_key_ref {
            (self.config_map(&map.name).await, &map.key, map.optional)
        } else if let Some(field) = &source.field_ref {
            return match field.field_path.as_str() {
                "metadata.namespace" => Ok(Some(self.namespace.to_owned())),
                "status.podIP" => Ok(Some("127.0.0.1".to_owned())),
                other => {
                    bail!("the laboratory does not know the field {other}; add it to tests/src/chart/container.rs")
                }
            };
        } else {
            bail!("the laboratory resolves references to Secrets, ConfigMaps and fields; this is another");
        };
        match data.and_then(|mut data| data.remove(key).with_context(|| format!("there is no key {key}"))) {
            Ok(value) => Ok(Some(String::from_utf8(value).context("not UTF-8")?)),
            Err(_) if optional == Some(true) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies what the container mounts; each path in the container with that of its copy.
    async fn mounts(
        &self,
        pod: &PodSpec,
        container: &Container,
        files: &Folder,
    ) -> anyhow::Result<Vec<(String, PathBuf)>> {
        let mut mounts = Vec::new();
        for mount in container.volume_mounts.iter().flatten() {
            let volume = pod.volumes.iter().flatten().find(|volume| volume.name == mount.name);
            let volume = volume.with_context(|| format!("there is no volume {}", mount.name))?;
            let (content, mode) = self.volume(volume).await.with_context(|| format!("the volume {}", volume.name))?;
            let copy = files.write(&volume.name, &content, mode)?;
            mounts.push((mount.mount_path.trim_end_matches('/').to_owned(), copy));
        }
        Ok(mounts)
    }

    /// The files of a volume and their mode.
    async fn volume(&self, volume: &Volume) -> anyhow::Result<(Vec<(String, Vec<u8>)>, u32)> {
        let (data, items, mode) = if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().context("it names no Secret")?;
            (self.secret(name).await?, &secret.items, secret.default_mode)
        } else if let Some(map) = &volume.config_map {
            (self.config_map(&map.name).await?, &map.items, map.default_mode)
        } else {
            bail!("the laboratory mounts Secrets and ConfigMaps; this is another");
        };
        Ok((selected(data, items.as_deref())?, u32::try_from(mode.unwrap_or(0o644))?))
    }

    async fn secret(&self, name: &str) -> anyhow::Result<Data> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), self.namespace);
        let secret = secrets.get(name).await.with_context(|| format!("the Secret {name}"))?;
        Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
    }

    async fn config_map(&self, name: &str) -> anyhow::Result<Data> {
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), self.namespace);
        let map = maps.get(name).await.with_context(|| format!("the ConfigMap {name}"))?;
        Ok(map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes())).collect())
    }
}

/// The container, if the Pod has one alone and its image's entrypoint is what it starts.
fn only_container(pod: &PodSpec) -> anyhow::Result<&Container> {
    let [container] = pod.containers.as_slice() else { bail!("the laboratory runs Pods with one container") };
    if pod.init_containers.is_some() || container.command.is_some() || container.env_from.is_some() {
        bail!("the laboratory knows neither init containers nor `command` nor `envFrom`");
    }
    Ok(container)
}

/// The files that a volume shows of an object's data: all, or those that `items` name.
fn selected(mut data: Data, items: Option<&[KeyToPath]>) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let Some(items) = items else { return Ok(data.into_iter().collect()) };
    let select = |item: &KeyToPath| {
        let content = data.remove(&item.key).with_context(|| format!("there is no key {}", item.key))?;
        Ok((item.path.clone(), content))
    };
    items.iter().map(select).collect()
}

/// Replaces `$(NAME)` by the variable, if there is one; `$$` is a dollar.
fn expand(text: &str, variables: &[(String, String)]) -> String {
    let Some((before, after)) = text.split_once('$') else { return text.to_owned() };
    if let Some(rest) = after.strip_prefix('$') {
        return format!("{before}${}", expand(rest, variables));
    }
    let reference = after.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let value = reference.and_then(|(name, rest)| {
        let (_, value) = variables.iter().rfind(|(known, _)| known == name)?;
        Some((value, rest))
    });
    match value {
        Some((value, rest)) => format!("{before}{value}{}", expand(rest, variables)),
        None => format!("{before}${}", expand(after, variables)),
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn expands_as_the_kubelet_does() {
        let variables = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())];
        for (text, expanded) in [
            ("plain", "plain"),
            ("$(A)-$(B)", "1-$(A)"),
            ("$(UNKNOWN) $(A", "$(UNKNOWN) $(A"),
            ("$$(A) $A $", "$(A) $A $"),
        ] {
            assert_eq!(expand(text, &variables), expanded, "{text}");
        }
    }
}
