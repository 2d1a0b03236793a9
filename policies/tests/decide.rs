//! What policies decide: the quick start, the built-in policies, every attribute of the vocabulary, names, shadows.

mod support;

use authly_policies::{PolicyTest, Request, RevokeScope, TestAction, WhoRef, run_tests, validate};
use support::*;

fn test(as_: Option<&str>, action: TestAction, route: &str, allow: bool) -> PolicyTest {
    let path = Some("/reports/q3.pdf".to_owned());
    PolicyTest { as_: as_.map(str::to_owned), action, route: Some(route.to_owned()), path, allow }
}

#[test]
fn the_quick_start_validates_passes_its_tests_and_decides() {
    for policy in [owner("shop/reports", QUICK_START), member("shop/reports", QUICK_START)] {
        assert_eq!(validate(&policy), Ok(()));
        let tests = [
            test(Some(r#"Client::"shop.billing""#), TestAction::Sign, "reports", true),
            test(Some(r#"Client::"shop.other""#), TestAction::Sign, "reports", false),
            test(None, TestAction::Redeem, "shop/reports", true),
            test(Some(r#"Client::"shop.other""#), TestAction::Redeem, "reports", true),
            test(None, TestAction::Redeem, "other/reports", false),
        ];
        assert_eq!(run_tests(&policy, &tests).to_string(), "5/5");
        let policies = compile(&[policy]);
        let signed = sign(&policies, "shop.billing", "shop/reports", "/reports/q3.pdf");
        assert!(signed.allow && !signed.errors && !signed.reads_time_or_address);
        assert_eq!(signed.policies, ["shop/reports#0"]);
        assert!(!sign(&policies, "shop.other", "shop/reports", "/reports/q3.pdf").allow);
        assert!(!sign(&policies, "shop.billing", "shop/other", "/reports/q3.pdf").allow);
        assert_eq!(redeem(&policies, "shop/reports", "/reports/q3.pdf").policies, ["shop/reports#1"]);
    }
}

#[test]
fn a_test_that_fails_says_what_was_decided_and_by_whom() {
    let policy = owner("shop/reports", QUICK_START);
    let report = run_tests(&policy, &[test(Some(r#"Client::"shop.billing""#), TestAction::Sign, "reports", false)]);
    assert_eq!((report.to_string().as_str(), report.passed()), ("0/1", false));
    assert_eq!(report.failures[0].to_string(), "tests[0]: expected Deny, decided Allow: shop/reports#0");
    let report = run_tests(&policy, &[test(Some(r#"Client::"shop.other""#), TestAction::Sign, "reports", true)]);
    assert_eq!(report.failures[0].to_string(), "tests[0]: expected Allow, decided Deny: no policy permits it");
    for nobody in ["Route::\"shop/reports\"", "billing", "", "Client::\"a\" // \"", "A::Client::\"a\""] {
        let report = run_tests(&policy, &[test(Some(nobody), TestAction::Sign, "reports", false)]);
        assert!(!report.passed(), "{nobody}");
    }
    let report = run_tests(&owner("shop/x", "permit("), &[test(None, TestAction::Redeem, "reports", false)]);
    assert!(report.failures[0].message.contains("line 1, column 8"), "{report:?}");
}

#[test]
fn a_shadow_object_is_tested_as_if_enforced() {
    let policy = shadow(owner("shop/reports", QUICK_START));
    assert!(run_tests(&policy, &[test(Some(r#"Client::"shop.billing""#), TestAction::Sign, "reports", true)]).passed());
}

#[test]
fn tokens_are_granted_unless_forbidden_and_the_rest_is_denied_unless_permitted() {
    let policies = compile(&[]);
    let issued = issue(&policies, "shop.billing");
    assert!(issued.allow);
    assert_eq!(issued.policies, ["builtin/issueToken"]);
    assert!(!sign(&policies, "shop.billing", "shop/reports", "/reports/a").allow);
    assert!(!redeem(&policies, "shop/reports", "/reports/a").allow);
    let client = name("shop/billing");
    for scope in [RevokeScope::Tenant, RevokeScope::Route(&name("shop/reports"))] {
        let decision = policies.decide(&Request::revoke("shop.billing", &client, scope));
        assert!(!decision.allow && !decision.errors && decision.policies.is_empty());
        assert_eq!(decision.named(), "no policy permits it");
    }

    let forbid = r#"forbid (principal == Client::"shop.billing", action == Action::"issueToken", resource)
        when { context.scopes.contains("signed_urls") };"#;
    let policies = compile(&[owner("shop/tokens", forbid)]);
    let denied = issue(&policies, "shop.billing");
    assert!(!denied.allow && !denied.errors);
    assert_eq!(denied.policies, ["shop/tokens#0"]);
    assert!(issue(&policies, "shop.other").allow);
}

#[test]
fn revoke_is_permitted_by_route_or_for_the_tenant() {
    let client = name("shop/ops");
    let route =
        r#"permit (principal == Client::"shop.ops", action == Action::"revoke", resource == Route::"shop/reports");"#;
    let policies = compile(&[member("shop/ops", route)]);
    let (own, other) = (name("shop/reports"), name("shop/other"));
    let revoke = |scope| policies.decide(&Request::revoke("shop.ops", &client, scope)).allow;
    assert!(revoke(RevokeScope::Route(&own)));
    assert!(!revoke(RevokeScope::Route(&other)));
    assert!(!revoke(RevokeScope::Tenant));
    let tenant = r#"permit (principal == Client::"shop.ops", action == Action::"revoke", resource == Tenant::"this");"#;
    let policies = compile(&[owner("shop/ops", tenant)]);
    assert!(policies.decide(&Request::revoke("shop.ops", &client, RevokeScope::Tenant)).allow);
    assert!(!policies.decide(&Request::revoke("shop.ops", &client, RevokeScope::Route(&name("shop/reports")))).allow);
}

#[test]
fn every_attribute_of_signing_can_decide() {
    let cedar = r#"permit (principal is Client, action in [Action::"sign", Action::"signAs"], resource in Route::"shop/reports") when {
        context.host == "files.example" && context.path like "/reports/*" && ["GET", "HEAD"].containsAll(context.methods) &&
        context.expires_in <= 900 && context has uses && context.uses <= 3 && !context.prefix &&
        context has for_client && context.for_client == Client::"shop.billing" && !(context has for_user) };
    permit (principal, action == Action::"signAs", resource) when { context has for_user && context.for_user == User::"ann" };"#;
    let policies = compile(&[owner("shop/reports", cedar)]);
    let (route, methods, post) = (name("shop/reports"), ["GET".to_owned(), "HEAD".to_owned()], ["POST".to_owned()]);
    let base = signing(WhoRef::Client("shop.x"), &route, "/reports/a", &methods);
    let good = authly_policies::Sign { for_: Some(WhoRef::Client("shop.billing")), uses: Some(3), ..base };
    assert!(policies.decide(&Request::sign(&good)).allow);
    assert!(policies.decide(&Request::sign_as(&good)).allow);
    let other = name("shop/other");
    for bad in [
        authly_policies::Sign { host: "other.example", ..good },
        authly_policies::Sign { path: "/other/a", ..good },
        authly_policies::Sign { is_prefix: true, ..good },
        authly_policies::Sign { methods: &post, ..good },
        authly_policies::Sign { expires_in: 901, ..good },
        authly_policies::Sign { uses: None, ..good },
        authly_policies::Sign { uses: Some(4), ..good },
        authly_policies::Sign { for_: None, ..good },
        authly_policies::Sign { for_: Some(WhoRef::User("shop.billing")), ..good },
        authly_policies::Sign { route: &other, ..good },
        authly_policies::Sign { signer: WhoRef::User("shop.x"), ..good },
    ] {
        let decision = policies.decide(&Request::sign(&bad));
        assert!(!decision.allow && !decision.errors, "{bad:?}");
    }
    let ann = authly_policies::Sign { for_: Some(WhoRef::User("ann")), ..base };
    assert!(policies.decide(&Request::sign_as(&ann)).allow);
    assert!(!policies.decide(&Request::sign(&ann)).allow);
}

#[test]
fn every_attribute_of_redemption_can_decide() {
    let cedar = r#"permit (principal in Client::"shop.billing", action == Action::"redeem", resource == Object::"shop/reports/reports/a") when {
        context.host == "files.example" && context.path == "/reports/a" && context.method == "GET" &&
        context.time < datetime("2026-11-24") && context.time >= datetime("2026-11-23T12:00:00Z") &&
        context has address && context.address.isInRange(ip("10.1.0.0/16")) };"#;
    let policies = compile(&[owner("shop/reports", cedar)]);
    let route = name("shop/reports");
    let base = redeeming(&route, "/reports/a");
    let good = authly_policies::Redeem {
        who: Some(WhoRef::Client("shop.billing")),
        address: Some("10.1.2.3".parse().unwrap()),
        ..base
    };
    let decision = policies.decide(&Request::redeem(good));
    assert!(decision.allow && decision.reads_time_or_address, "{decision:?}");
    let mapped = authly_policies::Redeem { address: Some("::ffff:10.1.2.3".parse().unwrap()), ..good };
    assert!(policies.decide(&Request::redeem(mapped)).allow, "an IPv4-mapped address is the IPv4 address");
    for bad in [
        authly_policies::Redeem { who: None, ..good },
        authly_policies::Redeem { who: Some(WhoRef::User("shop.billing")), ..good },
        authly_policies::Redeem { who: Some(WhoRef::Client("shop.other")), ..good },
        authly_policies::Redeem { host: "other.example", ..good },
        authly_policies::Redeem { path: "/reports/b", ..good },
        authly_policies::Redeem { method: "HEAD", ..good },
        authly_policies::Redeem { now: "2026-11-24T00:00:00Z".parse().unwrap(), ..good },
        authly_policies::Redeem { now: "2026-11-23T11:59:59.999Z".parse().unwrap(), ..good },
        authly_policies::Redeem { address: None, ..good },
        authly_policies::Redeem { address: Some("10.2.0.1".parse().unwrap()), ..good },
        authly_policies::Redeem { address: Some("::10.1.2.3".parse().unwrap()), ..good },
        authly_policies::Redeem { address: Some("64:ff9b::a01:203".parse().unwrap()), ..good },
        authly_policies::Redeem { address: Some("fe80::1".parse().unwrap()), ..good },
    ] {
        let decision = policies.decide(&Request::redeem(bad));
        assert!(!decision.allow && !decision.errors, "{bad:?}");
    }
}

#[test]
fn only_slices_that_read_time_or_address_forbid_caching() {
    let cases = [
        (r#"when { context.method == "GET" }"#, false),
        (r#"when { context has method && "time" == context.path }"#, false),
        ("when { context has time }", true),
        ("unless { context has address }", true),
        (r#"when { context["time"] > datetime("2020-01-01") }"#, true),
        ("when { context == context }", true),
        ("when { [context].contains(context) }", true),
        ("when { {c: context}.c has time }", true),
        ("when { (if context.method == \"GET\" then context else context) has time }", true),
    ];
    for (condition, reads) in cases {
        let cedar = format!(
            r#"permit (principal, action == Action::"redeem", resource in Route::"shop/reports") {condition};"#
        );
        for policy in [owner("shop/a", &cedar), member("shop/a", &cedar), shadow(owner("shop/a", &cedar))] {
            let policies = compile(&[policy]);
            assert_eq!(redeem(&policies, "shop/reports", "/a").reads_time_or_address, reads, "{condition}");
            assert!(
                !redeem(&policies, "shop/other", "/a").reads_time_or_address,
                "it is not in that slice: {condition}"
            );
        }
    }
}

#[test]
fn a_group_literal_validates_and_matches_nobody_today() {
    let cedar = r#"permit (principal in Group::"staff", action in [Action::"redeem", Action::"sign"], resource);"#;
    let policies = compile(&[owner("shop/staff", cedar)]);
    let (route, methods) = (name("shop/reports"), []);
    let who = Some(WhoRef::User("staff"));
    assert!(!policies.decide(&Request::redeem(authly_policies::Redeem { who, ..redeeming(&route, "/a") })).allow);
    assert!(!policies.decide(&Request::sign(&signing(WhoRef::User("staff"), &route, "/a", &methods))).allow);
}

#[test]
fn shadows_report_what_they_would_change_and_change_nothing() {
    let route = r#"resource in Route::"shop/reports""#;
    let permit = format!(r#"permit (principal, action == Action::"redeem", {route});"#);
    let forbid =
        format!(r#"forbid (principal, action == Action::"redeem", {route}) when {{ context.method == "GET" }};"#);
    let failing =
        format!(r#"permit (principal, action == Action::"redeem", {route}) when {{ 9223372036854775807 + 1 == 0 }};"#);
    let set = [
        owner("shop/base", &permit),
        shadow(owner("shop/forbids", &forbid)),
        shadow(owner("shop/fails", &failing)),
        shadow(member("shop/permits", &permit)),
        shadow(owner("shop/elsewhere", r#"forbid (principal, action == Action::"sign", resource);"#)),
    ];
    let decision = redeem(&compile(&set), "shop/reports", "/a");
    assert!(decision.allow && !decision.errors);
    assert_eq!(decision.policies, ["shop/base#0"]);
    let mut shadow: Vec<_> = decision.shadow.iter().map(|s| (s.object.as_str(), s.allow, s.errors)).collect();
    shadow.sort_unstable();
    assert_eq!(shadow, [("shop/fails", false, true), ("shop/forbids", false, false), ("shop/permits", true, false)]);
    let decision = redeem(&compile(&set[1..]), "shop/reports", "/a");
    assert!(!decision.allow && !decision.errors, "no shadow permits");
}

#[test]
fn who_reads_both_kinds_and_nothing_else() {
    assert_eq!(WhoRef::parse("c.shop.billing"), Some(WhoRef::Client("shop.billing")));
    assert_eq!(WhoRef::parse("u.ann"), Some(WhoRef::User("ann")));
    for bad in ["", "c", "c.", "u.", "x.a", "é.a", "shop"] {
        assert_eq!(WhoRef::parse(bad), None, "{bad}");
    }
}
