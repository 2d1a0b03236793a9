//! Manifests of any shape: each document is an object or an error with a place in the text.
#![allow(clippy::unwrap_used)]

#[test]
fn manifests() {
    authly_fuzzing::run("manifest", 1000, |input| {
        let text = String::from_utf8_lossy(input);
        let lines = u64::try_from(text.lines().count()).unwrap() + 1;
        for error in authly_desired::parse(&text, "a.yaml").into_iter().filter_map(Result::err) {
            assert!(!error.message.is_empty() && error.line <= lines, "{error}");
        }
    });
}
