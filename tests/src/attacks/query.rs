//! Queries (signed-url.md, "Attacks", query).

use super::{Attack, Verdict};
use crate::forge::Forge;

/// Application queries, correctly signed with the parameters behind them.
const REFUSED: &[(&str, &str)] = &[
    ("sx-s before the block", "sx-s=1"),
    ("an unknown sx- name", "sx-z=1"),
    ("an sx- name without a value", "sx-z"),
    ("SX-S", "SX-S=1"),
    ("mixed case", "Sx-k=1"),
    ("sx%2Ds", "sx%2Ds=1"),
    ("sx%2ds", "sx%2ds=1"),
    ("an escaped first letter", "%73x-s=1"),
    ("all three escaped", "%53%58%2D=1"),
    ("an sx- name after a semicolon", "v=1;sx-s=1"),
    ("sx-k after a semicolon", "v=1;sx-k=AAECAwQFBgcI"),
    ("an overlong s", "%C1%B3x-s=1"),
    ("a leading ampersand", "&v=1"),
    ("only an ampersand", "&"),
    ("a trailing ampersand", "v=1&"),
    ("encoded NUL", "v=%00"),
    ("encoded CR LF", "v=%0d%0aX:1"),
    ("Latin-1", "v=%FC"),
    ("bare percent", "v=100%"),
];

/// Signed with `v=1&w=2`, asked for otherwise.
const CHANGED: &[(&str, &str, &str, &str)] = &[
    ("reordered", "v=1&w=2", "w=2&v=1", "signature_invalid"),
    ("a value changed", "v=1", "v=2", "signature_invalid"),
    ("a parameter dropped", "v=1&w=2", "v=1", "signature_invalid"),
    ("the query dropped", "v=1&w=2&", "", "signature_invalid"),
    ("a parameter added", "v=1&", "v=1&x=1&", "signature_invalid"),
    ("a duplicate added", "w=2&", "w=2&w=3&", "signature_invalid"),
    ("plus for a digit", "v=1", "v=+", "signature_invalid"),
    ("semicolon for ampersand", "v=1&w", "v=1;w", "signature_invalid"),
    ("semicolon before the block", "&sx-k", ";sx-k", "not_canonical"),
    ("semicolon inside the block", "&sx-e", ";sx-e", "not_canonical"),
    ("semicolon before the signature", "&sx-s", ";sx-s", "not_canonical"),
    ("SX-S for sx-s", "&sx-s", "&SX-S", "not_canonical"),
    ("sx%2Ds for sx-s", "&sx-s", "&sx%2Ds", "not_canonical"),
    ("sx-s dropped", "&sx-s=", "", "not_canonical"),
    ("an application parameter inside the block", "&sx-e", "&x=1&sx-e", "not_canonical"),
];

const AFTER: &[(&str, &str)] = &[
    ("a parameter after the signature", "&v=1"),
    ("a second signature", "&sx-s=AAAA"),
    ("an ampersand after the signature", "&"),
    ("a semicolon after the signature", ";v=1"),
    ("an escape in the signature", "%41"),
    ("padding after the signature", "=="),
];

pub(super) fn attacks(forge: &Forge) -> Vec<Attack> {
    let new = |name: &str, target: &str| Attack::new("query", name, forge, target);
    let refused = REFUSED.iter().map(|(name, query)| {
        new(name, &forge.sign(&format!("/reports/a?{query}&{}", forge.params()))).refused("not_canonical")
    });
    let changed = CHANGED.iter().map(|(name, from, to, reason)| {
        let link = forge.link("/reports/a?v=1&w=2");
        assert!(link.contains(from), "{name}: nothing to replace");
        new(name, &link.replacen(from, to, 1)).refused(reason)
    });
    let link = forge.link("/reports/a");
    let after = AFTER.iter().map(|(name, end)| new(name, &format!("{link}{end}")).refused("not_canonical"));
    let params = forge.params();
    let more = [
        new("an empty query before the block", &forge.sign(&format!("/reports/a?&{params}"))).refused("not_canonical"),
        new("the block twice", &forge.sign(&format!("/reports/a?{params}&{params}"))).refused("not_canonical"),
        new("a second question mark", &forge.sign(&format!("/reports/a?v=1?{params}"))).refused("not_canonical"),
        new("%20 where + was signed", &forge.link("/reports/a?q=a+b").replace("a+b", "a%20b"))
            .refused("signature_invalid"),
        new("+ where %20 was signed", &forge.link("/reports/a?q=a%20b").replace("a%20b", "a+b"))
            .refused("signature_invalid"),
        new("another case of an escape", &forge.link("/reports/a?q=%c3%bc").replace("%c3", "%C3"))
            .refused("signature_invalid"),
        new("a space", &forge.link("/reports/a?q=a b")).refused("not_canonical").proxied(Verdict::Malformed),
        new("CR LF", &forge.link("/reports/a?q=a\r\nX: 1")).malformed().asked(Verdict::Unasked),
        new("a quote", &forge.link("/reports/a?q=\"1\"")).refused("not_canonical").proxied(Verdict::Malformed),
        new("a fragment after the signature", &format!("{link}#a"))
            .refused("not_canonical")
            .proxied(Verdict::Passes(vec!["#".to_owned()])),
        new("duplicates, verbatim", &forge.link("/reports/a?v=1&v=2")).without(&[]),
        new("slashes and dots in a value", &forge.link("/reports/a?next=/../b//?c")).without(&[]),
    ];
    refused.chain(changed).chain(after).chain(more).collect()
}
