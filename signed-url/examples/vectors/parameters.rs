//! Owns the vectors about the parameters `sx-k` to `sx-w`: order, spelling, time, methods, WHO.

use super::Vector;
use super::make::{EXPIRES, HOST, ISSUED, PARAMS, b64, params, target};

const K: &str = "sx-k=AAECAwQFBgcI";
const E: &str = "sx-e=1795440000";
const I: &str = "sx-i=awQvcAECAwQFBgoLDA0OD96tvu8AESIz";

pub(super) fn vectors() -> Vec<Vector> {
    [design(), order(), spelling(), time(), methods(), who()].into_iter().flatten().collect()
}

/// The vectors of the design page.
fn design() -> Vec<Vector> {
    let path = "/t/acme/reports/q3.pdf";
    let rich = format!("{path}?v=2&{PARAMS}&sx-m=GET.PUT&sx-w=c.shop.billing&sx-c=u3.i0a010000~16");
    vec![
        target("design", "plain", path).admitted(path),
        super::make::signed("design", "with methods, WHO and constraints", HOST, &rich)
            .with(|v| v.client = Some("10.1.2.3".to_owned()))
            .needs_online("/t/acme/reports/q3.pdf?v=2"),
    ]
}

fn order() -> Vec<Vector> {
    let all = format!("{PARAMS}&sx-n=1795436400&sx-m=GET.PUT&sx-w=u.7&sx-c=gDE");
    let bad = [
        ("sx-e before sx-k", format!("{E}&{K}&{I}")),
        ("sx-i before sx-e", format!("{K}&{I}&{E}")),
        ("sx-m before sx-n", format!("{PARAMS}&sx-m=PUT&sx-n=1795436400")),
        ("sx-w before sx-m", format!("{PARAMS}&sx-w=u.7&sx-m=PUT")),
        ("sx-c before sx-w", format!("{PARAMS}&sx-c=gDE&sx-w=u.7")),
        ("sx-k twice", format!("{K}&{K}&{E}&{I}")),
        ("sx-e twice", format!("{K}&{E}&{E}&{I}")),
        ("sx-c twice", format!("{PARAMS}&sx-c=gDE&sx-c=gDE")),
        ("no sx-e", format!("{K}&{I}")),
        ("no sx-i", format!("{K}&{E}")),
        ("no sx-k", format!("{E}&{I}")),
        ("an unknown parameter in the block", format!("{PARAMS}&sx-a=EdDSA")),
        ("an algorithm in the block", format!("{PARAMS}&sx-alg=none")),
        ("the parameter of tokens", format!("{PARAMS}&sx-p=2")),
        ("an empty parameter in the block", format!("{K}&&{E}&{I}")),
        ("an upper-case name in the block", format!("{K}&SX-E=1795440000&{I}")),
    ];
    let bad = bad.into_iter().map(|(name, text)| params("order", name, &text).refused("not_canonical"));
    let all = params("order", "all parameters", &all).with(|v| v.country = Some("DE".to_owned())).admitted("/a");
    std::iter::once(all).chain(bad).collect()
}

fn spelling() -> Vec<Vector> {
    let bad = [
        ("padded kid", format!("sx-k=AAECAwQFBgcI==&{E}&{I}")),
        ("short kid", format!("sx-k=AAECAwQFBgc&{E}&{I}")),
        ("kid in the standard alphabet", format!("sx-k=AAECAwQFBgc+&{E}&{I}")),
        ("empty kid", format!("sx-k=&{E}&{I}")),
        ("leading zero in sx-e", format!("{K}&sx-e=01795440000&{I}")),
        ("signed sx-e", format!("{K}&sx-e=+1795440000&{I}")),
        ("negative sx-e", format!("{K}&sx-e=-1&{I}")),
        ("fraction in sx-e", format!("{K}&sx-e=1795440000.0&{I}")),
        ("exponent in sx-e", format!("{K}&sx-e=2e9&{I}")),
        ("hexadecimal sx-e", format!("{K}&sx-e=0x6B042F70&{I}")),
        ("sx-e of eleven digits", format!("{K}&sx-e=17954400000&{I}")),
        ("sx-e that overflows", format!("{K}&sx-e=99999999999999999999&{I}")),
        ("empty sx-e", format!("{K}&sx-e=&{I}")),
        ("date in sx-e", format!("{K}&sx-e=2026-11-23&{I}")),
        ("short id", format!("{K}&{E}&sx-i=awQvcAECAwQFBgoLDA0OD96tvu8AESI")),
        ("long id", format!("{K}&{E}&sx-i=awQvcAECAwQFBgoLDA0OD96tvu8AESIzAAAA")),
        ("leading zero in sx-n", format!("{PARAMS}&sx-n=01795436400")),
        ("empty sx-n", format!("{PARAMS}&sx-n=")),
        ("sx-n at sx-e", format!("{PARAMS}&sx-n=1795440000")),
        ("sx-e at the issue time", format!("{K}&sx-e=1795436400&{I}")),
    ];
    bad.into_iter().map(|(name, text)| params("spelling", name, &text).refused("not_canonical")).collect()
}

fn time() -> Vec<Vector> {
    let at = |name: &str, now: i64| target("time", name, "/a").with(|v| v.now = now);
    let begin = |name: &str, now: i64| params("time", name, &format!("{PARAMS}&sx-n=1795438000")).with(|v| v.now = now);
    let ttl = |name: &str, ttl: i64| target("time", name, "/a").with(|v| v.max_ttl = ttl);
    let week = |name: &str, lifetime: i64| {
        params("time", name, &format!("{K}&sx-e={}&{I}", ISSUED + lifetime)).with(|v| v.max_ttl = 10_000_000)
    };
    let mut id = [0xff; 24];
    id[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let future = format!("{K}&sx-e=4294967300&sx-i={}", b64(&id));
    vec![
        at("the last second", EXPIRES - 1).admitted("/a"),
        at("no leeway at expiry", EXPIRES).refused("expired"),
        at("long expired", EXPIRES + 1_000_000).refused("expired"),
        at("issued 30 s ahead", ISSUED - 30).admitted("/a"),
        at("issued 31 s ahead", ISSUED - 31).refused("not_yet_valid"),
        at("the year 1970", 0).refused("not_yet_valid"),
        params("time", "an issue time with the highest bit set", &future).refused("not_yet_valid"),
        begin("sx-n 30 s ahead", 1_795_437_970).admitted("/a"),
        begin("sx-n 31 s ahead", 1_795_437_969).refused("not_yet_valid"),
        begin("after sx-n", 1_795_438_000).admitted("/a"),
        ttl("as long as the route permits", 3600).admitted("/a"),
        ttl("a second longer than the route permits", 3599).refused("lifetime_exceeds_route"),
        ttl("a route that permits nothing", 0).refused("lifetime_exceeds_route"),
        week("seven days", 604_800).admitted("/a"),
        week("a second more than seven days, whatever the route says", 604_801).refused("lifetime_exceeds_route"),
    ]
}

fn methods() -> Vec<Vector> {
    let with = |name: &str, value: &str, method: &str| {
        params("methods", name, &format!("{PARAMS}&sx-m={value}")).with(|v| v.method = method.to_owned())
    };
    let default = |name: &str, method: &str| target("methods", name, "/a").with(|v| v.method = method.to_owned());
    let bad = [
        ("the default spelled", "GET"),
        ("the default spelled with HEAD", "GET.HEAD"),
        ("HEAD spelled beside GET", "GET.HEAD.PUT"),
        ("not sorted", "PUT.GET"),
        ("twice", "PUT.PUT"),
        ("lower case", "put"),
        ("empty", ""),
        ("an empty one", "GET..PUT"),
        ("a dot at the end", "PUT."),
        ("an escape", "P%55T"),
        ("a comma", "GET,PUT"),
        ("an asterisk", "*"),
    ];
    let bad = bad.into_iter().map(|(name, value)| with(name, value, "PUT").refused("not_canonical"));
    let checked = [
        default("HEAD by default", "HEAD").admitted("/a"),
        default("PUT is not the default", "PUT").refused("method_not_signed"),
        default("OPTIONS is not the default", "OPTIONS").refused("method_not_signed"),
        default("methods have case", "get").refused("method_not_signed"),
        with("one signed method", "PUT", "PUT").admitted("/a"),
        with("GET where PUT is signed", "PUT", "GET").refused("method_not_signed"),
        with("HEAD where PUT is signed", "PUT", "HEAD").refused("method_not_signed"),
        with("GET brings HEAD", "GET.PUT", "HEAD").admitted("/a"),
        with("HEAD alone", "HEAD", "HEAD").admitted("/a"),
        with("HEAD does not bring GET", "HEAD", "GET").refused("method_not_signed"),
        with("an extension method", "PROPFIND.VERSION-CONTROL", "VERSION-CONTROL").admitted("/a"),
        with("two signed methods are not one", "DELETE.PUT", "DELETE.PUT").refused("method_not_signed"),
    ];
    checked.into_iter().chain(bad).collect()
}

fn who() -> Vec<Vector> {
    let with = |name: &str, value: &str| params("who", name, &format!("{PARAMS}&sx-w={value}"));
    let long = format!("u.{}", "a".repeat(129));
    let bad = [
        ("without a kind", "shop.billing"),
        ("an unknown kind", "g.admins"),
        ("upper-case kind", "C.shop"),
        ("empty", ""),
        ("no id", "c."),
        ("an escape", "c.shop%2Ebilling"),
        ("a slash", "c.shop/billing"),
        ("129 characters", &long),
    ];
    let good = [
        with("a client", "c.shop.billing").admitted("/a"),
        with("a user", "u.0190b6f2-7e1c-7000-8000-000000000001").admitted("/a"),
    ];
    good.into_iter().chain(bad.into_iter().map(|(name, value)| with(name, value).refused("not_canonical"))).collect()
}
