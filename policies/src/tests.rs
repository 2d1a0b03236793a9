//! What only the inside can hold: that files, types and schema agree, and that a slice decides as the full set does.

use std::collections::BTreeSet;

use authly_model::{
    ids::{ObjectName, TenantId},
    policy::{Mode, Policy},
    tenant::Role,
};
use cedar_policy::{Entities, Entity, PolicyId, PolicySet, ValidationMode};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::{
    Redeem, Request, RevokeScope, Sign, TenantPolicies, WhoRef,
    qualify::{Qualifier, finish, guarded},
    request::Maker,
    source::read,
    vocabulary::{Action, Vocabulary, vocabulary},
};

fn known() -> &'static Vocabulary {
    vocabulary().expect("the embedded files are good")
}

/// Every kind of request, with everything optional and with nothing.
fn with_requests(check: impl Fn(&Request<'_>)) {
    let (client, route) = (ObjectName::new("shop", "billing"), ObjectName::new("shop", "reports"));
    let (scopes, none) = (BTreeSet::from(["a".to_owned(), "b".to_owned()]), BTreeSet::new());
    let methods = ["GET".to_owned()];
    let (host, path, now) = ("files.example", "/a", Timestamp::constant(1_795_436_400, 0));
    for (who, uses, address) in [
        (None, None, None),
        (Some(WhoRef::Client("shop.billing")), Some(3), Some("10.0.0.1".parse().expect("address"))),
        (Some(WhoRef::User("ann")), Some(1), Some("::ffff:10.0.0.1".parse().expect("address"))),
        (Some(WhoRef::User("")), Some(i64::MAX), Some("2001:db8::1".parse().expect("address"))),
    ] {
        let signer = who.unwrap_or(WhoRef::Client("shop.x"));
        let methods: &[String] = if uses.is_none() { &[] } else { &methods };
        let sign = Sign {
            signer,
            route: &route,
            host,
            path,
            is_prefix: uses.is_none(),
            methods,
            expires_in: 900,
            for_: who,
            uses,
        };
        check(&Request::sign(&sign));
        check(&Request::sign_as(&sign));
        check(&Request::redeem(Redeem { who, route: &route, host, path, method: "GET", address, now }));
    }
    check(&Request::issue_token("shop.billing", &client, &scopes, &scopes));
    check(&Request::issue_token("shop.billing", &client, &none, &none));
    check(&Request::revoke("shop.billing", &client, RevokeScope::Tenant));
    check(&Request::revoke("shop.billing", &client, RevokeScope::Route(&route)));
}

#[test]
fn every_request_has_the_shape_of_the_schema() {
    let (vocabulary, qualifier) = (known(), Qualifier::without_tenant());
    let (maker, schema) = (Maker { vocabulary, qualifier: &qualifier }, vocabulary.validator.schema());
    with_requests(|request| {
        let facts = maker.facts(request);
        let context = maker.context(&facts, true).expect("context");
        let (principal, action) = (facts.principal.uid.clone(), vocabulary.action(facts.action));
        cedar_policy::Request::new(principal, action, facts.resource.uid.clone(), context, Some(schema))
            .expect("request");
        let checked = [&facts.principal, &facts.resource]
            .map(|node| Entity::new_no_attrs(node.uid.clone(), node.ancestors.iter().cloned().collect()));
        Entities::from_entities(checked.clone(), Some(schema)).expect("entities");
        let computed = Entities::from_entities(checked, None).expect("entities");
        assert!(facts.entities().expect("entities").deep_eq(&computed));
    });
}

#[test]
fn actions_of_the_schema_and_of_the_code_are_the_same() {
    let schema = known().validator.schema();
    let declared: BTreeSet<&str> = schema.actions().map(|uid| uid.id().unescaped()).collect();
    assert_eq!(declared, Action::ALL.iter().map(|(_, name)| *name).collect());
    for (place, (action, _)) in Action::ALL.iter().enumerate() {
        assert_eq!((*action as usize, Action::of(&known().action(*action))), (place, Some(*action)));
    }
    let member = include_str!("../cedar/member.cedar");
    for (_, name) in Action::ALL {
        assert!(member.contains(&format!("Action::\"{name}\"")), "the Member guard says nothing of {name}");
    }
}

#[test]
fn authors_find_every_type_action_and_attribute_in_the_readme() {
    let (schema, readme) = (include_str!("../cedar/schema.cedarschema"), include_str!("../README.md"));
    let words = schema.lines().filter(|line| !line.trim_start().starts_with("//"));
    let names = words.flat_map(|line| {
        let line = line.trim();
        let attributes = line.split([',', '{']).filter_map(|part| part.split_once(':')).map(|(name, _)| name.trim());
        let declared = ["entity ", "action "].iter().find_map(|start| line.strip_prefix(start));
        attributes.chain(declared.and_then(|rest| rest.split([' ', ';']).next())).collect::<Vec<_>>()
    });
    let internal = ["principal", "resource", "context", "Namespace"];
    let names: BTreeSet<&str> =
        names.map(|name| name.trim_end_matches('?')).filter(|name| !internal.contains(name)).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(
            readme.contains(&format!("`{name}`")) || readme.contains(&format!("`{name}?`")),
            "README.md lacks `{name}`"
        );
    }
}

#[test]
fn guarded_and_built_in_policies_are_valid_themselves() {
    let sources = [
        "permit (principal, action, resource);",
        "forbid (principal, action, resource) unless { context has path && context.path like \"/*\" };",
        "permit (principal in Group::\"x\", action == Action::\"redeem\", resource in Route::\"shop/r\") when { context has address };",
        "permit (principal is User, action == Action::\"signAs\", resource is Object) when { if context has uses then context.uses < 3 else true };",
        "permit (principal, action == Action::\"revoke\", resource == Tenant::\"this\");",
    ];
    let mut set = PolicySet::new();
    for (number, source) in sources.iter().enumerate() {
        let parsed = read(source).expect("valid").remove(0);
        let policy = finish(guarded(known(), &parsed, Some("shop")).expect("guarded")).expect("policy");
        set.add(policy.new_id(PolicyId::new(number.to_string()))).expect("added");
        assert!(policy.to_string().contains("Namespace::\"shop\""));
    }
    for policy in &known().builtin {
        set.add(policy.clone()).expect("added");
    }
    let result = known().validator.validate_with_level(&set, ValidationMode::Strict, 1);
    assert!(result.validation_passed(), "{result}");
}

#[test]
fn an_entity_of_another_tenant_is_forbidden_even_where_all_is_permitted() {
    let all = Policy {
        object: ObjectName::new("shop", "all"),
        role: Role::Owner,
        mode: Mode::Enforce,
        cedar: "permit (principal, action, resource);".to_owned(),
    };
    let tenants = [1, 2].map(|n| TenantId(uuid::Uuid::from_u128(n)));
    let (policies, _) = TenantPolicies::compile(tenants[0], std::slice::from_ref(&all));
    let [own, other] = tenants.map(Qualifier::new);
    with_requests(|request| {
        assert!(policies.decide(request).allow);
        assert!(policies.decide_with_ids_of(&own, &own, request).expect("decided").allow);
        for (principal, resource) in [(&own, &other), (&other, &own), (&other, &other)] {
            let decision = policies.decide_with_ids_of(principal, resource, request).expect("decided");
            assert!(!decision.allow && !decision.errors);
            assert_eq!(decision.policies, ["builtin/tenant"]);
        }
    });
}

const PRINCIPALS: [&str; 12] = [
    "principal",
    "principal",
    "principal is Client",
    "principal is User",
    "principal is Bearer",
    "principal == Client::\"shop.a\"",
    "principal in Client::\"shop.a\"",
    "principal == User::\"ann\"",
    "principal in User::\"ann\"",
    "principal in Group::\"g\"",
    "principal is Bearer in Client::\"shop.a\"",
    "principal in Tenant::\"this\"",
];
const ACTIONS: [&str; 8] = [
    "action",
    "action == Action::\"issueToken\"",
    "action == Action::\"sign\"",
    "action == Action::\"redeem\"",
    "action in [Action::\"sign\", Action::\"signAs\", Action::\"sign\"]",
    "action in [Action::\"redeem\", Action::\"revoke\"]",
    "action in Action::\"redeem\"",
    "action == Action::\"revoke\"",
];
const RESOURCES: [&str; 9] = [
    "resource",
    "resource",
    "resource is Object",
    "resource is Route",
    "resource in Route::\"shop/r\"",
    "resource == Route::\"shop/r\"",
    "resource == Object::\"shop/r/a\"",
    "resource is Object in Route::\"evil/r\"",
    "resource == Tenant::\"this\"",
];
const CONDITIONS: [&str; 7] = [
    "",
    "",
    "when { context has method && context.method == \"GET\" }",
    "when { context has path && context.path == \"/a\" }",
    "when { 9223372036854775807 + 1 == 0 }",
    "unless { context has address }",
    "when { context has time && context.time < datetime(\"2026-01-01\") }",
];

fn policy() -> impl Strategy<Value = (String, Role, Mode)> {
    let scope = (0..PRINCIPALS.len(), 0..ACTIONS.len(), 0..RESOURCES.len(), 0..CONDITIONS.len());
    (scope, prop::bool::weighted(0.7), prop::bool::ANY, prop::bool::weighted(0.2)).prop_map(
        |((p, a, r, c), permit, member, shadow)| {
            let effect = if permit { "permit" } else { "forbid" };
            let cedar = format!("{effect} ({}, {}, {}) {};", PRINCIPALS[p], ACTIONS[a], RESOURCES[r], CONDITIONS[c]);
            let role = if member { Role::Member } else { Role::Owner };
            (cedar, role, if shadow { Mode::Shadow } else { Mode::Enforce })
        },
    )
}

fn check_slices(policies: &TenantPolicies, kind: usize, who: usize, place: usize, late: bool) {
    let whos = [None, Some(WhoRef::Client("shop.a")), Some(WhoRef::Client("evil.a")), Some(WhoRef::User("ann"))];
    let routes = [ObjectName::new("shop", "r"), ObjectName::new("evil", "r"), ObjectName::new("shop", "r2")];
    let (who, route, path) = (whos[who % 4], &routes[place % 3], if place >= 3 { "/a" } else { "/b" });
    let (client_id, client) = if late { ("shop.a", &routes[0]) } else { ("evil.a", &routes[1]) };
    let (set, methods) = (BTreeSet::from(["x".to_owned()]), ["GET".to_owned()]);
    let signer = who.unwrap_or(WhoRef::Client("other"));
    let sign = Sign {
        signer,
        route,
        host: "h",
        path,
        is_prefix: false,
        methods: &methods,
        expires_in: 1,
        for_: who,
        uses: Some(1),
    };
    let now = Timestamp::constant(if late { 1_795_436_400 } else { 0 }, 0);
    let address = late.then(|| "10.0.0.1".parse().expect("address"));
    let request = match kind % 6 {
        0 => Request::issue_token(client_id, client, &set, &set),
        1 => Request::sign(&sign),
        2 => Request::sign_as(&sign),
        3 => Request::revoke(client_id, client, RevokeScope::Tenant),
        4 => Request::revoke(client_id, client, RevokeScope::Route(route)),
        _ => Request::redeem(Redeem { who, route, host: "h", path, method: "GET", address, now }),
    };
    let full = policies.decide_unsliced(&request).expect("decided");
    for _ in 0..2 {
        let sliced = policies.decide(&request); // built, then from memory
        assert_eq!((sliced.allow, &sliced.policies, sliced.errors), (full.allow, &full.policies, full.errors));
        assert!(full.reads_time_or_address || !sliced.reads_time_or_address);
        for shadow in &full.shadow {
            let same = sliced.shadow.iter().find(|s| s.object == shadow.object);
            assert!(same.map_or(shadow.policies.is_empty() && shadow.allow == full.allow, |s| s == shadow));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_slice_decides_as_the_full_set(
        policies in prop::collection::vec((policy(), prop::bool::ANY), 0..16),
        requests in prop::collection::vec((0..6_usize, 0..4_usize, 0..6_usize, prop::bool::ANY), 12),
    ) {
        let objects: Vec<Policy> = policies.into_iter().enumerate().map(|(n, ((cedar, role, mode), shop))| Policy {
            object: ObjectName::new(if shop { "shop" } else { "evil" }, format!("p{n}")), role, mode, cedar,
        }).collect();
        // What does not validate is left out.
        let (compiled, _) = TenantPolicies::compile(TenantId(uuid::Uuid::from_u128(1)), &objects);
        for (kind, who, place, late) in requests {
            check_slices(&compiled, kind, who, place, late);
        }
    }
}
