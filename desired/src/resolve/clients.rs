//! OAuthClients: defaults, keys, and who has a client id or a Secret (rules 1 and 3).

use std::collections::BTreeMap;

use authly_crds as crds;
use authly_model::{
    client::{AuthMethod, Client, ClientType, SIGNED_URLS_SCOPE},
    ids::{Kind, ObjectName},
    tenant::Tenant,
};
use jiff::Timestamp;

use super::{
    Resolved, Scope,
    contest::{Contestant, Lost, losers},
    is_deleting, record,
};
use crate::{
    defaults,
    keys::public_jwk,
    object::created,
    verdict::{Effective, Reason, Refusal},
    world::{Entry, secret_of, written_secret},
};

/// The longest client id.
const MAX_CLIENT_ID: usize = 128;

type Clients = BTreeMap<ObjectName, Entry<crds::OAuthClient>>;

impl Scope<'_> {
    pub(super) fn clients(&self, entries: &Clients, resolved: &mut Resolved) {
        let live = || entries.iter().filter(|(_, entry)| !is_deleting(&entry.object.metadata));
        let alone: Vec<_> = live().map(|(name, entry)| (name, entry, self.client(name, entry))).collect();
        let contestants: Vec<_> = alone
            .iter()
            .filter_map(|(name, entry, outcome)| {
                let (client, _) = outcome.as_ref().ok()?;
                let created = created(&entry.object.metadata);
                Some(Contestant { object: name, created, wants: vec![client.client_id.clone()] })
            })
            .collect();
        let is_live = |name: &ObjectName| entries.get(name).is_some_and(|e| !is_deleting(&e.object.metadata));
        let held = self.stored.map(|stored| &stored.client_ids);
        let lost = losers(&contestants, held, |name| self.stays(Kind::OAuthClient, name, is_live(name)));
        for (name, entry, outcome) in alone {
            let outcome = outcome.and_then(|good| match lost.get(name) {
                None => self.owns_secret(name, entry).map(|()| good),
                Some(Lost { thing, holder }) => {
                    let message =
                        format!("the client id `{thing}` belongs to OAuthClient {holder}: set another spec.clientId");
                    Err(Refusal::new(Reason::ClientIdConflict, "spec.clientId", message))
                }
            });
            record(Kind::OAuthClient, name, outcome, &mut resolved.desired.clients, &mut resolved.verdicts);
        }
    }

    /// The client as far as it alone decides.
    fn client(&self, name: &ObjectName, entry: &Entry<crds::OAuthClient>) -> Result<(Client, Effective), Refusal> {
        let (tenant, _) = self.admit(name, &entry.violations)?;
        let spec = &entry.object.spec;
        let client_id = client_id(name, spec)?;
        let keys = spec.jwks.iter().flat_map(|jwks| &jwks.keys).enumerate();
        let jwks = keys
            .map(|(i, key)| {
                public_jwk(key)
                    .map_err(|message| Refusal::new(Reason::InvalidKey, format!("spec.jwks.keys[{i}]"), message))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let client = client(name, spec, client_id, jwks, tenant);
        let has_secret = client.auth_method == AuthMethod::ClientSecret;
        let effective = Effective {
            client_id: Some(client.client_id.clone()),
            secret_name: has_secret.then(|| secret_of(&entry.object).name),
            issuer: Some(tenant.issuer.clone()),
            ..Effective::default()
        };
        Ok((client, effective))
    }

    /// Two clients that write one Secret would overwrite each other.
    fn owns_secret(&self, name: &ObjectName, entry: &Entry<crds::OAuthClient>) -> Result<(), Refusal> {
        let Some(secret) = written_secret(&entry.object) else { return Ok(()) };
        let Some(holders) = self.world.secrets.get(&secret) else { return Ok(()) };
        if holders.len() < 2 || entry.object.spec.auth_method == Some(crds::AuthMethod::PrivateKeyJwt) {
            return Ok(());
        }
        match holders.iter().filter_map(|(tenant, object)| self.secret_rank(tenant, object)).min() {
            Some((_, _, senior)) if senior != name => {
                let message = format!(
                    "Secret `{secret}` belongs to OAuthClient {senior}: set another spec.credentials.secret.name"
                );
                Err(Refusal::new(Reason::SecretNameConflict, "spec.credentials.secret.name", message))
            }
            _ => Ok(()),
        }
    }

    /// The seniority of a client that writes a Secret; none if it writes none.
    fn secret_rank<'n>(
        &self,
        tenant: &str,
        object: &'n ObjectName,
    ) -> Option<(bool, Option<Timestamp>, &'n ObjectName)> {
        let other = self.world.children.get(tenant)?.clients.get(object)?;
        let spec = &other.object.spec;
        let counts = other.violations.is_empty()
            && !is_deleting(&other.object.metadata)
            && spec.auth_method != Some(crds::AuthMethod::PrivateKeyJwt);
        let is_stored =
            self.world.claims.tenants.get(tenant).is_some_and(|stored| {
                client_id(object, spec).is_ok_and(|id| stored.client_ids.get(&id) == Some(object))
            });
        counts.then(|| (!is_stored, created(&other.object.metadata), object))
    }
}

/// The effective client id. One with a dot is of its own namespace, so that nobody takes another's default.
fn client_id(name: &ObjectName, spec: &crds::OAuthClientSpec) -> Result<String, Refusal> {
    let Some(id) = &spec.client_id else {
        let id = defaults::client_id(&name.namespace, &name.name);
        if id.len() > MAX_CLIENT_ID {
            let message = format!("the client id `{id}` is longer than {MAX_CLIENT_ID} characters: set spec.clientId");
            return Err(Refusal::new(Reason::ClientIdNotAllowed, "metadata.name", message));
        }
        return Ok(id);
    };
    let own = format!("{}.", name.namespace);
    if id.contains('.') && !id.starts_with(&own) {
        let message = format!("a client id with a dot starts with `{own}` in namespace `{}`", name.namespace);
        return Err(Refusal::new(Reason::ClientIdNotAllowed, "spec.clientId", message));
    }
    Ok(id.clone())
}

fn client(
    name: &ObjectName,
    spec: &crds::OAuthClientSpec,
    client_id: String,
    jwks: Vec<serde_json::Value>,
    tenant: &Tenant,
) -> Client {
    let lifetime = spec.tokens.as_ref().and_then(|tokens| tokens.access_token_lifetime.as_ref());
    Client {
        object: name.clone(),
        client_id,
        client_type: match spec.type_ {
            crds::ClientType::Service => ClientType::Service,
            crds::ClientType::Web => ClientType::Web,
        },
        auth_method: match spec.auth_method {
            Some(crds::AuthMethod::PrivateKeyJwt) => AuthMethod::PrivateKeyJwt,
            Some(crds::AuthMethod::ClientSecret) | None => AuthMethod::ClientSecret,
        },
        jwks,
        redirect_uris: spec.redirect_uris.clone(),
        scopes: spec.scopes.iter().cloned().chain([SIGNED_URLS_SCOPE.to_owned()]).collect(),
        audiences: spec.audiences.iter().cloned().collect(),
        access_token_lifetime: super::tenant::seconds(lifetime, tenant.access_token_lifetime),
        suspended: spec.suspend.unwrap_or(false),
    }
}
