//! YAML as `kubectl` reads it (into JSON), with the place of every value. Owns positions; knows no kind.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// Line and column of every value of a document, by path such as `spec.hosts[0]`; from 1, in characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(BTreeMap<String, Place>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The key, or the value itself where there is none.
    start: (u64, u64),
    value: (u64, u64),
}

impl Positions {
    /// Where `path` starts, or else its nearest parent.
    #[must_use]
    pub fn of(&self, path: &str) -> (u64, u64) {
        self.nearest(path).map_or((1, 1), |place| place.start)
    }

    /// Where line and column `at` (from 1) within the text of the value at `path` lie in the file. Right for block
    /// scalars (`|`); for other styles the start of the value.
    #[must_use]
    pub fn within(&self, path: &str, at: (u64, u64), source: &str) -> (u64, u64) {
        let Some(place) = self.nearest(path) else { return (1, 1) };
        let lines: Vec<&str> = source.lines().collect();
        let line_at = |number: u64| usize::try_from(number).ok().and_then(|n| lines.get(n.wrapping_sub(1)));
        let header = line_at(place.start.0).map_or("", |line| line.trim_end());
        if !["|", "|-", "|+"].iter().any(|style| header.ends_with(style)) {
            return place.value;
        }
        let line = place.start.0 + at.0;
        let indent = line_at(place.start.0 + 1).map_or(0, |text| text.len() - text.trim_start_matches(' ').len());
        (line, at.1 + indent as u64)
    }

    fn nearest(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return Some(*place);
            }
            if path.is_empty() {
                return None;
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
    }

    /// The line on which the document starts.
    pub(crate) fn first_line(&self) -> u64 {
        self.0.values().map(|place| place.start.0).min().unwrap_or(1)
    }
}

/// One document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) positions: Positions,
}

/// How deep a document may be nested; no kind needs half of it. The parser recurses, and twice as deep overflows the stack of a thread
/// in a debug build.
const MAX_DEPTH: usize = 32;

/// The documents of a text, without the empty ones.
///
/// # Errors
/// What is not YAML, has a key twice, or expands beyond the parser's budget.
pub(crate) fn read(text: &str) -> Result<Vec<Document>, serde_saphyr::Error> {
    let budget = serde_saphyr::budget! { max_depth: MAX_DEPTH };
    let options = serde_saphyr::options! { budget: budget, strict_booleans: false, with_snippet: false };
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options)?;
    let documents = nodes.into_iter().map(|node| {
        let mut positions = Positions::default();
        let start = place(node.referenced);
        let value = flatten(node, start, "", &mut positions);
        Document { value, positions }
    });
    Ok(documents.filter(|document| !document.value.is_null()).collect())
}

fn place(location: Location) -> (u64, u64) {
    (location.line().max(1), location.column().max(1))
}

fn flatten(node: Spanned<Node>, start: (u64, u64), path: &str, positions: &mut Positions) -> Value {
    positions.0.insert(path.to_owned(), Place { start, value: place(node.referenced) });
    match node.value {
        Node::Leaf(value) => value,
        Node::List(items) => {
            let items = items.into_iter().enumerate();
            items
                .map(|(i, item)| {
                    let start = place(item.referenced);
                    flatten(item, start, &format!("{path}[{i}]"), positions)
                })
                .collect()
        }
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, node) in entries {
                let name = key_text(&key.value);
                let path = crate::schema::member(path, &name);
                let value = flatten(node, place(key.referenced), &path, positions);
                map.insert(name, value);
            }
            Value::Object(map)
        }
    }
}

/// A YAML node with the places of its children.
#[derive(Debug)]
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<Node>, Spanned<Node>)>),
}

/// A key as JSON has it: `y` is the boolean true, and becomes `true`, as `kubectl` does it.
fn key_text(key: &Node) -> String {
    match key {
        Node::Leaf(Value::String(text)) => text.clone(),
        Node::Leaf(other) => other.to_string(),
        Node::List(_) | Node::Map(_) => String::new(),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Leaf(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}
