//! The rules that need more than one object or one moment (operator.md, rules 1, 2, 4, 9, 10, 13).

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeSet, fs, path::Path, time::Instant};

use authly_desired::{Object, Reason, Resolved, StoredClaims, TenantOwner, World, desired};
use authly_model::{
    diff::{Change, Item, Stored, diff, spec_hash},
    ids::{Kind, ObjectName, ObjectRef},
    key::Algorithm,
    retention::DataClass,
    tenant::{DeletionPolicy, Role},
};
use support::{objects, program, world};

const CONTEXT: &str = include_str!("../corpus/context.yaml");

fn object(kind: &str, namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: authly.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{tenantRef: {{name: acme}}, {spec}}}\n"
    )
}

fn client(namespace: &str, name: &str, spec: &str) -> String {
    object("OAuthClient", namespace, name, &format!("type: Service, {spec}"))
}

fn route(namespace: &str, name: &str, prefix: &str) -> String {
    object("SignedUrlRoute", namespace, name, &format!("hosts: [files.acme.example], pathPrefix: {prefix}"))
}

fn retention(name: &str, mode: &str, rules: &str) -> String {
    object("RetentionPolicy", "shop", name, &format!("mode: {mode}, rules: [{rules}]"))
}

fn with(text: &str) -> World {
    world(&format!("{CONTEXT}{text}"))
}

fn reason(resolved: &Resolved, kind: Kind, namespace: &str, name: &str) -> Option<Reason> {
    let verdict = &resolved.verdicts[&ObjectRef::new(kind, namespace, name)];
    verdict.accepted.as_ref().err().map(|refusal| refusal.reason)
}

fn put(world: &mut World, text: &str) -> BTreeSet<String> {
    objects(text).into_iter().flat_map(|object| world.put(object)).collect()
}

/// The object as an API server would show it: created `age` seconds after the epoch, or being deleted.
fn aged(text: &str, age: i64, deleting: bool) -> Object {
    let time = |at| k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::from_second(at).unwrap());
    let change = |metadata: &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| {
        metadata.creation_timestamp = Some(time(age));
        metadata.deletion_timestamp = deleting.then(|| time(age + 1));
    };
    match objects(text).remove(0) {
        Object::Tenant(o) => {
            let mut o = (*o).clone();
            change(&mut o.metadata);
            o.into()
        }
        Object::OAuthClient(o) => {
            let mut o = (*o).clone();
            change(&mut o.metadata);
            o.into()
        }
        Object::SignedUrlRoute(o) => {
            let mut o = (*o).clone();
            change(&mut o.metadata);
            o.into()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_quick_start_is_accepted_with_its_defaults() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 6);
    let text: String = files.iter().map(|path| format!("---\n{}", fs::read_to_string(path).unwrap())).collect();
    let resolved = desired(&world(&text), "acme");
    assert_eq!(resolved.verdicts.len(), 5);
    for (object, verdict) in &resolved.verdicts {
        assert!(verdict.accepted.is_ok() && verdict.resolved_refs.is_ok() && !verdict.stalled, "{object}: {verdict:?}");
    }
    let effective = |kind, name| &resolved.verdicts[&ObjectRef::new(kind, "shop", name)].effective;
    let client = effective(Kind::OAuthClient, "billing");
    assert_eq!(client.client_id.as_deref(), Some("shop.billing"));
    assert_eq!(client.secret_name.as_deref(), Some("billing-oauth"));
    assert_eq!(client.issuer.as_deref(), Some("https://auth.example/t/acme"));
    let route = effective(Kind::SignedUrlRoute, "reports");
    assert_eq!((route.host.as_deref(), route.path.as_deref()), (Some("localhost:8081"), Some("/reports/")));
    assert_eq!((route.max_ttl.as_deref(), route.default_ttl.as_deref()), (Some("1d"), Some("15m")));
    let policy = effective(Kind::AccessPolicy, "reports");
    assert_eq!((policy.mode.as_deref(), policy.tests.as_deref()), (Some("Enforce"), Some("2/2")));
    assert_eq!(effective(Kind::RetentionPolicy, "standard").mode.as_deref(), Some("Enforce"));
    let Some(Item::Valid(tenant)) = &resolved.desired.tenant else { panic!("{:?}", resolved.desired.tenant) };
    assert_eq!((tenant.token_algorithm, tenant.deletion), (Algorithm::EdDSA, DeletionPolicy::Retain));
    let Item::Valid(client) = &resolved.desired.clients[&ObjectName::new("shop", "billing")] else { panic!() };
    assert!(client.scopes.contains("signed_urls") && client.access_token_lifetime.0 == 600);
}

#[test]
fn invalid_is_not_absent() {
    let good = format!("{}{}{}", client("shop", "a", ""), client("shop", "b", ""), route("shop", "r", "/r/"));
    let mut world = with(&good);
    let before = program(&mut world).remove("acme").unwrap();
    let mut stored = Stored::default();
    for change in diff(&before.desired, &stored).unwrap() {
        match &change {
            Change::PutTenant(tenant, _) => stored.tenant = Some(spec_hash(tenant).unwrap()),
            Change::PutClient(_, hash) | Change::PutRoute(_, hash) => {
                stored.objects.insert(change.object(), *hash);
            }
            other => panic!("{other:?}"),
        }
    }
    // Refused: kept. Gone: deleted. Unreadable: kept. A Tenant that is refused keeps all of its own.
    put(&mut world, &object("SignedUrlRoute", "shop", "r", "hosts: [other.example], pathPrefix: /r/"));
    world.remove(&ObjectRef::new(Kind::OAuthClient, "shop", "a"));
    world.put_unreadable(ObjectRef::new(Kind::OAuthClient, "shop", "b"));
    world.remove(&ObjectRef::new(Kind::OAuthClient, "shop", "c"));
    let deleted = |world: &World| {
        let changes = diff(&desired(world, "acme").desired, &stored).unwrap();
        changes
            .iter()
            .map(|change| format!("{change:?}").chars().take(6).collect::<String>() + &change.object().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(deleted(&world), ["DeleteOAuthClient shop/a"]);
    world.set_incomplete(true);
    assert!(deleted(&world).is_empty());
    world.set_incomplete(false);
    put(
        &mut world,
        "{apiVersion: authly.dev/v1alpha1, kind: Tenant, metadata: {name: acme}, spec: {issuer: 'https://b.example'}}",
    );
    let resolved = desired(&world, "acme");
    assert_eq!(resolved.desired.tenant, Some(Item::Keep));
    assert_eq!(reason(&resolved, Kind::Tenant, "", "acme"), Some(Reason::IssuerImmutable));
    assert_eq!(reason(&resolved, Kind::SignedUrlRoute, "shop", "r"), Some(Reason::TenantNotAccepted));
    assert_eq!(deleted(&world), ["DeleteOAuthClient shop/a"]);
}

#[test]
fn a_missing_tenant_is_waited_for_and_its_objects_can_be_deleted() {
    let mut world = with(&client("shop", "a", ""));
    program(&mut world);
    world.remove(&ObjectRef::new(Kind::Tenant, "", "acme"));
    let resolved = desired(&world, "acme");
    let verdict = &resolved.verdicts[&ObjectRef::new(Kind::OAuthClient, "shop", "a")];
    assert_eq!(verdict.resolved_refs.as_ref().unwrap_err().reason, Reason::TenantNotFound);
    assert!(!verdict.stalled, "Reconciling, not Stalled");
    assert_eq!((&resolved.desired.tenant, resolved.tombstone), (&None, false), "Retain keeps serving");
    world.remove(&ObjectRef::new(Kind::OAuthClient, "shop", "a"));
    assert!(desired(&world, "acme").desired.clients.is_empty());
    assert!(world.tenant_names().contains("acme"), "a stored tenant is resolved without any manifest");
}

#[test]
fn deletion_policy_delete_leaves_a_tombstone() {
    let tenant = "---\n{apiVersion: authly.dev/v1alpha1, kind: Tenant, metadata: {name: globex}, spec: {deletionPolicy: Delete}}\n";
    let mut world = with(tenant);
    program(&mut world);
    assert!(!desired(&world, "globex").tombstone);
    world.put(aged(tenant, 5, true));
    let resolved = desired(&world, "globex");
    assert!(resolved.tombstone && resolved.desired.tenant.is_none() && resolved.verdicts.is_empty());
    world.remove(&ObjectRef::new(Kind::Tenant, "", "globex"));
    assert!(desired(&world, "globex").tombstone, "its manifest is gone, as in a dev folder");
    world.set_incomplete(true);
    assert!(!desired(&world, "globex").tombstone, "but not while a file cannot be read");
    world.set_incomplete(false);
    put(&mut world, tenant);
    assert!(!desired(&world, "globex").tombstone, "applied again, it is restored");
}

#[test]
fn an_object_that_is_being_deleted_is_absent_and_frees_what_it_had() {
    let mut world = with("");
    world.put(aged(&client("shop", "a", "clientId: x"), 1, false));
    program(&mut world);
    world.put(aged(&client("shop", "b", "clientId: x"), 2, false));
    assert_eq!(reason(&desired(&world, "acme"), Kind::OAuthClient, "shop", "b"), Some(Reason::ClientIdConflict));
    world.put(aged(&client("shop", "a", "clientId: x"), 1, true));
    let resolved = desired(&world, "acme");
    assert_eq!(reason(&resolved, Kind::OAuthClient, "shop", "b"), None);
    assert!(!resolved.desired.clients.contains_key(&ObjectName::new("shop", "a")));
}

#[test]
fn the_one_in_postgres_wins_then_the_older_then_the_name() {
    let mut world = with("");
    world.put(aged(&client("shop", "a", "clientId: x"), 20, false));
    world.put(aged(&client("shop", "z", "clientId: x"), 10, false));
    assert_eq!(reason(&desired(&world, "acme"), Kind::OAuthClient, "shop", "a"), Some(Reason::ClientIdConflict));
    let mut world = with("");
    world.put(aged(&client("shop", "a", "clientId: x"), 20, false));
    program(&mut world);
    world.put(aged(&client("shop", "z", "clientId: x"), 10, false));
    let resolved = desired(&world, "acme");
    assert_eq!(reason(&resolved, Kind::OAuthClient, "shop", "z"), Some(Reason::ClientIdConflict));
    assert!(resolved.verdicts[&ObjectRef::new(Kind::OAuthClient, "shop", "z")].stalled);
}

#[test]
fn routes_can_swap_their_paths_and_a_refused_move_holds_the_old_one() {
    let mut world = with(&format!("{}{}", route("shop", "a", "/a/"), route("shop", "b", "/b/")));
    program(&mut world);
    put(&mut world, &format!("{}{}", route("shop", "a", "/b/"), route("shop", "b", "/a/")));
    let resolved = desired(&world, "acme");
    assert!(resolved.verdicts.values().all(|verdict| verdict.accepted.is_ok()), "{:?}", resolved.verdicts);
    // a's move is refused, so /a/ stays taken and b cannot have it.
    put(&mut world, &object("SignedUrlRoute", "shop", "a", "hosts: [other.example], pathPrefix: /c/"));
    assert_eq!(reason(&desired(&world, "acme"), Kind::SignedUrlRoute, "shop", "b"), Some(Reason::PathConflict));
}

#[test]
fn a_members_route_that_was_there_first_stays_under_a_later_prefix() {
    let mut world = with("");
    world.put(aged(&route("blog", "posts", "/blog/posts/"), 10, false));
    world.put(aged(&route("shop", "all", "/"), 20, false));
    let resolved = desired(&world, "acme");
    assert_eq!(reason(&resolved, Kind::SignedUrlRoute, "blog", "posts"), None);
    world.put(aged(&route("blog", "new", "/blog/new/"), 30, false));
    let resolved = desired(&world, "acme");
    assert_eq!(reason(&resolved, Kind::SignedUrlRoute, "blog", "new"), Some(Reason::PathNotAllowed));
}

#[test]
fn the_handshake_follows_labels_and_roles() {
    let mut world = with(&client("outside", "a", ""));
    let state = |world: &World| reason(&desired(world, "acme"), Kind::OAuthClient, "outside", "a");
    assert_eq!(state(&world), Some(Reason::NamespaceNotAllowed));
    let touched =
        put(&mut world, "{apiVersion: v1, kind: Namespace, metadata: {name: outside, labels: {team: content}}}");
    assert_eq!((touched, state(&world)), (BTreeSet::from(["acme".to_owned()]), None));
    put(
        &mut world,
        &object("AccessPolicy", "blog", "p", "cedar: 'permit (principal, action == Action::\"sign\", resource);'"),
    );
    let resolved = desired(&world, "acme");
    let Item::Valid(policy) = &resolved.desired.policies[&ObjectName::new("blog", "p")] else { panic!() };
    assert_eq!(policy.role, Role::Member);
    world.remove_namespace("outside");
    assert_eq!(state(&world), Some(Reason::NamespaceNotFound));
}

#[test]
fn another_installation_is_left_alone_and_its_claims_hold() {
    let mut world = with(
        "---\n{apiVersion: authly.dev/v1alpha1, kind: Tenant, metadata: {name: other}, spec: {installation: b, urlHosts: [b.example]}}\n---\n{apiVersion: authly.dev/v1alpha1, kind: Tenant, metadata: {name: globex}, spec: {urlHosts: [b.example]}}",
    );
    let resolved = desired(&world, "other");
    assert!(!resolved.ours && resolved.verdicts.is_empty() && resolved.desired.incomplete);
    assert_eq!(reason(&desired(&world, "globex"), Kind::Tenant, "", "globex"), None);
    let owner = TenantOwner { installation: "b".to_owned(), name: "globex".to_owned() };
    world.set_claims(StoredClaims { hosts: [("b.example".to_owned(), owner)].into(), ..StoredClaims::default() });
    assert_eq!(reason(&desired(&world, "globex"), Kind::Tenant, "", "globex"), Some(Reason::HostConflict));
}

#[test]
fn a_changed_tenant_touches_those_that_want_the_same() {
    let tenant = |name: &str, host: &str| {
        format!(
            "---\n{{apiVersion: authly.dev/v1alpha1, kind: Tenant, metadata: {{name: {name}}}, spec: {{urlHosts: [{host}]}}}}\n"
        )
    };
    let mut world = with(&format!("{}{}", tenant("t1", "x.example"), tenant("t2", "x.example")));
    assert_eq!(reason(&desired(&world, "t2"), Kind::Tenant, "", "t2"), Some(Reason::HostConflict));
    let touched = put(&mut world, &tenant("t1", "y.example"));
    assert_eq!(touched, BTreeSet::from(["t1".to_owned(), "t2".to_owned()]));
    assert_eq!(reason(&desired(&world, "t2"), Kind::Tenant, "", "t2"), None);
}

#[test]
fn the_longest_retention_wins_and_the_loser_keeps_the_rest() {
    let mut world = with(&retention("a", "Enforce", "{data: [Tokens], after: 10d}, {data: [Audit], after: 20d}"));
    put(&mut world, &retention("b", "Enforce", "{data: [Tokens], after: 30d}"));
    put(&mut world, &retention("c", "DryRun", "{data: [Tokens, Audit], after: 90d}"));
    let resolved = desired(&world, "acme");
    assert_eq!(reason(&resolved, Kind::RetentionPolicy, "shop", "a"), Some(Reason::Conflicted));
    assert_eq!(reason(&resolved, Kind::RetentionPolicy, "shop", "b"), None);
    assert_eq!(reason(&resolved, Kind::RetentionPolicy, "shop", "c"), None);
    let Item::Valid(a) = &resolved.desired.retentions[&ObjectName::new("shop", "a")] else { panic!() };
    assert_eq!(a.rules.iter().map(|rule| rule.class).collect::<Vec<_>>(), [DataClass::Audit]);
}

#[test]
fn ten_thousand_clients_and_two_thousand_routes_resolve_at_once() {
    let mut world = with("");
    let [Object::OAuthClient(client), Object::SignedUrlRoute(route)] =
        &objects(&format!("{}{}", client("blog", "a", ""), route("blog", "a", "/a/")))[..]
    else {
        panic!()
    };
    let begin = Instant::now();
    for i in 0..10_000 {
        let mut client = (**client).clone();
        client.metadata.name = Some(format!("c{i}"));
        world.put(client.into());
    }
    for i in 0..2_000 {
        let mut route = (**route).clone();
        route.metadata.name = Some(format!("r{i}"));
        route.spec.path_prefix = format!("/a/{i}/b/c/");
        world.put(route.into());
    }
    let put = begin.elapsed();
    program(&mut world);
    let begin = Instant::now();
    let resolved = desired(&world, "acme");
    let took = begin.elapsed();
    assert_eq!(resolved.verdicts.values().filter(|verdict| verdict.accepted.is_ok()).count(), 12_001);
    println!("12,000 objects: put {put:?}, resolved in {took:?} (unoptimised)");
    assert!(took.as_millis() < 2_000, "{took:?}");
}
