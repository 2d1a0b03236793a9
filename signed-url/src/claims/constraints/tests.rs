//! Owns the tests of `sx-c`: what is written is read, and each other spelling is refused with its reason.

use super::*;

const ALL: &str = "u3.r5-60.x2.i0a010000~16.oAAAAAAAAAAAAAAAA.aBBBBBBBBBBBBBBBB.gDE.pnight_shift-1.\
                   jAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn all_of_them_read_and_written() {
    let constraints = Constraints::parse(ALL).unwrap();
    let mut out = String::from("before.");
    constraints.write(&mut out);
    assert_eq!(out, format!("before.{ALL}"));
    assert_eq!(constraints.uses, Some(3));
    assert_eq!(constraints.rate, Some(Rate { count: 5, seconds: 60 }));
    assert_eq!(constraints.policy.as_deref(), Some("night_shift-1"));
    assert_eq!(constraints.clone().into_owned(), constraints);
    assert!(constraints.need_online());
}

#[test]
fn only_four_need_the_server() {
    for (text, online) in
        [("u1", true), ("r1-1", true), ("x1", true), ("pa", true), ("gDE", false), ("i0a000000~8", false)]
    {
        assert_eq!(Constraints::parse(text).unwrap().need_online(), online, "{text}");
    }
}

#[test]
fn refused_spellings() {
    for bad in [
        "",
        ".",
        "u1.",
        ".u1",
        "u1..x1",
        "u",
        "u0",
        "u01",
        "u1000001",
        "u-1",
        "u1.u1",
        "x1.u1",
        "r",
        "r5",
        "r5-",
        "r-5",
        "r0-1",
        "r1-0",
        "r1-86401",
        "r1000001-1",
        "r5-060",
        "r5-60-1",
        "x0",
        "i",
        "oAAAAAAAAAAAAAAA",
        "oAAAAAAAAAAAAAAAAA",
        "o",
        "aAAAA",
        "oAAAAAAAAAAAAAAA=",
        "oAAAAAAAAAAAAAAA+",
        "g",
        "gD",
        "gde",
        "gDEU",
        "gD1",
        "p",
        "p%41",
        "pa~b",
        "pü",
        "jAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
        "jAAAA",
        "gDE.i0a010000~16",
    ] {
        assert_eq!(Constraints::parse(bad).map_err(|r| r.reason()), Err("not_canonical"), "{bad}");
    }
    assert!(Constraints::parse(&format!("p{}", "a".repeat(65))).is_err());
}

#[test]
fn unknown_ones_are_refused_never_ignored() {
    for bad in ["z1", "u1.z", "U3", "1", "ü", "%75", "b1.u1", "-", "~"] {
        assert_eq!(Constraints::parse(bad).map_err(|r| r.reason()), Err("constraint_unsupported"), "{bad}");
    }
}
