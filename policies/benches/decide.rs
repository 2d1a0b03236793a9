//! Microseconds of one decision with 3, 100 and 1,000 policies: where each is for a route of its own (so that slices
//! are small), and where all are unconstrained (so that all stay). Beside it what compiling the set takes.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use authly_model::{
    ids::{ObjectName, TenantId},
    policy::{Mode, Policy},
    tenant::Role,
};
use authly_policies::{Redeem, Request, Sign, TenantPolicies, WhoRef};
use jiff::Timestamp;

const ROUND: Duration = Duration::from_millis(300);

fn main() {
    println!(
        "{:>8}  {:<22} {:>10} {:>10} {:>12} {:>12}",
        "policies", "scopes", "sign µs", "redeem µs", "+ time µs", "compile ms"
    );
    for count in [3, 100, 1_000] {
        row(count, "one route each", &|n| format!("resource in Route::\"shop/r{n}\""));
        row(count, "unconstrained", &|_| "resource".to_owned());
    }
}

fn row(count: usize, scopes: &str, resource: &dyn Fn(usize) -> String) {
    let set: Vec<Policy> = (0..count).map(|n| policy(n, &resource(n), "context.path like \"/reports/*\"")).collect();
    let timed: Vec<Policy> =
        (0..count).map(|n| policy(n, &resource(n), "context.time < datetime(\"2030-01-01\")")).collect();
    let start = Instant::now();
    let (policies, failures) = TenantPolicies::compile(TenantId(uuid::Uuid::nil()), &set);
    let compiled = start.elapsed();
    let (timed, _) = TenantPolicies::compile(TenantId(uuid::Uuid::nil()), &timed);
    assert!(failures.is_empty(), "{failures:?}");

    let route = ObjectName::new("shop", format!("r{}", count / 2));
    let methods = ["GET".to_owned(), "HEAD".to_owned()];
    let (signer, host, path) = (WhoRef::Client("shop.billing"), "files.acme.example", "/reports/q3.pdf");
    let sign = Sign {
        signer,
        route: &route,
        host,
        path,
        is_prefix: false,
        methods: &methods,
        expires_in: 900,
        for_: None,
        uses: Some(1),
    };
    let now = Timestamp::constant(1_795_436_400, 0);
    let address = "192.0.2.7".parse().ok();
    let redeem = Redeem { who: Some(signer), route: &route, host, path, method: "GET", address, now };
    let measure = |policies: &TenantPolicies, request: Request<'_>| {
        assert!(policies.decide(&request).allow);
        micros(|| drop(black_box(policies.decide(black_box(&request)))))
    };
    let sign = measure(&policies, Request::sign(&sign));
    let (plain, volatile) = (measure(&policies, Request::redeem(redeem)), measure(&timed, Request::redeem(redeem)));
    let compile = compiled.as_secs_f64() * 1e3;
    println!("{count:>8}  {scopes:<22} {sign:>10.2} {plain:>10.2} {volatile:>12.2} {compile:>12.1}");
}

fn policy(n: usize, resource: &str, condition: &str) -> Policy {
    let signs = "permit (principal, action == Action::\"sign\",";
    let cedar = if condition.contains("time") {
        format!("permit (principal, action == Action::\"redeem\", {resource}) when {{ {condition} }};")
    } else {
        format!("{signs} {resource}) when {{ {condition} }};")
            .replace("== Action::\"sign\"", "in [Action::\"sign\", Action::\"redeem\"]")
    };
    Policy { object: ObjectName::new("shop", format!("p{n}")), role: Role::Owner, mode: Mode::Enforce, cedar }
}

/// The median of five rounds.
fn micros(work: impl Fn()) -> f64 {
    let mut rounds: Vec<f64> = (0..5)
        .map(|_| {
            let (start, mut times) = (Instant::now(), 0_u32);
            while start.elapsed() < ROUND {
                (0..20).for_each(|_| work());
                times += 20;
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(times)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[2]
}
