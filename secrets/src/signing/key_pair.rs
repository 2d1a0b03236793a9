//! A parsed private key of any algorithm. The only place that knows aws-lc-rs's signing types.

use authly_model::key::Algorithm;
use aws_lc_rs::{
    encoding::{AsBigEndian, AsDer, Curve25519SeedBin, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaEncoding, RsaKeyPair,
    },
};
use zeroize::Zeroizing;

use crate::{
    error::{Result, SecretsError},
    jwk::PublicKey,
};

/// RFC 7518 section 3.3 asks for 2048 bits or more; more would only cost.
const RSA_SIZE: KeySize = KeySize::Rsa2048;
/// The longest signature, that of RSA; the others have 64 bytes.
const MAX_SIGNATURE: usize = 256;

pub(super) enum KeyPair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa { pair: RsaKeyPair, n: Vec<u8>, e: Vec<u8>, padding: &'static dyn RsaEncoding },
}

/// A signature in the form that JWS wants (RFC 7518 section 3, RFC 8037 section 3.1).
pub(super) struct Signature {
    bytes: [u8; MAX_SIGNATURE],
    length: usize,
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl KeyPair {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self> {
        let failed = |_| SecretsError::Crypto("generate a signing key");
        Ok(match algorithm {
            Algorithm::EdDSA => Self::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            Algorithm::ES256 => Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?),
            Algorithm::RS256 | Algorithm::PS256 => {
                Self::rsa(algorithm, RsaKeyPair::generate(RSA_SIZE).map_err(failed)?)?
            }
        })
    }

    pub(super) fn parse(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self> {
        let bad = |_| SecretsError::BadKey(algorithm.as_str());
        match algorithm {
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::Ed25519).map_err(bad),
            Algorithm::ES256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::P256).map_err(bad)
            }
            Algorithm::RS256 | Algorithm::PS256 => Self::rsa(algorithm, RsaKeyPair::from_pkcs8(pkcs8).map_err(bad)?),
        }
    }

    fn rsa(algorithm: Algorithm, pair: RsaKeyPair) -> Result<Self> {
        if pair.public_modulus_len() != RSA_SIZE.len() {
            return Err(SecretsError::BadKey(algorithm.as_str()));
        }
        let public = pair.public_key();
        let n = public.modulus().big_endian_without_leading_zero().to_vec();
        let e = public.exponent().big_endian_without_leading_zero().to_vec();
        // RSA_PSS_SHA256 salts with as many bytes as the digest has (RFC 7518 section 3.5).
        let padding: &'static dyn RsaEncoding =
            if algorithm == Algorithm::PS256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        Ok(Self::Rsa { pair, n, e, padding })
    }

    /// PKCS#8 version 1 (RFC 5208).
    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |_| SecretsError::Crypto("encode a signing key");
        Ok(Zeroizing::new(match self {
            Self::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Self::P256(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Self::Rsa { pair, .. } => AsDer::<Pkcs8V1Der<'static>>::as_der(pair).map_err(failed)?.as_ref().to_vec(),
        }))
    }

    pub(super) fn public_key(&self) -> PublicKey<'_> {
        match self {
            Self::Ed25519(pair) => PublicKey::Ed25519(pair.public_key().as_ref()),
            Self::P256(pair) => PublicKey::P256(pair.public_key().as_ref()),
            Self::Rsa { n, e, .. } => PublicKey::Rsa { n, e },
        }
    }

    pub(super) fn seed(&self) -> Result<Zeroizing<[u8; 32]>> {
        let bad = || SecretsError::BadKey("URL signing");
        let Self::Ed25519(pair) = self else { return Err(bad()) };
        let seed: Curve25519SeedBin<'_> = pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(|_| bad())?;
        <[u8; 32]>::try_from(seed.as_ref()).map(Zeroizing::new).map_err(|_| bad())
    }

    pub(super) const fn signature_length(&self) -> usize {
        match self {
            Self::Ed25519(_) | Self::P256(_) => 64,
            Self::Rsa { .. } => MAX_SIGNATURE,
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Signature> {
        let rng = SystemRandom::new();
        let mut out = Signature { bytes: [0; MAX_SIGNATURE], length: self.signature_length() };
        let short = match self {
            Self::Ed25519(pair) => pair.try_sign(message).map(Some),
            Self::P256(pair) => pair.sign(&rng, message).map(Some),
            Self::Rsa { pair, padding, .. } => pair.sign(*padding, &rng, message, &mut out.bytes).map(|()| None),
        }
        .map_err(|_| SecretsError::Crypto("sign"))?;
        if let Some(signature) = short {
            let length = out.length;
            let target = out.bytes.get_mut(..length).filter(|target| target.len() == signature.as_ref().len());
            target.ok_or(SecretsError::Crypto("sign"))?.copy_from_slice(signature.as_ref());
        }
        Ok(out)
    }
}
