//! The public keys of an OAuthClient (RFC 7517). Private ones are refused, also by an API server that is asked to ignore
//! unknown fields: they would lie in etcd for all to read.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{bounds, rules};

/// A set of public keys (RFC 7517 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = jwks_rules()))]
pub struct Jwks {
    /// The keys.
    #[schemars(length(min = 1, max = 8))]
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 7517 section 4): Ed25519, P-256, or RSA of 2048 to 4096 bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = jwk_rules()))]
pub struct Jwk {
    /// The family.
    pub kty: KeyType,
    /// The curve: Ed25519 for OKP, P-256 for EC.
    #[schemars(schema_with = "curve")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The public key (OKP) or its x coordinate (EC).
    #[schemars(schema_with = "bounds::base64url")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The y coordinate (EC). Quote the key: YAML reads a bare y as true.
    #[schemars(schema_with = "bounds::base64url")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The modulus (RSA). Quote the key: YAML reads a bare n as false.
    #[schemars(schema_with = "bounds::base64url")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// The exponent (RSA).
    #[schemars(schema_with = "bounds::base64url")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// The key id that assertions name.
    #[schemars(schema_with = "kid")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The algorithm, where the key is for one alone.
    #[schemars(schema_with = "algorithm")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// The use, `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "key_use")]
    pub use_: Option<String>,
    /// Private key material; always refused. It stands here so that the API server refuses it too, however it is asked.
    #[schemars(schema_with = "bounds::base64url")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d: Option<String>,
}

/// The family of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(clippy::upper_case_acronyms)] // the `kty` values themselves
pub enum KeyType {
    /// Ed25519 (RFC 8037).
    OKP,
    /// P-256.
    EC,
    /// RSA.
    RSA,
}

fn kid(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[\x21-\x7e]+$"})
}

fn curve(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 16, "enum": ["Ed25519", "P-256"]})
}

fn algorithm(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 16, "enum": ["EdDSA", "ES256", "RS256", "PS256"]})
}

fn key_use(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 16, "enum": ["sig"]})
}

fn jwk_rules() -> serde_json::Value {
    rules::rules([
        ("!has(self.d)".to_owned(), "d is private key material: publish the public key only, and replace this one"),
        (
            concat!(
                "self.kty != 'OKP' || (has(self.crv) && self.crv == 'Ed25519' && has(self.x) && size(self.x) == 43",
                " && !has(self.y) && !has(self.n) && !has(self.e))"
            )
            .to_owned(),
            "an OKP key has crv Ed25519 and x of 43 characters, and no other member of a key",
        ),
        (
            concat!(
                "self.kty != 'EC' || (has(self.crv) && self.crv == 'P-256' && has(self.x) && size(self.x) == 43",
                " && has(self.y) && size(self.y) == 43 && !has(self.n) && !has(self.e))"
            )
            .to_owned(),
            "an EC key has crv P-256, x and y of 43 characters each, and no other member of a key",
        ),
        (
            concat!(
                "self.kty != 'RSA' || (has(self.n) && size(self.n) >= 342 && size(self.n) <= 683",
                " && has(self.e) && size(self.e) <= 6 && !has(self.crv) && !has(self.x) && !has(self.y))"
            )
            .to_owned(),
            "an RSA key has n of 2048 to 4096 bits and e, and no other member of a key",
        ),
        (
            "!has(self.alg) || self.alg in {'OKP': ['EdDSA'], 'EC': ['ES256'], 'RSA': ['RS256', 'PS256']}[self.kty]"
                .to_owned(),
            "alg does not fit kty",
        ),
    ])
}

fn jwks_rules() -> serde_json::Value {
    rules::rules([
        ("size(self.keys) <= 1 || self.keys.all(k, has(k.kid))".to_owned(), "each of several keys has a kid"),
        (
            "self.keys.all(k, !has(k.kid) || self.keys.exists_one(o, has(o.kid) && o.kid == k.kid))".to_owned(),
            "each kid stands once",
        ),
    ])
}
