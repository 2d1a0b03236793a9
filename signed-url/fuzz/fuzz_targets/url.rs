//! Reads `HOST\nTARGET`: a URL signed in its query or by a token in its path. Nothing panics, and what is read has one
//! spelling.
#![no_main]

use authly_signed_url::*;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((host, target)) = text.split_once('\n') else { return };
    let Ok(host) = Host::parse(host) else { return };
    let Ok(unverified) = parse_unverified(&host, target) else { return };
    let claims = unverified.unverified_claims().clone();
    let stripped = unverified.target().as_str();
    // Nobody signs with this key, so nothing verifies.
    assert!(unverified.verify(&VerifyingKey::hmac(&[0x5a; 32])).is_err());
    // A token in the path has a writer of its own; its path may hold `&sx-s=`, which means nothing there.
    if target.starts_with(PATH_MARKER) {
        return;
    }
    // The writer makes one text of these claims; the reader must have accepted no other.
    let (before, _) = target.rsplit_once("&sx-s=").expect("a signature");
    // The block begins at the later of the two: a path may hold the one, and the application's query the other.
    let block = before.rfind("?sx-k=").max(before.rfind("&sx-k=")).expect("a block of parameters");
    assert_eq!(stripped, &before[..block], "what goes on is what stands before the block");
    Target::parse(stripped).expect("no sx- parameter is left");
    if claims.lifetime() <= MAX_TTL {
        let again = prepare(&host, stripped, &claims).expect("what is read can be signed");
        assert_eq!(again.signing_input(), format!("sx1\n{host}\n{before}").as_bytes());
    }
});
