//! What the suites of this crate share: worlds from text, and claims as a store would hold them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;

use authly_desired::{Object, Resolved, StoredClaims, StoredTenant, TenantOwner, World, desired, parse};
use authly_model::{diff::Item, ids::TenantId};
use uuid::Uuid;

pub const ISSUER_BASE: &str = "https://auth.example";

pub fn objects(text: &str) -> Vec<Object> {
    let manifests = parse(text, "test.yaml").into_iter();
    manifests.map(|m| m.unwrap_or_else(|bad| panic!("{bad}\n{text}")).object).collect()
}

pub fn world(text: &str) -> World {
    let mut world = World::new("default", ISSUER_BASE);
    for object in objects(text) {
        world.put(object);
    }
    world
}

/// Resolves every tenant and writes what is valid into the claims, as the applier would.
pub fn program(world: &mut World) -> BTreeMap<String, Resolved> {
    let resolved: BTreeMap<String, Resolved> =
        world.tenant_names().into_iter().map(|name| (name.clone(), desired(world, &name))).collect();
    let mut claims = world.claims_mut().clone();
    for (name, resolved) in &resolved {
        store(&mut claims, name, resolved);
    }
    world.set_claims(claims);
    resolved
}

fn store(claims: &mut StoredClaims, name: &str, resolved: &Resolved) {
    if let Some(Item::Valid(tenant)) = &resolved.desired.tenant {
        let owner = TenantOwner { installation: "default".to_owned(), name: name.to_owned() };
        let id = resolved.tenant_id.unwrap_or(TenantId(Uuid::from_u128(claims.tenants.len() as u128 + 1)));
        claims.hosts.extend(tenant.url_hosts.iter().map(|host| (host.clone(), owner.clone())));
        claims.issuers.insert(tenant.issuer.clone(), owner.clone());
        let new = StoredTenant {
            id,
            issuer: tenant.issuer.clone(),
            deletion: tenant.deletion,
            client_ids: Default::default(),
            paths: Default::default(),
        };
        let stored = claims.tenants.entry(name.to_owned()).or_insert(new);
        stored.deletion = tenant.deletion;
        claims.tenant_ids.insert(stored.id, owner);
    }
    let Some(stored) = claims.tenants.get_mut(name) else { return };
    for (object, item) in &resolved.desired.clients {
        if let Item::Valid(client) = item {
            stored.client_ids.insert(client.client_id.clone(), object.clone());
        }
    }
    for (object, item) in &resolved.desired.routes {
        if let Item::Valid(route) = item {
            stored.paths.retain(|_, holder| holder != object);
            let paths = route.hosts.iter().map(|host| (host.clone(), route.path_prefix.clone()));
            stored.paths.extend(paths.map(|path| (path, object.clone())));
        }
    }
}
