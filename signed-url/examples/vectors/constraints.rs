//! Owns the vectors about the spelling of `sx-c`.

use super::Vector;
use super::make::{PARAMS, params};

/// Only the server can judge these.
const ONLINE: &[(&str, &str)] = &[
    ("one use", "u1"),
    ("the most uses", "u1000000"),
    ("rate", "r5-60"),
    ("the highest rate", "r1000000-86400"),
    ("concurrency", "x2"),
    ("policy", "pnight_shift-1"),
    ("uses, rate, concurrency, policy", "u3.r5-60.x2.pa"),
];

const BAD: &[(&str, &str)] = &[
    ("empty", ""),
    ("an empty one", "u1..gDE"),
    ("a dot at the end", "u1."),
    ("a dot at the beginning", ".u1"),
    ("not in order", "r5-60.u3"),
    ("network before rate", "i0a010000~16.r5-60"),
    ("twice", "u3.u3"),
    ("twice with another value", "u3.u4"),
    ("no uses", "u0"),
    ("more than a million uses", "u1000001"),
    ("leading zero", "u03"),
    ("no number", "u"),
    ("negative", "u-1"),
    ("a rate without seconds", "r5"),
    ("a rate of nothing", "r0-60"),
    ("a rate over no time", "r5-0"),
    ("a rate over more than a day", "r5-86401"),
    ("a rate with a leading zero", "r5-060"),
    ("no concurrency", "x0"),
    ("a short digest", "oAAAAAAAAAAAAAAA"),
    ("a whole digest", "oAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ("a digest in the standard alphabet", "a+/AAAAAAAAAAAAAA"),
    ("country in lower case", "gde"),
    ("country of three letters", "gDEU"),
    ("two countries", "gDE.gFR"),
    ("policy with a slash", "pa/b"),
    ("policy without a name", "p"),
    ("short thumbprint", "jAAAA"),
    ("thumbprint with trailing bits", "jAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"),
    ("network without a length", "i0a010000"),
    ("network of seven digits", "ia010000~16"),
    ("network of nine digits", "i00a010000~16"),
    ("network in upper case", "i0A010000~16"),
    ("network in dotted notation", "i10~16"),
    ("network with host bits", "i0a010001~16"),
    ("IPv4 /0", "i00000000~0"),
    ("IPv4 /33", "i0a010000~33"),
    ("length with a leading zero", "i0a010000~016"),
    ("length with a sign", "i0a010000~+16"),
    ("IPv6 /0", "i00000000000000000000000000000000~0"),
    ("IPv6 /129", "i20010db8000000000000000000000000~129"),
    ("IPv6 with host bits", "i20010db8000000000000000000000001~64"),
    ("IPv4-mapped network", "i00000000000000000000ffff0a010000~112"),
];

const UNKNOWN: &[(&str, &str)] = &[
    ("an unknown letter", "z1"),
    ("an unknown one after a known one", "u3.z"),
    ("an unknown one before a known one", "b1.u3"),
    ("an upper-case letter", "U3"),
    ("an escaped letter", "%75%33"),
    ("a digit", "3"),
];

pub(super) fn vectors() -> Vec<Vector> {
    let with = |name: &str, value: &str| params("constraints", name, &format!("{PARAMS}&sx-c={value}"));
    let online = ONLINE.iter().map(|(name, value)| with(name, value).needs_online("/a"));
    let bad = BAD.iter().map(|(name, value)| with(name, value).refused("not_canonical"));
    let unknown = UNKNOWN.iter().map(|(name, value)| with(name, value).refused("constraint_unsupported"));
    online.chain(bad).chain(unknown).collect()
}
