//! The public keys of a client, beyond what a schema can see: that they are numbers of the right size (RFC 7518
//! section 6, RFC 8037 section 2). Never sees a private key: admission has refused it.

use authly_crds::{Jwk, KeyType};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// The key as the store keeps it, or what is wrong with it.
pub(crate) fn public_jwk(key: &Jwk) -> Result<Value, String> {
    let mut jwk = Map::new();
    let mut put = |name: &str, text: &Option<String>| {
        if let Some(text) = text {
            jwk.insert(name.to_owned(), text.clone().into());
        }
    };
    for (name, member) in [("crv", &key.crv), ("kid", &key.kid), ("alg", &key.alg), ("use", &key.use_)] {
        put(name, member);
    }
    for (name, member) in [("x", &key.x), ("y", &key.y), ("n", &key.n), ("e", &key.e)] {
        let Some(text) = member else { continue };
        let bytes = decode(text).ok_or_else(|| format!("{name} is not base64url without padding"))?;
        match name {
            "x" | "y" if bytes.len() != 32 => return Err(format!("{name} has {} bytes, 32 are needed", bytes.len())),
            "n" => modulus(&bytes)?,
            "e" => exponent(&bytes)?,
            _ => {}
        }
        put(name, member);
    }
    let kty = match key.kty {
        KeyType::OKP => "OKP",
        KeyType::EC => "EC",
        KeyType::RSA => "RSA",
    };
    jwk.insert("kty".to_owned(), kty.into());
    Ok(Value::Object(jwk))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn modulus(bytes: &[u8]) -> Result<(), String> {
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return Err("n is empty".to_owned()) };
    let bits = bytes.len() * 8 - first.leading_zeros() as usize;
    if *first == 0 || !(2048..=4096).contains(&bits) || last % 2 == 0 {
        return Err(format!("n has {bits} bits: an odd number of 2048 to 4096 without leading zero bytes is needed"));
    }
    Ok(())
}

fn exponent(bytes: &[u8]) -> Result<(), String> {
    let value = bytes.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if bytes.first() == Some(&0) || value < 3 || value % 2 == 0 || bytes.len() > 4 {
        return Err("e is not an odd number from 3 to 2^32: AQAB is the usual one".to_owned());
    }
    Ok(())
}
