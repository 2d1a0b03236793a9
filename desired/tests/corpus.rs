//! Every row of the manifest corpus (operator.md, rule 4), in Rust. The black-box suites run the same rows against a
//! real API server.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use authly_desired::{Object, World, desired, parse, validate};
use serde::Deserialize;
use support::{ISSUER_BASE, objects, program};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    with: Option<String>,
    old: Option<String>,
    manifest: String,
    admission: Admission,
    accepted: Option<String>,
    tests: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Admission {
    Accept,
    Reject,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn rows() -> Vec<Row> {
    let mut files: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml") && !path.ends_with("context.yaml"));
    files.sort();
    let read = |path| serde_saphyr::from_str::<Vec<Row>>(&fs::read_to_string(path).unwrap()).unwrap();
    files.iter().flat_map(read).collect()
}

#[test]
fn every_row_gets_its_verdict() {
    let context = fs::read_to_string(folder().join("context.yaml")).unwrap();
    let rows = rows();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), rows.len(), "a name stands twice");
    let failures: Vec<String> =
        rows.iter().filter_map(|row| run(row, &context).err().map(|why| format!("{}: {why}", row.name))).collect();
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

fn run(row: &Row, context: &str) -> Result<(), String> {
    let mut world = World::new("default", ISSUER_BASE);
    let old = row.old.as_deref().map(|text| objects(text).remove(0));
    let before = objects(context).into_iter().chain(row.with.as_deref().map(objects).unwrap_or_default());
    for object in before.chain(old.clone()) {
        world.put(object);
    }
    let (admission, said, object) = admit(row, old.as_ref());
    if admission != row.admission {
        return Err(format!("admission is {admission:?}: {said}"));
    }
    let Some(object) = object else { return Ok(()) };
    program(&mut world);
    let reference = object.reference().unwrap();
    let tenant = object.tenant().unwrap().to_owned();
    world.put(object);
    let resolved = desired(&world, &tenant);
    let verdict = resolved.verdicts.get(&reference).ok_or("no verdict")?;
    let accepted = match &verdict.accepted {
        Ok(()) => "True".to_owned(),
        Err(refusal) => format!("False/{}", refusal.reason),
    };
    let why = verdict.accepted.as_ref().err().map(|r| r.message.clone()).unwrap_or_default();
    if Some(&accepted) != row.accepted.as_ref() {
        return Err(format!("accepted is {accepted}, not {:?}: {why}", row.accepted));
    }
    match &row.tests {
        Some(tests) if Some(tests) != verdict.effective.tests.as_ref() => {
            Err(format!("tests are {:?}: {why}", verdict.effective.tests))
        }
        _ => Ok(()),
    }
}

fn admit(row: &Row, old: Option<&Object>) -> (Admission, String, Option<Object>) {
    let mut parsed = parse(&row.manifest, "row.yaml");
    if let Some(Err(bad)) = parsed.iter().find(|manifest| manifest.is_err()) {
        assert!(bad.line > 0 && bad.column > 0 && !bad.message.is_empty(), "{}: {bad}", row.name);
        return (Admission::Reject, bad.to_string(), None);
    }
    assert_eq!(parsed.len(), 1, "{}", row.name);
    let object = parsed.remove(0).unwrap().object;
    assert!(validate(None, &object).is_empty(), "{}: parse and validate disagree", row.name);
    match validate(old, &object).first() {
        Some(violation) => (Admission::Reject, violation.to_string(), None),
        None => (Admission::Accept, String::new(), Some(object)),
    }
}
