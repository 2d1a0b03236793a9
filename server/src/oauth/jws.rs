//! Compact JWS (RFC 7515 section 7.1), read strictly. The key decides the algorithm, never the header alone
//! (RFC 8725 section 3.1); claims are parsed only from bytes whose signature was verified.

use authly_model::key::Algorithm;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, de::DeserializeOwned};

/// The members of a header that matter. One given twice does not parse.
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    alg: String,
    /// The key.
    pub(crate) kid: Option<String>,
    /// The type.
    pub(crate) typ: Option<String>,
    crit: Option<serde_json::Value>,
}

/// A JWS whose signature is not verified: nothing in it may be believed.
pub(crate) struct UnverifiedJws<'a> {
    /// Its header.
    pub(crate) unverified_header: Header,
    message: &'a str,
    payload: Vec<u8>,
    signature: &'a str,
}

impl<'a> UnverifiedJws<'a> {
    /// Reads three parts of base64url. A header with `crit` is refused: no extension is understood (section 4.1.11).
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let unverified_header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        unverified_header.crit.is_none().then_some(Self { unverified_header, message, payload, signature })
    }

    /// The algorithm that the header names. `Ed25519` is the same as `EdDSA` with that curve (RFC 9864 section 2.2).
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        match self.unverified_header.alg.as_str() {
            "Ed25519" => Some(Algorithm::EdDSA),
            other => Algorithm::parse(other),
        }
    }

    /// Claims that must not be believed, only used to find the key.
    pub(crate) fn unverified_claims<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.payload).ok()
    }

    /// The claims, if the key made the signature with this algorithm and the header names it.
    pub(crate) fn verify<T: DeserializeOwned>(&self, key: &DecodingKey, algorithm: Algorithm) -> Option<T> {
        let named = self.algorithm() == Some(algorithm);
        if !named || !is_signed(self.signature, self.message.as_bytes(), key, algorithm) {
            return None;
        }
        serde_json::from_slice(&self.payload).ok()
    }
}

/// Whether the key made this base64url signature of the bytes with the algorithm. Every signature of a JWS is verified here.
fn is_signed(signature: &str, message: &[u8], key: &DecodingKey, algorithm: Algorithm) -> bool {
    jsonwebtoken::crypto::verify(signature, message, key, jws(algorithm)).unwrap_or(false)
}

/// The algorithm in `jsonwebtoken`'s terms.
const fn jws(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
    }
}

#[cfg(test)]
mod wycheproof;

#[cfg(test)]
mod tests {
    use super::UnverifiedJws;
    use authly_model::key::Algorithm;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jsonwebtoken::DecodingKey;

    /// RFC 8037 appendix A.4: key, and a JWS whose payload is no JSON.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const EXAMPLE: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
                           hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn with_header(header: &str) -> String {
        let parts: Vec<&str> = EXAMPLE.split('.').collect();
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), parts[1], parts[2])
    }

    #[test]
    fn only_the_keys_own_algorithm_verifies() {
        let key = DecodingKey::from_ed_components(X).unwrap();
        let jws = UnverifiedJws::parse(EXAMPLE).unwrap();
        let signed = super::is_signed(jws.signature, jws.message.as_bytes(), &key, Algorithm::EdDSA);
        assert!(signed, "the example of the RFC verifies");
        assert_eq!(jws.verify::<serde_json::Value>(&key, Algorithm::EdDSA), None, "its payload is no JSON");
        assert_eq!(jws.verify::<serde_json::Value>(&key, Algorithm::ES256), None);
    }

    #[test]
    fn confusing_headers_are_refused() {
        for header in [r#"{"alg":"EdDSA","crit":["x"]}"#, r#"{"alg":"EdDSA","alg":"none"}"#, "[]", r#"{"kid":"x"}"#] {
            assert!(UnverifiedJws::parse(&with_header(header)).is_none(), "{header}");
        }
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256"}"#, r#"{"alg":"eddsa"}"#] {
            assert_eq!(UnverifiedJws::parse(&with_header(header)).unwrap().algorithm(), None, "{header}");
        }
        assert_eq!(
            UnverifiedJws::parse(&with_header(r#"{"alg":"Ed25519"}"#)).unwrap().algorithm(),
            Some(Algorithm::EdDSA)
        );
        for text in ["", ".", "..", "a.b", "a.b.c.d", "e30.e30."] {
            assert!(UnverifiedJws::parse(text).is_none(), "{text}");
        }
    }
}
