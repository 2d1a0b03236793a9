//! The parameters of the signature: order, spelling, times, methods, constraints. All of them are correctly signed.

use super::Attack;
use crate::forge::Forge;

pub(super) fn attacks(forge: &Forge) -> Vec<Attack> {
    [order(forge), spelling(forge), time(forge), constraints(forge)].into_iter().flatten().collect()
}

fn signed(forge: &Forge, group: &str, name: &str, params: &str, reason: &'static str) -> Attack {
    Attack::new(group, name, forge, forge.sign(&format!("/reports/q3.pdf?{params}"))).refused(reason)
}

fn order(forge: &Forge) -> Vec<Attack> {
    let all = forge.params();
    let [k, e, i] = all.split('&').collect::<Vec<_>>()[..] else { unreachable!("three parameters") };
    let cases = [
        ("sx-e first", format!("{e}&{k}&{i}")),
        ("sx-i before sx-e", format!("{k}&{i}&{e}")),
        ("sx-c before sx-w", format!("{all}&sx-c=u1&sx-w=u.7")),
        ("sx-m before sx-n", format!("{all}&sx-m=PUT&sx-n={}", forge.now)),
        ("sx-k twice", format!("{k}&{k}&{e}&{i}")),
        ("sx-e twice", format!("{k}&{e}&{e}&{i}")),
        ("sx-c twice", format!("{all}&sx-c=u1&sx-c=u2")),
        ("no sx-e", format!("{k}&{i}")),
        ("no sx-i", format!("{k}&{e}")),
        ("no sx-k", format!("{e}&{i}")),
        ("an algorithm", format!("{all}&sx-alg=none")),
        ("the length of tokens", format!("{all}&sx-p=9")),
        ("an empty parameter", format!("{k}&&{e}&{i}")),
        ("an upper-case name", format!("{k}&{}&{i}", e.replace("sx-e", "SX-E"))),
    ];
    cases.into_iter().map(|(name, params)| signed(forge, "order", name, &params, "not_canonical")).collect()
}

fn spelling(forge: &Forge) -> Vec<Attack> {
    let kid = &forge.kid;
    let later = forge.now + 600;
    let id = Forge::id(forge.now);
    let cases = [
        ("padded kid", format!("sx-k={kid}==&sx-e={later}&sx-i={id}")),
        ("short kid", format!("sx-k={}&sx-e={later}&sx-i={id}", &kid[..11])),
        ("empty kid", format!("sx-k=&sx-e={later}&sx-i={id}")),
        ("kid with an escape", format!("sx-k=%41{}&sx-e={later}&sx-i={id}", &kid[1..])),
        ("leading zero", format!("sx-k={kid}&sx-e=0{later}&sx-i={id}")),
        ("plus sign", format!("sx-k={kid}&sx-e=+{later}&sx-i={id}")),
        ("negative", format!("sx-k={kid}&sx-e=-1&sx-i={id}")),
        ("fraction", format!("sx-k={kid}&sx-e={later}.0&sx-i={id}")),
        ("exponent", format!("sx-k={kid}&sx-e=2e9&sx-i={id}")),
        ("hexadecimal", format!("sx-k={kid}&sx-e=0x7fffffff&sx-i={id}")),
        ("overflow", format!("sx-k={kid}&sx-e=99999999999999999999&sx-i={id}")),
        ("a date", format!("sx-k={kid}&sx-e=2099-11-23&sx-i={id}")),
        ("short id", format!("sx-k={kid}&sx-e={later}&sx-i={}", &id[..28])),
        ("long id", format!("sx-k={kid}&sx-e={later}&sx-i={id}AAAA")),
        ("default methods spelled", format!("{}&sx-m=GET", forge.params())),
        ("HEAD beside GET", format!("{}&sx-m=GET.HEAD.PUT", forge.params())),
        ("methods not sorted", format!("{}&sx-m=PUT.GET", forge.params())),
        ("a method in lower case", format!("{}&sx-m=put", forge.params())),
        ("no method", format!("{}&sx-m=", forge.params())),
        ("WHO without a kind", format!("{}&sx-w=shop.billing", forge.params())),
        ("WHO of an unknown kind", format!("{}&sx-w=g.admins", forge.params())),
        ("sx-n at sx-e", format!("sx-k={kid}&sx-e={later}&sx-i={id}&sx-n={later}")),
    ];
    cases.into_iter().map(|(name, params)| signed(forge, "spelling", name, &params, "not_canonical")).collect()
}

fn time(forge: &Forge) -> Vec<Attack> {
    let now = forge.now;
    let cases = [
        ("expired a second ago", forge.params_at(now - 600, now - 1), "expired"),
        ("expired on issue", forge.params_at(now - 60, now), "expired"),
        ("expired years ago", forge.params_at(1_000_000_000, 1_000_000_900), "expired"),
        ("issued tomorrow", forge.params_at(now + 86_400, now + 86_500), "not_yet_valid"),
        ("issued beyond the clock skew", forge.params_at(now + 600, now + 1200), "not_yet_valid"),
        ("begins later", format!("{}&sx-n={}", forge.params(), now + 500), "not_yet_valid"),
        ("expires before its issue", forge.params_at(now, now - 1), "not_canonical"),
        ("longer than the route", forge.params_at(now - 10, now + 86_400), "lifetime_exceeds_route"),
        ("longer than the format", forge.params_at(now - 604_000, now + 10_000), "lifetime_exceeds_route"),
        ("issued in 1970 to live for ever", forge.params_at(1, 4_000_000_000), "lifetime_exceeds_route"),
    ];
    cases.into_iter().map(|(name, params, reason)| signed(forge, "time", name, &params, reason)).collect()
}

fn constraints(forge: &Forge) -> Vec<Attack> {
    let unsupported = "constraint_unsupported";
    let cases = [
        ("an unknown one", "z1", unsupported),
        ("an unknown one after a known one", "u1.z1", unsupported),
        ("an upper-case letter", "U1", unsupported),
        ("a rate, which is not enforced", "r5-60", unsupported),
        ("concurrency, which is not enforced", "x2", unsupported),
        ("a country, which is not enforced", "gDE", unsupported),
        ("a policy, which is not enforced", "pstrict", unsupported),
        ("a holder, which is not enforced", "jAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", unsupported),
        ("one that is not enforced beside one that is", "u1.x2", unsupported),
        ("in another order", "i0a000000~8.u1", "not_canonical"),
        ("twice", "u1.u1", "not_canonical"),
        ("no uses", "u0", "not_canonical"),
        ("uses with a leading zero", "u01", "not_canonical"),
        ("a million and one uses", "u1000001", "not_canonical"),
        ("uses that overflow", "u4294967297", "not_canonical"),
        ("an empty one", "", "not_canonical"),
        ("a dot at the end", "u1.", "not_canonical"),
        ("a network of everyone", "i00000000~0", "not_canonical"),
        ("a network of everyone, IPv6", "i00000000000000000000000000000000~0", "not_canonical"),
        ("a network with host bits", "i0a000001~8", "not_canonical"),
        ("a network with a leading zero", "i0a000000~08", "not_canonical"),
        ("a network with an upper-case digit", "i0A000000~8", "not_canonical"),
        ("a network with too long a prefix", "i0a000000~33", "not_canonical"),
        ("a mapped network", "i00000000000000000000ffff7f000000~104", "not_canonical"),
        ("a network in dots", "i127.0.0.1~8", "not_canonical"),
        ("a short digest of an origin", "oAAAA", "not_canonical"),
    ];
    let signed_with = |(name, text, reason): (&str, &str, _)| {
        signed(forge, "constraint", name, &format!("{}&sx-c={text}", forge.params()), reason)
    };
    cases.into_iter().map(signed_with).collect()
}
