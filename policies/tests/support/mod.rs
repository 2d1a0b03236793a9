//! Short names for policies and requests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each suite takes what it needs

use authly_model::{
    ids::{ObjectName, TenantId},
    policy::{Mode, Policy},
    tenant::Role,
};
use authly_policies::{Decision, Redeem, Request, Sign, TenantPolicies, WhoRef};
use jiff::Timestamp;
use std::collections::BTreeSet;

pub const QUICK_START: &str = r#"permit (principal == Client::"shop.billing", action == Action::"sign", resource in Route::"shop/reports");
permit (principal, action == Action::"redeem", resource in Route::"shop/reports");
"#;

pub fn tenant(n: u128) -> TenantId {
    TenantId(uuid::Uuid::from_u128(n))
}

pub fn name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').unwrap();
    ObjectName::new(namespace, name)
}

pub fn owner(object: &str, cedar: &str) -> Policy {
    Policy { object: name(object), role: Role::Owner, mode: Mode::Enforce, cedar: cedar.to_owned() }
}

pub fn member(object: &str, cedar: &str) -> Policy {
    Policy { role: Role::Member, ..owner(object, cedar) }
}

pub fn shadow(policy: Policy) -> Policy {
    Policy { mode: Mode::Shadow, ..policy }
}

/// Compiles for tenant 1; every policy must compile.
pub fn compile(policies: &[Policy]) -> TenantPolicies {
    let (compiled, failures) = TenantPolicies::compile(tenant(1), policies);
    assert_eq!(failures, []);
    compiled
}

pub fn issue(policies: &TenantPolicies, client: &str) -> Decision {
    let (namespace, _) = client.split_once('.').unwrap_or(("shop", ""));
    let scopes = BTreeSet::from(["signed_urls".to_owned()]);
    let audiences = BTreeSet::from(["https://issuer.example".to_owned()]);
    policies.decide(&Request::issue_token(client, &ObjectName::new(namespace, "object"), &scopes, &audiences))
}

pub fn signing<'a>(signer: WhoRef<'a>, route: &'a ObjectName, path: &'a str, methods: &'a [String]) -> Sign<'a> {
    Sign {
        signer,
        route,
        host: "files.example",
        path,
        is_prefix: false,
        methods,
        expires_in: 900,
        for_: None,
        uses: None,
    }
}

pub fn sign(policies: &TenantPolicies, client: &str, route: &str, path: &str) -> Decision {
    let methods = ["GET".to_owned(), "HEAD".to_owned()];
    policies.decide(&Request::sign(&signing(WhoRef::Client(client), &name(route), path, &methods)))
}

pub fn redeeming<'a>(route: &'a ObjectName, path: &'a str) -> Redeem<'a> {
    let now = "2026-11-23T12:00:00Z".parse::<Timestamp>().unwrap();
    Redeem { who: None, route, host: "files.example", path, method: "GET", address: None, now }
}

pub fn redeem(policies: &TenantPolicies, route: &str, path: &str) -> Decision {
    policies.decide(&Request::redeem(redeeming(&name(route), path)))
}
