//! What a script or a person needs to start: `dev.json`, and the lines to paste. Built from the objects' statuses and the
//! clients' Secrets. Pure.

use authly_desired::Object;
use authly_model::ids::ObjectName;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    samples,
    state::{Admitted, State},
};

/// `DATA_DIR/dev.json`.
#[derive(Serialize, PartialEq, Eq, Default)]
pub(crate) struct Summary {
    /// Of the first tenant by name.
    pub(crate) issuer: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) signed_urls_endpoint: Option<String>,
    /// The gateway's base URL.
    pub(crate) gateway: String,
    /// Of every tenant.
    pub(crate) clients: Vec<Client>,
}

/// A client in `dev.json`.
#[derive(Serialize, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) client_id: String,
    /// None for `private_key_jwt`.
    #[serde(serialize_with = "exposed")]
    pub(crate) client_secret: Option<Zeroizing<String>>,
    #[serde(rename = "type")]
    pub(crate) client_type: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) tenant: String,
    pub(crate) issuer: String,
    pub(crate) token_endpoint: String,
}

fn exposed<S: serde::Serializer>(secret: &Option<Zeroizing<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|secret| secret.as_str()).serialize(serializer)
}

/// A route to try: the first of the tenant.
pub(crate) struct Sample {
    /// `<namespace>/<name>`.
    pub(crate) route: String,
    /// One of its hosts.
    pub(crate) host: String,
    /// A path below its prefix.
    pub(crate) path: String,
}

/// Builds `dev.json`; `secret` answers the `client_secret` of a Secret.
pub(crate) fn summary(
    state: &State,
    gateway: &str,
    secret: impl Fn(&ObjectName) -> Option<Zeroizing<String>>,
) -> Summary {
    let issuer = first_tenant(state).and_then(|admitted| text(admitted, "issuer"));
    let clients = state.objects.values().filter_map(|admitted| client(admitted, &secret));
    Summary {
        token_endpoint: issuer.as_deref().map(token_endpoint),
        signed_urls_endpoint: issuer.as_ref().map(|issuer| format!("{issuer}/v1/signed-urls")),
        issuer,
        gateway: gateway.to_owned(),
        clients: clients.collect(),
    }
}

/// A route of the first tenant to try, best one that the sample file lies under.
pub(crate) fn sample(state: &State) -> Option<Sample> {
    let tenant = first_tenant(state)?.object.tenant()?.to_owned();
    let routes = state.objects.values().filter_map(|admitted| match &admitted.object {
        Object::SignedUrlRoute(route) if route.spec.tenant_ref.name == tenant => Some(route),
        _ => None,
    });
    let samples = routes.filter_map(|route| {
        let prefix = &route.spec.path_prefix;
        let path = if samples::REPORT.starts_with(prefix.as_str()) {
            samples::REPORT.to_owned()
        } else {
            format!("{prefix}file")
        };
        let metadata = &route.metadata;
        let name = format!("{}/{}", metadata.namespace.as_deref()?, metadata.name.as_deref()?);
        Some(Sample { route: name, host: route.spec.hosts.first()?.clone(), path })
    });
    samples.min_by_key(|sample| sample.path != samples::REPORT)
}

/// What is not Ready, one line each.
pub(crate) fn not_ready(state: &State) -> Vec<String> {
    let line = |(reference, admitted): (_, &Admitted)| {
        let conditions = admitted.status["conditions"].as_array();
        let ready = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
        match ready {
            Some(ready) if ready["status"] == "True" && ready["observedGeneration"] == admitted.generation => None,
            Some(ready) => {
                let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
                Some(format!("{reference}: {}: {}", text("reason"), text("message")))
            }
            None => Some(format!("{reference}: not looked at yet")),
        }
    };
    state.objects.iter().filter_map(line).collect()
}

fn first_tenant(state: &State) -> Option<&Admitted> {
    state
        .objects
        .values()
        .find(|admitted| matches!(admitted.object, Object::Tenant(_)) && text(admitted, "issuer").is_some())
}

fn client(admitted: &Admitted, secret: impl Fn(&ObjectName) -> Option<Zeroizing<String>>) -> Option<Client> {
    let Object::OAuthClient(client) = &admitted.object else { return None };
    let issuer = text(admitted, "issuer")?;
    let namespace = client.metadata.namespace.clone()?;
    let client_secret = text(admitted, "secretName").and_then(|name| secret(&ObjectName::new(namespace, name)));
    Some(Client {
        client_id: text(admitted, "clientId")?,
        client_secret,
        client_type: format!("{:?}", client.spec.type_),
        redirect_uris: client.spec.redirect_uris.clone(),
        tenant: client.spec.tenant_ref.name.clone(),
        token_endpoint: token_endpoint(&issuer),
        issuer,
    })
}

fn token_endpoint(issuer: &str) -> String {
    format!("{issuer}/token")
}

fn text(admitted: &Admitted, field: &str) -> Option<String> {
    admitted.status[field].as_str().map(str::to_owned)
}
