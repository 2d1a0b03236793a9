//! Signatures and keys (signed-url.md, "Attacks", crypto): Wycheproof's vectors are in `wycheproof.rs`, here is what they cannot know.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Attack;
use crate::forge::Forge;

/// The order of Ed25519's group, little-endian (RFC 8032 section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(super) fn attacks(forge: &Forge, other: &Forge) -> Vec<Attack> {
    let before = format!("/reports/q3.pdf?{}", forge.params());
    let message = format!("sx1\n{}\n{before}", forge.host);
    let good = URL_SAFE_NO_PAD.decode(forge.signature(&message)).unwrap_or_default();
    let new = |name: &str, signature: &str| Attack::new("crypto", name, forge, format!("{before}&sx-s={signature}"));
    let bytes = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut signature = good.clone();
        change(&mut signature);
        new(name, &URL_SAFE_NO_PAD.encode(signature)).refused("signature_invalid")
    };
    let spelled = URL_SAFE_NO_PAD.encode(&good);
    let last = char::from(spelled.as_bytes()[85] + 1);
    let by_other = format!("/reports/q3.pdf?{}", other.params());
    let with_kid = |kid: &str| before.replace(&forge.kid, kid);
    let list = vec![
        bytes("the first bit", &|s| s[0] ^= 1),
        bytes("the last bit of R", &|s| s[31] ^= 0x80),
        bytes("the first bit of S", &|s| s[32] ^= 1),
        bytes("S plus the order of the group", &|s| add_order(&mut s[32..])),
        bytes("zero", &|s| s.fill(0)),
        bytes("all ones", &|s| s.fill(0xff)),
        bytes("R of small order, S zero", &|s| {
            s.fill(0);
            s[0] = 1;
        }),
        bytes("R and S swapped", &|s| s.rotate_left(32)),
        new("63 bytes", &URL_SAFE_NO_PAD.encode(&good[..63])).refused("not_canonical"),
        new("65 bytes", &URL_SAFE_NO_PAD.encode([&good[..], &[0]].concat())).refused("not_canonical"),
        new("empty", "").refused("not_canonical"),
        new("bits behind the end", &format!("{}{last}", &spelled[..85])).refused("not_canonical"),
        new("in the standard alphabet", &format!("+/{}", &spelled[2..])).refused("not_canonical"),
        new("HMAC under the public key", &forge.confused_signature(&message)).refused("signature_invalid"),
        new("by the token key", &forge.token_signature(&message)).refused("signature_invalid"),
        new("by another tenant's key", &other.signature(&message)).refused("signature_invalid"),
        new("over the target alone", &forge.signature(&before)).refused("signature_invalid"),
        new("over another domain", &forge.signature(&message.replace("sx1\n", "sx1p\n"))).refused("signature_invalid"),
        new("over another host", &forge.signature(&message.replace(&forge.host, &other.host)))
            .refused("signature_invalid"),
    ];
    let keys = [
        ("another tenant's key", other.sign_for(&forge.host, &by_other), "unknown_key"),
        ("a key of nobody", forge.sign(&with_kid("AAECAwQFBgcI")), "unknown_key"),
        ("the token key's id", forge.sign(&with_kid(&forge.token_kid)), "not_canonical"),
        ("the token key's id, cut", forge.sign(&with_kid(&forge.token_kid[..12])), "unknown_key"),
    ];
    let keys =
        keys.into_iter().map(|(name, target, reason)| Attack::new("crypto", name, forge, target).refused(reason));
    list.into_iter().chain(keys).collect()
}

/// Without a check of S below the order, a signature has a second spelling.
fn add_order(s: &mut [u8]) {
    let mut carry = 0_u16;
    for (byte, order) in s.iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
}
