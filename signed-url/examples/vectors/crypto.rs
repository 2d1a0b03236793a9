//! Owns the vectors about signatures and keys ("Attacks", crypto), with the keys of all vectors.

use std::collections::BTreeMap;

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::{EdwardsPoint, Scalar};
use sha2::Digest as _;

use super::make::{HOST, PARAMS, SEED, b64, ed25519, hex, hmac, request, signing_key, target, unhex};
use super::{HmacKey, Key, PublicKey, TagVector, Vector};

const OTHER: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"; // RFC 8032, test 2

pub(super) fn keys() -> BTreeMap<String, Key> {
    let ed25519 = |seed: &str| Key {
        algorithm: "Ed25519".to_owned(),
        secret: seed.to_owned(),
        public: Some(hex(ed25519_dalek::SigningKey::from_bytes(&unhex(seed)).verifying_key().as_bytes())),
    };
    let hmac = Key { algorithm: "HMAC-SHA-256".to_owned(), secret: hex(&hmac_key()), public: None };
    [("ed25519", ed25519(SEED)), ("other", ed25519(OTHER)), ("hmac", hmac)]
        .map(|(name, key)| (name.to_owned(), key))
        .into()
}

fn hmac_key() -> [u8; 32] {
    std::array::from_fn(|index| index as u8)
}

fn input() -> String {
    format!("sx1\n{HOST}\n/a?{PARAMS}")
}

/// The usual URL with this text for a signature.
fn signature(name: &str, text: &str) -> Vector {
    request("signature", name, HOST, &format!("/a?{PARAMS}&sx-s={text}"))
}

pub(super) fn vectors() -> Vec<Vector> {
    let good = ed25519(&input());
    let spelled = b64(&good);
    let mac = hmac(&hmac_key(), &input());
    let bits = |text: &str| format!("{}{}", &text[..text.len() - 1], char::from(text.as_bytes()[text.len() - 1] + 1));
    let spelling = [
        ("padded", format!("{spelled}==")),
        ("trailing bits, Ed25519", bits(&spelled)),
        ("trailing bits, HMAC", bits(&b64(&mac))),
        ("the standard alphabet", format!("+/{}", &spelled[2..])),
        ("63 bytes", b64(&good[..63])),
        ("65 bytes", b64(&[&good[..], &[0]].concat())),
        ("31 bytes", b64(&mac[..31])),
        ("33 bytes", b64(&[&mac[..], &[0]].concat())),
        ("empty", String::new()),
        ("none", "none".to_owned()),
        ("hexadecimal", hex(&good)),
        ("escaped", format!("%{:02X}{}", spelled.as_bytes()[0], &spelled[1..])),
    ];
    let spelling = spelling.into_iter().map(|(name, text)| signature(name, &text).refused("not_canonical"));
    spelling.chain(invalid(&good)).chain(equations()).chain(keys_apart(&mac)).collect()
}

/// Well-formed signatures over other bytes, or changed ones.
fn invalid(good: &[u8; 64]) -> Vec<Vector> {
    let flipped = |index: usize, bit: u8| {
        let mut bytes = *good;
        bytes[index] ^= bit;
        b64(&bytes)
    };
    let over = |input: &str| b64(&ed25519(input));
    let token = "eyJhbGciOiJFZERTQSJ9.eyJleHAiOjE3OTU0NDAwMDB9";
    let before = format!("/a?{PARAMS}");
    let cases = [
        ("a bit of R", flipped(0, 1)),
        ("the sign of R", flipped(31, 0x80)),
        ("a bit of S", flipped(32, 1)),
        ("zeros", b64(&[0; 64])),
        ("zeros, HMAC", b64(&[0; 32])),
        ("ones", b64(&[0xff; 64])),
        ("over a token, by the same key", over(token)),
        ("over the target alone", over(&before)),
        ("over another format's name", over(&format!("sx2\n{HOST}\n{before}"))),
        ("over the name in upper case", over(&format!("SX1\n{HOST}\n{before}"))),
        ("over the bytes of a token", over(&format!("sx1p\n{HOST}\n{before}"))),
        ("over the full URL", over(&format!("https://{HOST}{before}"))),
        ("over CR LF for LF", over(&format!("sx1\r\n{HOST}\r\n{before}"))),
        ("over a line feed at the end", over(&(input() + "\n"))),
        (
            "over a digest of the bytes",
            b64(&{
                use ed25519_dalek::Signer as _;
                signing_key().sign(&sha2::Sha512::digest(input())).to_bytes()
            }),
        ),
    ];
    cases.into_iter().map(|(name, text)| signature(name, &text).refused("signature_invalid")).collect()
}

/// Signatures that satisfy a laxer equation than ours.
fn equations() -> Vec<Vector> {
    let secret = signing_key().to_scalar();
    let public = signing_key().verifying_key().to_bytes();
    // S for the commitment R = r·B + torsion, so that 8·S·B = 8·R + 8·k·A holds, whatever the torsion.
    let sign = |r: Scalar, torsion: EdwardsPoint| {
        let commitment = (r * ED25519_BASEPOINT_POINT + torsion).compress().to_bytes();
        let hash = sha2::Sha512::new().chain_update(commitment).chain_update(public).chain_update(input()).finalize();
        let s = r + Scalar::from_bytes_mod_order_wide(&hash.into()) * secret;
        (commitment, s.to_bytes())
    };
    let spell = |(r, s): ([u8; 32], [u8; 32])| b64(&[r, s].concat());
    let (r, s) = sign(Scalar::from(7_u8), EIGHT_TORSION[0]);
    // The group's order, little-endian: adding it to S changes nothing for a verifier that does not compare.
    let order: [u8; 32] = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    let larger = std::array::from_fn(|index| {
        let sum = u16::from(s[index]) + u16::from(order[index]) + carry;
        carry = sum >> 8;
        sum as u8
    });
    let cases = [
        ("S plus the group's order", spell((r, larger))),
        (
            "S with its highest bit set",
            spell((r, std::array::from_fn(|index| s[index] | if index == 31 { 0x80 } else { 0 }))),
        ),
        ("R the neutral element, equation satisfied", spell(sign(Scalar::ZERO, EIGHT_TORSION[0]))),
        ("R of order 8, cofactored equation satisfied", spell(sign(Scalar::ZERO, EIGHT_TORSION[1]))),
        ("R of order 2, cofactored equation satisfied", spell(sign(Scalar::ZERO, EIGHT_TORSION[4]))),
        ("R with torsion, cofactored equation satisfied", spell(sign(Scalar::from(7_u8), EIGHT_TORSION[1]))),
        ("R the neutral element, S zero", spell((EIGHT_TORSION[0].compress().to_bytes(), [0; 32]))),
    ];
    let honest = signature("another nonce is as good", &spell((r, s)));
    let honest = Vector { signing_input: Some(input()), ..honest }.admitted("/a");
    let cases = cases.into_iter().map(|(name, text)| signature(name, &text).refused("signature_invalid"));
    std::iter::once(honest).chain(cases).collect()
}

/// The right signature, the wrong key.
fn keys_apart(mac: &[u8]) -> Vec<Vector> {
    let public = signing_key().verifying_key().to_bytes();
    let key = |vector: Vector, key: Option<&str>| vector.with(|v| v.key = key.map(str::to_owned));
    let changed: Vec<u8> = mac.iter().enumerate().map(|(index, byte)| byte ^ u8::from(index == 31)).collect();
    let half = [&mac[..16], &[0; 16]].concat();
    let with_mac = |name: &str| Vector { signing_input: Some(input()), ..signature(name, &b64(mac)) };
    vec![
        key(with_mac("HMAC"), Some("hmac")).admitted("/a"),
        key(with_mac("HMAC, for an Ed25519 key"), Some("ed25519")).refused("signature_invalid"),
        key(signature("HMAC, its last bit changed", &b64(&changed)), Some("hmac")).refused("signature_invalid"),
        key(signature("HMAC, only its first half right", &b64(&half)), Some("hmac")).refused("signature_invalid"),
        key(signature("HMAC, zeros", &b64(&[0; 32])), Some("hmac")).refused("signature_invalid"),
        signature("HMAC with the Ed25519 public key", &b64(&hmac(&public, &input()))).refused("signature_invalid"),
        signature("HMAC with an empty key", &b64(&hmac(b"", &input()))).refused("signature_invalid"),
        key(target("signature", "Ed25519, for an HMAC key", "/a"), Some("hmac")).refused("signature_invalid"),
        key(target("signature", "another tenant's key under the same kid", "/a"), Some("other"))
            .refused("signature_invalid"),
        key(target("signature", "no key of this tenant", "/a"), None).refused("unknown_key"),
        target("signature", "another kid", "/a").tampered("AAECAwQFBgcI", "AAECAwQFBgcJ").refused("signature_invalid"),
        target("signature", "a later expiry", "/a").tampered("1795440000", "1795440001").refused("signature_invalid"),
        target("signature", "another id", "/a").tampered("awQvcAEC", "awQvcAED").refused("signature_invalid"),
        target("signature", "a parameter added", "/a").tampered("&sx-s", "&sx-m=PUT&sx-s").refused("signature_invalid"),
    ]
}

pub(super) fn public_keys() -> Vec<PublicKey> {
    let mut keys = vec![("RFC 8032, test 1".to_owned(), hex(signing_key().verifying_key().as_bytes()), None)];
    for (index, point) in EIGHT_TORSION.iter().enumerate() {
        keys.push((format!("torsion point {index}"), hex(&point.compress().to_bytes()), Some("invalid_key")));
        if index > 0 {
            let mixed = signing_key().verifying_key().to_edwards() + point;
            keys.push((
                format!("test 1 plus torsion point {index}"),
                hex(&mixed.compress().to_bytes()),
                Some("invalid_key"),
            ));
        }
    }
    // y + p, and x = 0 with the sign set: other encodings of points that have one already.
    let odd = |first: u8, last: u8| {
        std::array::from_fn(|index| [first, 0xff, last][usize::from(index > 0) + usize::from(index == 31)])
    };
    for last in [0x7f, 0xff] {
        for first in 0xed..=0xff {
            let bytes: [u8; 32] = odd(first, last);
            if CompressedEdwardsY(bytes).decompress().is_some() {
                keys.push((format!("non-canonical y, {first:02x}…{last:02x}"), hex(&bytes), Some("invalid_key")));
            }
        }
    }
    for (name, text) in [("neutral element with sign", "01"), ("order 2 with sign", "ec")] {
        let fill = if text == "ec" { "ff" } else { "00" };
        let last = if text == "ec" { "ff" } else { "80" };
        keys.push((name.to_owned(), format!("{text}{}{last}", fill.repeat(30)), Some("invalid_key")));
    }
    keys.push(("no point of the curve".to_owned(), format!("02{}", "00".repeat(31)), Some("invalid_key")));
    keys.into_iter()
        .map(|(name, public, reason)| PublicKey { name, public, reason: reason.map(str::to_owned) })
        .collect()
}

pub(super) fn tags() -> Vec<TagVector> {
    let key = hmac_key();
    let long = [7; 100];
    let cases: [(&[u8], &str, &str); 5] = [
        (&key, "u", "7"),
        (&key, "c", "7"),
        (&key, "c", "shop.billing"),
        (&key, "u", ""),
        (&long, "c", "shop.billing"),
    ];
    cases
        .into_iter()
        .map(|(key, kind, id)| TagVector {
            key: hex(key),
            kind: kind.to_owned(),
            id: id.to_owned(),
            tag: hex(&hmac(key, &format!("{kind}\0{id}"))[..6]),
        })
        .collect()
}

pub(super) fn hmac_keys() -> Vec<HmacKey> {
    let root = hmac_key();
    [
        ("acme", "edge-1", 1),
        ("acme", "edge-1", 2),
        ("acm", "eedge-1", 1),
        ("acme", "", 0),
        ("bücher", "edge-1", u32::MAX),
    ]
    .map(|(tenant, edge, epoch)| {
        let mut info = Vec::new();
        for part in [tenant, edge] {
            info.extend((part.len() as u32).to_be_bytes());
            info.extend(part.as_bytes());
        }
        info.extend(epoch.to_be_bytes());
        info.push(1); // HKDF's counter: one block is all that is taken
        let extracted = hmac(b"authly sx1 hmac", std::str::from_utf8(&root).unwrap());
        let mut mac = <hmac::Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(&extracted).unwrap();
        hmac::Mac::update(&mut mac, &info);
        let key = hex(&hmac::Mac::finalize(mac).into_bytes());
        HmacKey { root: hex(&root), tenant: tenant.to_owned(), edge: edge.to_owned(), epoch, key }
    })
    .into()
}
