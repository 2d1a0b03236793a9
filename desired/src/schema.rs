//! The structural schemas of the CRDs, interpreted: the same verdict as the API server's on shape and bounds, from the
//! same definition. Owns types, bounds, patterns, enums, sets and unknown fields; CEL's part is in `admission`.

use std::{collections::BTreeMap, sync::LazyLock};

use authly_model::ids::Kind;
use regex::Regex;
use serde_json::Value;

use crate::admission::Violation;

/// The schema of a kind's `spec`; nothing if the definition could not be read, which a test excludes.
pub(crate) fn spec_schema(kind: Kind) -> Option<&'static Schema> {
    SPECS.get(&kind)
}

static SPECS: LazyLock<BTreeMap<Kind, Schema>> = LazyLock::new(|| {
    let all = authly_crds::all().unwrap_or_default();
    all.iter()
        .filter_map(|crd| {
            let kind = Kind::parse(&crd.spec.names.kind)?;
            let version = serde_json::to_value(crd.spec.versions.first()?).ok()?;
            let spec = version.pointer("/schema/openAPIV3Schema/properties/spec")?;
            Some((kind, Schema::read(spec)?))
        })
        .collect()
});

/// A structural schema.
#[derive(Debug)]
pub(crate) enum Schema {
    Object { properties: BTreeMap<String, Self>, required: Vec<String> },
    Map { value: Box<Self>, size: Bounds },
    List { item: Box<Self>, size: Bounds, set: bool },
    Text { size: Bounds, pattern: Option<Regex>, choices: Vec<String> },
    Integer { range: Bounds },
    Boolean,
}

/// Both ends included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    min: i64,
    max: i64,
}

impl Bounds {
    fn read(schema: &Value, min: &str, max: &str) -> Self {
        let bound = |key: &str| schema[key].as_i64().or_else(|| schema[key].as_f64().map(|f| f as i64));
        Self { min: bound(min).unwrap_or(i64::MIN), max: bound(max).unwrap_or(i64::MAX) }
    }

    fn check(self, value: usize, what: &str) -> Option<String> {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        if value > self.max {
            Some(format!("has {value} {what}, at most {} are allowed", self.max))
        } else if value < self.min {
            Some(format!("has {value} {what}, at least {} needed", self.min))
        } else {
            None
        }
    }
}

impl Schema {
    fn read(schema: &Value) -> Option<Self> {
        Some(match schema["type"].as_str()? {
            "object" if schema["additionalProperties"].is_object() => Self::Map {
                value: Box::new(Self::read(&schema["additionalProperties"])?),
                size: Bounds::read(schema, "minProperties", "maxProperties"),
            },
            "object" => Self::Object {
                properties: match schema["properties"].as_object() {
                    Some(map) => map.iter().map(|(k, v)| Some((k.clone(), Self::read(v)?))).collect::<Option<_>>()?,
                    None => BTreeMap::new(),
                },
                required: strings(&schema["required"]),
            },
            "array" => Self::List {
                item: Box::new(Self::read(&schema["items"])?),
                size: Bounds::read(schema, "minItems", "maxItems"),
                set: schema["x-kubernetes-list-type"] == "set",
            },
            "string" => Self::Text {
                size: Bounds::read(schema, "minLength", "maxLength"),
                pattern: match schema["pattern"].as_str() {
                    Some(pattern) => Some(Regex::new(pattern).ok()?),
                    None => None,
                },
                choices: strings(&schema["enum"]),
            },
            "integer" => Self::Integer { range: Bounds::read(schema, "minimum", "maximum") },
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    /// Adds what is wrong with `value` at `path`. A null member is an absent one, as in an API server.
    pub(crate) fn check(&self, value: &Value, path: &str, found: &mut Vec<Violation>) {
        let problem = match (self, value) {
            (Self::Object { properties, required }, Value::Object(map)) => {
                check_object(properties, required, map, path, found);
                None
            }
            (Self::Map { value: schema, size }, Value::Object(map)) => {
                let members = map.iter().filter(|(_, v)| !v.is_null());
                members.clone().for_each(|(k, v)| schema.check(v, &member(path, k), found));
                size.check(members.count(), "entries")
            }
            (Self::List { item, size, set }, Value::Array(list)) => {
                for (i, value) in list.iter().enumerate() {
                    item.check(value, &format!("{path}[{i}]"), found);
                    if *set && list[..i].contains(value) {
                        found.push(Violation::new(format!("{path}[{i}]"), "stands twice: remove one"));
                    }
                }
                size.check(list.len(), "items")
            }
            (Self::Text { size, pattern, choices }, Value::String(text)) => {
                check_text(*size, pattern.as_ref(), choices, text)
            }
            (Self::Integer { range }, Value::Number(number)) => match number.as_i64() {
                Some(n) if (range.min..=range.max).contains(&n) => None,
                Some(n) => Some(format!("is {n}, it must be from {} to {}", range.min, range.max)),
                None => Some("must be a whole number".to_owned()),
            },
            (Self::Boolean, Value::Bool(_)) => None,
            _ => Some(format!("must be {}, not {}", self.noun(), noun(value))),
        };
        found.extend(problem.map(|message| Violation::new(path, message)));
    }

    const fn noun(&self) -> &'static str {
        match self {
            Self::Object { .. } | Self::Map { .. } => "a mapping",
            Self::List { .. } => "a list",
            Self::Text { .. } => "a string",
            Self::Integer { .. } => "a whole number",
            Self::Boolean => "true or false",
        }
    }
}

fn check_object(
    properties: &BTreeMap<String, Schema>,
    required: &[String],
    map: &serde_json::Map<String, Value>,
    path: &str,
    found: &mut Vec<Violation>,
) {
    for (key, value) in map {
        match properties.get(key) {
            Some(_) if value.is_null() => {}
            Some(schema) => schema.check(value, &member(path, key), found),
            None => {
                let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                let message = match key.as_str() {
                    "true" | "false" => {
                        "quote this key: YAML reads y, n, yes, no, on and off as true and false".to_owned()
                    }
                    _ => format!("unknown field; {} knows {}", last(path), known.join(", ")),
                };
                found.push(Violation::new(member(path, key), message));
            }
        }
    }
    for key in required {
        if map.get(key).is_none_or(Value::is_null) {
            found.push(Violation::new(path, format!("{key} is required")));
        }
    }
}

fn check_text(size: Bounds, pattern: Option<&Regex>, choices: &[String], text: &str) -> Option<String> {
    if !choices.is_empty() && !choices.iter().any(|choice| choice == text) {
        return Some(format!("`{}` is not one of {}", cut(text), choices.join(", ")));
    }
    let length = text.chars().count();
    size.check(length, "characters").or_else(|| match pattern {
        Some(pattern) if !pattern.is_match(text) => Some(format!("`{}` does not match {pattern}", cut(text))),
        _ => None,
    })
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The path of a member.
pub(crate) fn member(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// At most 80 characters of what was written, for a message.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// What a value is, for a message.
pub(crate) const fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false (quote it to make it a string)",
        Value::Number(_) => "a number (quote it to make it a string)",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_schema() {
        for kind in Kind::ALL {
            assert!(spec_schema(kind).is_some(), "{kind}");
        }
    }
}
