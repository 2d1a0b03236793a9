//! The JSONPath that printer columns may use: members, array indices, and a filter that compares one member with a
//! text, `.status.conditions[?(@.type=="Ready")].reason`. Anything else finds nothing.

use serde_json::Value;

/// The first value that the path finds.
pub(crate) fn first<'a>(path: &str, value: &'a Value) -> Option<&'a Value> {
    let mut rest = path;
    let mut at = value;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            at = at.get(&after[..end])?;
            rest = &after[end..];
        } else if let Some(after) = rest.strip_prefix("[?(") {
            let (filter, after) = after.split_once(")]")?;
            at = matching(filter, at)?;
            rest = after;
        } else {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            at = at.get(index.parse::<usize>().ok()?)?;
            rest = after;
        }
    }
    Some(at)
}

/// The first element whose member is the text of `@.member=="text"`.
fn matching<'a>(filter: &str, array: &'a Value) -> Option<&'a Value> {
    let (member, text) = filter.strip_prefix("@.")?.split_once("==")?;
    let text = text.trim().trim_matches(['"', '\'']);
    array.as_array()?.iter().find(|element| element.get(member.trim()).and_then(Value::as_str) == Some(text))
}

#[cfg(test)]
mod tests {
    use super::first;
    use serde_json::json;

    #[test]
    fn finds_what_printer_columns_name() {
        let value = json!({"spec": {"hosts": ["a", "b"], "n": 3},
            "status": {"conditions": [{"type": "Accepted", "status": "True"}, {"type": "Ready", "status": "False"}]}});
        for (path, found) in [
            (".spec.n", Some(json!(3))),
            (".spec.hosts[1]", Some(json!("b"))),
            (r#".status.conditions[?(@.type=="Ready")].status"#, Some(json!("False"))),
            (".status.conditions[?(@.type=='Accepted')].status", Some(json!("True"))),
            (r#".status.conditions[?(@.type=="Stalled")].status"#, None),
            (".spec.hosts[7]", None),
            (".metadata.name", None),
            ("spec", None),
        ] {
            assert_eq!(first(path, &value).cloned(), found, "{path}");
        }
    }
}
