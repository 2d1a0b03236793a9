//! The vectors, all of them. Owns their shape and order. Deterministic: no clock, no randomness. Used by the example
//! that prints them and by the test that holds them. Governed by `vectors/README.md`.

mod constraints;
mod crypto;
mod facts;
mod hosts;
mod make;
mod parameters;
mod paths;
mod prefixes;
mod queries;

use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) format: String,
    pub(crate) keys: std::collections::BTreeMap<String, Key>,
    pub(crate) vectors: Vec<Vector>,
    pub(crate) public_keys: Vec<PublicKey>,
    pub(crate) tags: Vec<TagVector>,
    pub(crate) hmac_keys: Vec<HmacKey>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) algorithm: String,
    pub(crate) secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) public: Option<String>,
}

/// A request, and the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) cookie: Option<String>,
    pub(crate) method: String,
    pub(crate) now: i64,
    pub(crate) max_ttl: i64,
    pub(crate) client: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) holder: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) result: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stripped: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signing_input: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicKey {
    pub(crate) name: String,
    pub(crate) public: String,
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagVector {
    pub(crate) key: String,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) tag: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HmacKey {
    pub(crate) root: String,
    pub(crate) tenant: String,
    pub(crate) edge: String,
    pub(crate) epoch: u32,
    pub(crate) key: String,
}

/// The file's text.
pub(crate) fn json() -> String {
    let groups = [
        parameters::vectors(),
        paths::vectors(),
        hosts::vectors(),
        queries::vectors(),
        constraints::vectors(),
        facts::vectors(),
        prefixes::vectors(),
        crypto::vectors(),
    ];
    let file = File {
        format: "sx1".to_owned(),
        keys: crypto::keys(),
        vectors: groups.into_iter().flatten().collect(),
        public_keys: crypto::public_keys(),
        tags: crypto::tags(),
        hmac_keys: crypto::hmac_keys(),
    };
    serde_json::to_string_pretty(&file).unwrap() + "\n"
}
