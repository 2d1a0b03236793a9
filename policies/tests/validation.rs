//! What validation refuses, where it says so, and how fast.

#![allow(clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use authly_policies::{PolicyError, validate};
use support::*;

fn errors(cedar: &str) -> Vec<PolicyError> {
    validate(&owner("shop/x", cedar)).expect_err(cedar)
}

fn texts(cedar: &str) -> Vec<String> {
    errors(cedar).iter().map(ToString::to_string).collect()
}

#[test]
fn every_error_has_its_place_in_the_authors_text() {
    let head = "// ünïcode\r\n@note(\"ü\")\npermit (principal, action == Action::\"redeem\", resource)\n";
    let cases = [
        (
            "when { context.paht == \"x\" };",
            "line 4, column 8: attribute `paht` in context for Action::\"redeem\" not found: did you mean `path`?",
        ),
        (
            "when { \"ü\" == \"ü\" && context.address == ip(\"1.2.3.4\") };",
            "line 4, column 22: unable to guarantee safety of access to optional attribute `address` in context for Action::\"redeem\": \
             try testing for the attribute's presence with `context has address && ..`",
        ),
        (
            "when { resource.owner == principal };",
            "line 4, column 8: attribute `owner` on entity type `Object` not found",
        ),
        (
            "when { resource in Nope::\"x\" };",
            "line 4, column 20: unrecognized entity type `Nope`: did you mean `Route`?",
        ),
        (
            "when { principal in Namespace::\"x\" };",
            "line 4, column 21: Namespace is internal: name routes and clients instead",
        ),
        (
            "when { principal is Namespace };",
            "line 4, column 21: Namespace is internal: name routes and clients instead",
        ),
        (
            "when { ip(\"1.2.3.999\").isIpv4() };",
            "line 4, column 8: error during extension function argument validation: ",
        ),
        (
            "when { false };",
            "line 2, column 1: policy is impossible: the policy expression evaluates to false for all valid requests",
        ),
        (
            "when { context.path == \"\u{202e}\" };",
            "line 4, column 24: string `\"\\u{202e}\"` contains BIDI control characters",
        ),
        ("when { 1 + };", "line 4, column 12: unexpected token `}`: "),
    ];
    for (tail, expected) in cases {
        let found = texts(&format!("{head}{tail}"));
        assert_eq!(found.len(), 1, "{tail}: {found:?}");
        assert!(found[0].starts_with(expected), "{tail}: {found:?}");
    }
}

#[test]
fn errors_of_several_policies_are_all_told_at_most_twenty() {
    let found = texts(
        "permit (principal, action == Action::\"sing\", resource);\n\n  forbid (principal is Bear, action, resource);",
    );
    assert_eq!(found[0], "line 1, column 30: unrecognized action `Action::\"sing\"`: did you mean `Action::\"sign\"`?");
    assert!(found[1].starts_with("line 3, column 24: unrecognized entity type `Bear`"), "{found:?}");
    let many = "permit (principal, action == Action::\"sing\", resource);\n".repeat(50);
    assert_eq!(texts(&many).len(), 20);
}

#[test]
fn what_can_never_apply_is_refused_with_what_to_write() {
    let found = texts(r#"permit (principal == Client::"shop.x", action == Action::"redeem", resource);"#);
    let expected = "line 1, column 1: unable to find an applicable action given the policy scope constraints: \
                    try replacing `==` with `in` in the principal clause";
    assert_eq!(found, [expected]);
    assert_eq!(
        texts(r#"permit (principal, action, resource == Tenant::"acme");"#),
        [
            r#"line 1, column 40: entity `Tenant::"acme"` is of an enumerated entity type, but `"acme"` is not declared as a valid eid: valid entity eids: "this""#
        ]
    );
    assert!(texts(r#"permit (principal == Bearer::"x", action, resource);"#)[0].contains("a Bearer has no id"));
}

#[test]
fn templates_are_refused() {
    for cedar in [
        "permit (principal == ?principal, action, resource);",
        "permit (principal, action, resource in ?resource);",
        "permit (principal, action, resource) when { principal == ?principal };",
        "permit (principal, action, resource) when { ?x };",
    ] {
        assert!(texts(cedar)[0].contains("templates are not accepted"), "{cedar}");
    }
    assert_eq!(
        validate(&owner(
            "shop/x",
            "permit (principal, action, resource) when { \"?principal\" == \"?principal\" }; // ?"
        )),
        Ok(())
    );
}

#[test]
fn strict_and_level_one() {
    for cedar in [
        r#"permit (principal, action == Action::"sign", resource) when { [1, "x"].contains(1) };"#,
        r#"permit (principal, action == Action::"sign", resource) when { context.path == 3 };"#,
        r#"permit (principal, action == Action::"sign", resource) when { context.for_user in Group::"x" };"#,
        r#"permit (principal, action == Action::"redeem", resource) when { context.time < datetime(context.path) };"#,
        r#"permit (principal, action == Action::"sign", resource) when { context.time < datetime("2030-01-01") };"#,
        r#"permit (principal, action == Action::"sign", resource) when { principal has "x".y };"#,
        "permit (principal, action, resource) when { unknown(\"x\") };",
        "permit (principal, action, resource) when { 1 % 2 == 0 };",
    ] {
        assert!(!errors(cedar).is_empty());
    }
    for cedar in [
        r#"permit (principal in Group::"x", action == Action::"redeem", resource);"#,
        r#"permit (principal, action == Action::"redeem", resource) when { principal in Group::"x" };"#,
        r#"permit (principal, action == Action::"sign", resource) when { context has for_user && context.for_user in Group::"x" };"#,
        "// nothing yet\n",
    ] {
        assert_eq!(validate(&owner("shop/x", cedar)), Ok(()), "{cedar}");
    }
}

#[test]
fn size_and_count_are_capped() {
    let comment = "// a comment\n".repeat(32 * 1024 / 13 + 1);
    assert!(texts(&comment)[0].contains("at most 32768"), "{:?}", texts(&comment));
    let policy = "permit (principal, action, resource);\n";
    assert_eq!(validate(&owner("shop/x", &policy.repeat(100))), Ok(()));
    assert!(texts(&policy.repeat(101))[0].starts_with("line 101, column 1: more than 100 policies"));
    assert!(!errors(&"\u{1f980}".repeat(9000)).is_empty());
}

#[test]
fn deep_or_hostile_sources_are_refused_fast_on_a_small_stack() {
    let condition = |text: String| format!("permit (principal, action, resource) when {{ {text} }};");
    let full = |unit: &str| unit.repeat(30_000 / unit.len());
    let sources = [
        full("("),
        full("["),
        full("{"),
        full("(["),
        full("permit("),
        full("when {"),
        full("permit (principal, action, resource) when { "),
        full("((((;"),
        full("\""),
        full("\\"),
        full("\"\\"),
        full("?"),
        full("@a"),
        full("@a(\"x\")"),
        full("::"),
        full("if "),
        full("\0"),
        full("é"),
        full(")"),
        full(");"),
        condition(full("!")),
        condition(full("-") + "1 == 1"),
        condition(full("true && ") + "true"),
        condition(full("false || ") + "true"),
        condition(full("1 + ") + "1 == 2"),
        condition(full("1 * ") + "1 == 2"),
        condition(full("1 - ") + "1 == 2"),
        condition("context".to_owned() + &full(".path")),
        condition("context".to_owned() + &full("[\"path\"]")),
        condition("context".to_owned() + &full(".contains(1)")),
        condition("context has ".to_owned() + &full("a.") + "b"),
        condition(full("if true then true else ") + "true"),
        condition(full("if ") + "true" + &full(" then true else true")),
        condition(full("(true) && ")),
        condition("(".repeat(3000) + "true" + &")".repeat(3000)),
        condition("[".repeat(3000) + "1" + &"]".repeat(3000) + " == [1]"),
        condition("{a: ".repeat(3000) + "1" + &"}".repeat(3000) + " == 1"),
        condition("ip(".repeat(3000) + "\"1.1.1.1\"" + &")".repeat(3000)),
        // Shallow in brackets, but each level is a chain.
        condition("(".repeat(25) + "true" + &(") && true".to_owned() + &" && true".repeat(40)).repeat(25)),
        "permit (principal, action, resource) ".to_owned() + &full("when { true } ") + ";",
        "permit (principal in ".to_owned() + &full("A::") + "B::\"x\", action, resource);",
        condition(format!("[{}].contains(\"b\")", full("\"a\","))),
    ];
    let all = move || {
        for source in sources {
            let start = Instant::now();
            let answer = validate(&owner("shop/x", &source));
            let taken = start.elapsed();
            let shown: String = source.chars().take(70).collect();
            if !source.contains("contains(\"b\")") {
                assert!(answer.is_err(), "{shown}");
            }
            assert!(taken < Duration::from_secs(2), "{taken:?} {shown}");
        }
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(all).unwrap().join().unwrap();
}

#[test]
fn what_the_depth_limit_lets_through_evaluates_on_a_small_stack() {
    let in_parens = |n: usize, text: &str| "(".repeat(n) + text + &")".repeat(n);
    let chain = |unit: &str, n: usize| vec![unit; n].join(" && ");
    let sources = [
        in_parens(29, "true"),
        chain("context.path == \"/a\"", 58),
        vec!["context.path like \"/b*\""; 58].join(" || ") + " || true",
        vec!["1"; 58].join(" + ") + " == 58",
        "if context.path == \"/b\" then false else ".repeat(19) + "true",
        "!(".repeat(29) + &in_parens(0, "context.path == \"/b\"") + &")".repeat(29),
        format!("[{}].contains(context.path)", vec!["\"/a\""; 2000].join(",")),
        "true".to_owned() + &" && (true".repeat(28) + &")".repeat(28),
        "{a: ".repeat(28) + "1" + &"}".repeat(28) + " == " + &("{a: ".repeat(28) + "1" + &"}".repeat(28)),
        "[".repeat(28) + "1" + &"]".repeat(28) + " == " + &("[".repeat(28) + "1" + &"]".repeat(28)),
    ];
    let all = move || {
        for condition in sources {
            let cedar = format!("permit (principal, action == Action::\"redeem\", resource) when {{ {condition} }};");
            let policy = owner("shop/x", &cedar);
            assert_eq!(validate(&policy), Ok(()), "{condition}");
            for policy in [member("shop/x", &cedar), policy] {
                let decision = redeem(&compile(&[policy]), "shop/r", "/a");
                assert!(!decision.errors, "{condition}");
                assert!(decision.allow || condition.starts_with("!("), "{condition}");
            }
        }
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(all).unwrap().join().unwrap();
}
