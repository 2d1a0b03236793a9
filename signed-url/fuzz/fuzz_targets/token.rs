//! Reads `PARAMETERS\nTARGET` as a token that is spelled well, and `TOKEN\nTARGET` as it stands, so
//! that the fuzzer need not learn base64url. Nothing panics, and what is read has one spelling.
#![no_main]

use authly_signed_url::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((params, target)) = text.split_once('\n') else { return };
    let Ok(host) = Host::parse("cdn.example.com") else { return };
    let _ = parse_unverified_cookie(&host, target, params);
    let _ = parse_unverified(&host, &format!("/~sx/{params}{target}"));

    let token = format!("{}.{}", URL_SAFE_NO_PAD.encode(params), URL_SAFE_NO_PAD.encode([0; 32]));
    let Ok(unverified) = parse_unverified_cookie(&host, target, &token) else { return };
    let whole = format!("/~sx/{token}{target}");
    let in_path = parse_unverified(&host, &whole).is_ok();
    assert!(in_path || token.len() + target.len() > MAX_TARGET - 5, "path and cookie agree");
    let claims = unverified.unverified_claims().clone();
    assert!(unverified.verify(&VerifyingKey::hmac(&[0x5a; 32])).is_err());
    let (_, length) = params.rsplit_once("&sx-p=").expect("a length");
    let prefix = &target[..length.parse().expect("a number")];
    if claims.lifetime() <= MAX_TTL {
        let again = prepare_prefix(&host, prefix, &claims).expect("what is read can be signed");
        assert_eq!(again.signing_input(), format!("sx1p\n{host}\n{prefix}\n{params}").as_bytes());
    }
});
