//! Walls: between tenants, between a Member and everybody else, and around a policy that fails.

mod support;

use authly_policies::{Request, RevokeScope, TenantPolicies, WhoRef, validate};
use support::*;

const PERMIT_ALL: &str = "permit (principal, action, resource);";
const OVERFLOW: &str = "when { 9223372036854775807 + 1 == 0 }";

#[test]
fn a_member_that_overflows_denies_its_own_and_nothing_elsewhere() {
    for effect in ["permit", "forbid"] {
        for clause in
            [OVERFLOW, "unless { 9223372036854775807 + 1 == 0 }", "when { true } when { -9223372036854775807 - 2 < 0 }"]
        {
            let cedar = format!("{effect} (principal, action, resource) {clause};");
            let policies = compile(&[member("evil/x", &cedar), owner("shop/all", PERMIT_ALL)]);
            for (allow, decision) in [
                (true, sign(&policies, "shop.billing", "shop/reports", "/a")),
                (true, sign(&policies, "evil.client", "shop/reports", "/a")),
                (true, redeem(&policies, "shop/reports", "/a")),
                (true, issue(&policies, "shop.billing")),
                (false, sign(&policies, "shop.billing", "evil/route", "/a")),
                (false, redeem(&policies, "evil/route", "/a")),
                (false, issue(&policies, "evil.client")),
            ] {
                assert_eq!((decision.allow, decision.errors), (allow, !allow), "{cedar} {decision:?}");
                assert_eq!(decision.policies.contains(&"evil/x#0".to_owned()), !allow);
            }
        }
    }
}

#[test]
fn a_members_forbid_of_everything_reaches_its_own_routes_and_clients_only() {
    let policies = compile(&[member("evil/x", "forbid (principal, action, resource);"), owner("shop/all", PERMIT_ALL)]);
    assert!(sign(&policies, "evil.client", "shop/reports", "/a").allow);
    assert!(redeem(&policies, "shop/reports", "/a").allow);
    assert!(issue(&policies, "shop.billing").allow);
    assert!(!sign(&policies, "shop.billing", "evil/route", "/a").allow);
    assert!(!redeem(&policies, "evil/route", "/a").allow);
    assert!(!issue(&policies, "evil.client").allow);
    let (client, route) = (name("shop/ops"), name("shop/reports"));
    assert!(policies.decide(&Request::revoke("shop.ops", &client, RevokeScope::Tenant)).allow);
    assert!(policies.decide(&Request::revoke("shop.ops", &client, RevokeScope::Route(&route))).allow);
    assert!(!policies.decide(&Request::revoke("shop.ops", &client, RevokeScope::Route(&name("evil/route")))).allow);
}

#[test]
fn a_member_permits_nothing_outside() {
    let tricks = [
        PERMIT_ALL.to_owned(),
        "permit (principal, action, resource) when { true || 9223372036854775807 + 1 == 0 };".to_owned(),
        "permit (principal, action, resource) unless { context has time };".to_owned(),
        "permit (principal, action, resource) when { if context has path then true else true };".to_owned(),
        r#"permit (principal, action, resource) when { principal in Tenant::"this" };"#.to_owned(),
        r#"permit (principal, action, resource in Route::"shop/reports");"#.to_owned(),
        r#"permit (principal, action, resource) when { resource in Route::"shop/reports" };"#.to_owned(),
        r#"permit (principal, action == Action::"redeem", resource) when { {"__entity": {"type": "Namespace", "id": "own"}} == {"__entity": {"type": "Namespace", "id": "own"}} };"#.to_owned(),
        r#"@id("builtin/tenant") @name("shop/all#0") permit (principal, action, resource);"#.to_owned(),
        "// permit\r\npermit (principal, action, // }; )\n resource) when { \"}; permit(principal,action,resource);\" == \"}; permit(principal,action,resource);\" };"
            .to_owned(),
    ];
    for cedar in tricks {
        let policy = member("evil/x", &cedar);
        assert_eq!(validate(&policy), Ok(()), "{cedar}");
        let policies = compile(&[policy]);
        assert!(!sign(&policies, "evil.client", "shop/reports", "/a").allow, "{cedar}");
        assert!(!redeem(&policies, "shop/reports", "/a").allow, "{cedar}");
        // A route whose id has the namespace within it, but is another's.
        assert!(!redeem(&policies, "evil2/evil", "/a").allow && !redeem(&policies, "shop/evil", "/evil/x").allow);
        let decision = policies.decide(&Request::revoke("evil.c", &name("evil/c"), RevokeScope::Tenant));
        assert!(!decision.allow && !decision.errors, "{cedar}");
    }
}

#[test]
fn no_tenants_policies_reach_anothers_ids_however_written() {
    let (one, two) = (tenant(1), tenant(2));
    let spellings = [
        format!("{two}/shop.billing"),
        format!("{one}/shop.billing"),
        format!("../{two}/shop.billing"),
        format!("/{two}/shop.billing"),
        "this".to_owned(),
        String::new(),
    ];
    for id in spellings {
        let cedar = format!(
            r#"permit (principal == Client::"{id}", action == Action::"sign", resource);
               permit (principal, action == Action::"sign", resource) when {{ principal == Client::"{id}" }};
               permit (principal, action == Action::"sign", resource) when {{ [Client::"{id}"].contains(principal) }};
               permit (principal, action == Action::"sign", resource) when {{ principal in [Client::"{id}"] }};
               permit (principal, action == Action::"sign", resource) when {{ {{a: Client::"{id}"}}.a == principal }};
               permit (principal, action == Action::"sign", resource) when {{ principal is Client in Client::"{id}" }};"#
        );
        // `principal == Client::…` where the principal may be a User is no strict Cedar: scope the type.
        let cedar = cedar.replace("(principal, action", "(principal is Client, action");
        let policy = owner("shop/x", &cedar);
        for tenant in [one, two] {
            let (policies, failures) = TenantPolicies::compile(tenant, std::slice::from_ref(&policy));
            assert_eq!(failures, [], "{cedar}");
            assert!(!sign(&policies, "shop.billing", "shop/reports", "/a").allow, "{cedar}");
            assert!(
                sign(&policies, &id, "shop/reports", "/a").allow,
                "each literal names the tenant's own client `{id}`"
            );
        }
    }
}

#[test]
fn any_error_is_a_deny_even_where_a_permit_matched_and_a_forbid_erred() {
    let failing = format!("forbid (principal, action, resource) {OVERFLOW};");
    let policies = compile(&[owner("shop/all", PERMIT_ALL), owner("shop/fails", &failing)]);
    for decision in
        [sign(&policies, "c", "shop/r", "/a"), redeem(&policies, "shop/r", "/a"), issue(&policies, "shop.c")]
    {
        assert!(!decision.allow && decision.errors);
        assert_eq!(decision.policies, ["shop/fails#0"]);
        assert_eq!(decision.named(), "shop/fails#0");
    }
}

#[test]
fn an_object_that_fails_is_left_out_alone() {
    let set = [owner("shop/bad", "permit (principal"), owner("shop/all", PERMIT_ALL), owner("shop/all", PERMIT_ALL)];
    let (policies, failures) = TenantPolicies::compile(tenant(1), &set);
    assert!(sign(&policies, "c", "shop/r", "/a").allow);
    let objects: Vec<String> = failures.iter().map(|f| f.object.to_string()).collect();
    assert_eq!(objects, ["shop/bad", "shop/all"]);
    assert!(failures[0].message.starts_with("line 1, column 18: "), "{}", failures[0]);
}

#[test]
fn ids_are_data_whatever_they_hold() {
    let policies = compile(&[owner("shop/reports", QUICK_START)]);
    for id in
        ["", "\"", "\\", "shop.billing\0", "shop.billing\"); permit(principal,action,resource);//", "\u{202e}", "*"]
    {
        let decision = sign(&policies, id, "shop/reports", "/a");
        assert!(!decision.allow && !decision.errors, "{id:?}");
        let (route, who) = (name("shop/reports"), Some(WhoRef::User(id)));
        let decision = policies.decide(&Request::redeem(authly_policies::Redeem { who, ..redeeming(&route, id) }));
        assert!(decision.allow, "{id:?}");
    }
}

#[test]
fn recompiling_takes_over_what_did_not_change_and_nothing_else() {
    let forbid = r#"forbid (principal, action == Action::"sign", resource);"#;
    let first = [owner("shop/all", PERMIT_ALL), member("shop/x", forbid), owner("shop/gone", forbid)];
    let policies = compile(&first);
    assert!(!sign(&policies, "c", "evil/r", "/a").allow, "shop/gone forbids");
    let second = [first[0].clone(), first[1].clone(), owner("shop/bad", "permit")];
    let (policies, failures) = policies.recompile(&second);
    assert_eq!(failures.iter().map(|f| f.object.to_string()).collect::<Vec<_>>(), ["shop/bad"]);
    assert!(sign(&policies, "c", "evil/r", "/a").allow && !sign(&policies, "c", "shop/r", "/a").allow);
    // The same text under another role or mode is another policy.
    let (owned, _) = policies.recompile(&[first[0].clone(), owner("shop/x", forbid)]);
    assert!(!sign(&owned, "c", "evil/r", "/a").allow);
    let (shadowed, _) = owned.recompile(&[first[0].clone(), shadow(owner("shop/x", forbid))]);
    let decision = sign(&shadowed, "c", "evil/r", "/a");
    assert!(decision.allow && decision.shadow.len() == 1);
    assert_eq!(shadowed.recompile(&[first[0].clone(), first[0].clone()]).1.len(), 1, "twice the same object");
}

#[test]
fn a_members_unconstrained_policies_are_not_even_in_anothers_slice() {
    let policies = compile(&[
        member("evil/x", "permit (principal, action, resource) when { context has time };"),
        shadow(member("evil/y", "permit (principal is Bearer, action, resource is Object);")),
    ]);
    let own = redeem(&policies, "evil/r", "/a");
    assert!(own.allow && own.reads_time_or_address && own.shadow.len() == 1, "{own:?}");
    let other = redeem(&policies, "shop/r", "/a");
    assert!(!other.allow && !other.reads_time_or_address && other.shadow.is_empty(), "{other:?}");
    assert!(issue(&policies, "evil.c").reads_time_or_address && !issue(&policies, "shop.c").reads_time_or_address);
}
