//! Ed25519 verification (RFC 8032) with a parsed key, by whichever of aws-lc-rs and dalek is faster on this machine, so that the
//! baseline is never the slower choice.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// How often each is tried, in turn.
const TRIALS: u32 = 400;

/// A parsed public key.
pub(crate) enum Verifier {
    AwsLc(ParsedPublicKey),
    Dalek(ed25519_dalek::VerifyingKey),
}

impl Verifier {
    /// The one Ed25519 key of a JWKS (RFC 8037 section 2).
    pub(crate) fn of_jwks(jwks: &[u8]) -> anyhow::Result<Self> {
        let jwks: Value = serde_json::from_slice(jwks).context("a JWKS of the product is not JSON")?;
        let keys = jwks["keys"].as_array().context("a JWKS of the product has no keys")?;
        let mut keys = keys.iter().filter(|key| key["crv"] == "Ed25519");
        let (Some(key), None) = (keys.next(), keys.next()) else {
            anyhow::bail!("a JWKS with one Ed25519 key is expected")
        };
        let x = URL_SAFE_NO_PAD.decode(key["x"].as_str().context("the key has no x")?)?;
        Self::faster(x.as_slice().try_into().context("x must have 32 bytes")?)
    }

    fn faster(x: &[u8; 32]) -> anyhow::Result<Self> {
        let probe = Ed25519KeyPair::generate()?;
        let public = probe.public_key().as_ref().try_into()?;
        let signature = probe.sign(MESSAGE);
        let candidates = [Self::aws_lc(public)?, Self::dalek(public)?];
        // The shortest time: the machine may be busy with something else.
        let mut times = [Duration::MAX; 2];
        for _ in 0..TRIALS {
            for (candidate, time) in candidates.iter().zip(&mut times) {
                let start = Instant::now();
                ensure!(
                    candidate.is_valid(MESSAGE, signature.as_ref()),
                    "{} refuses a valid signature",
                    candidate.name()
                );
                *time = start.elapsed().min(*time);
            }
        }
        if times[0] <= times[1] { Self::aws_lc(x) } else { Self::dalek(x) }
    }

    fn aws_lc(x: &[u8; 32]) -> anyhow::Result<Self> {
        Ok(Self::AwsLc(ParsedPublicKey::new(&ED25519, x).context("the key is not Ed25519")?))
    }

    fn dalek(x: &[u8; 32]) -> anyhow::Result<Self> {
        Ok(Self::Dalek(ed25519_dalek::VerifyingKey::from_bytes(x)?))
    }

    /// What verifies.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::AwsLc(_) => "aws-lc-rs",
            Self::Dalek(_) => "ed25519-dalek",
        }
    }

    /// Whether the signature, 64 bytes, is the key's.
    pub(crate) fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::AwsLc(key) => key.verify_sig(message, signature).is_ok(),
            Self::Dalek(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature);
                signature.is_ok_and(|signature| ed25519_dalek::Verifier::verify(key, message, &signature).is_ok())
            }
        }
    }
}

/// As long as what is signed in a URL.
const MESSAGE: &[u8] = &[7; 200];
