//! The four vectors of the signed-URL design page, byte for byte: verified, and reproduced by signing.

#![allow(clippy::unwrap_used)]

use authly_signed_url::*;

/// RFC 8032, section 7.1, test 1: the secret key.
const SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5,
    0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
const ORIGIN: &str = "https://cdn.example.com";
const PLAIN: &str = "https://cdn.example.com/t/acme/reports/q3.pdf?sx-k=AAECAwQFBgcI&sx-e=1795440000&sx-i=awQvcAECAwQFBgoLDA0OD96tvu8AESIz&sx-s=ElObBv0aEL6cataHMAYBy6W3Kaah0dsi6WPRQLm1SbrftB0wByEkHgrDwXTLizKIr45mitVwEVe6P_VcYxSyAA";
const RICH: &str = "https://cdn.example.com/t/acme/reports/q3.pdf?v=2&sx-k=AAECAwQFBgcI&sx-e=1795440000&sx-i=awQvcAECAwQFBgoLDA0OD96tvu8AESIz&sx-m=GET.PUT&sx-w=c.shop.billing&sx-c=u3.i0a010000~16&sx-s=EJwR6q1PikPsfQplbhN-pVCEAtVcT00U_mdoU5j3hUlZ37Ju8XX_kgp-oQhyeAcylSi_45p9dr-ldD2GqceuCg";
const HMAC: &str = "https://cdn.example.com/t/acme/reports/q3.pdf?sx-k=AAECAwQFBgcI&sx-e=1795440000&sx-i=awQvcAECAwQFBgoLDA0OD96tvu8AESIz&sx-s=fqg1D2N7prKZl3Kq0fhxXmvhXDXRCsAqamO3Wc3zcc8";
const PREFIX: &str = "https://cdn.example.com/~sx/c3gtaz1BQUVDQXdRRkJnY0kmc3gtZT0xNzk1NDQwMDAwJnN4LWk9YXdRdmNBRUNBd1FGQmdvTERBME9EOTZ0dnU4QUVTSXomc3gtcD0xMQ.tES3fhd4q4003tHgIl5mmO3cQ_v_rqBuRlsaDBjp1e-flnXjG0s8r--c0HEKBXyF5_10hihRowPRETUgO_OzAQ/videos/42/seg1.ts";

fn host() -> Host {
    Host::parse("cdn.example.com").unwrap()
}

fn ed25519() -> SigningKey {
    SigningKey::ed25519_seed(&SEED)
}

fn hmac() -> SigningKey {
    SigningKey::hmac(&std::array::from_fn(|index| index as u8))
}

fn claims() -> Claims<'static> {
    let random = [0xde, 0xad, 0xbe, 0xef, 0x00, 0x11, 0x22, 0x33];
    let id = UrlId::new(1_795_436_400, Some([1, 2, 3, 4, 5, 6]), Some([10, 11, 12, 13, 14, 15]), random).unwrap();
    Claims::new(Kid([0, 1, 2, 3, 4, 5, 6, 7, 8]), id, 1_795_440_000)
}

fn rich_claims() -> Claims<'static> {
    let mut claims = claims();
    claims.methods = Methods::new(["PUT", "GET"]).unwrap();
    claims.who = Some(Who::parse("c.shop.billing").unwrap());
    claims.constraints.uses = Some(3);
    claims.constraints.network = Some(Network::from_cidr("10.1.0.0/16").unwrap());
    claims
}

#[test]
fn reproduced_by_signing() {
    let path = "/t/acme/reports/q3.pdf";
    assert_eq!(sign(&host(), path, &claims(), &ed25519()).unwrap().url(false), PLAIN);
    assert_eq!(sign(&host(), "/t/acme/reports/q3.pdf?v=2", &rich_claims(), &ed25519()).unwrap().url(false), RICH);
    assert_eq!(sign(&host(), path, &claims(), &hmac()).unwrap().url(true), HMAC);
    let token = sign_prefix(&host(), "/videos/42/", &claims(), &ed25519()).unwrap();
    assert_eq!(token.url(false) + "seg1.ts", PREFIX);
}

#[test]
fn verified() {
    for (url, key, claims, stripped) in [
        (PLAIN, ed25519(), claims(), "/t/acme/reports/q3.pdf"),
        (RICH, ed25519(), rich_claims(), "/t/acme/reports/q3.pdf?v=2"),
        (HMAC, hmac(), claims(), "/t/acme/reports/q3.pdf"),
        (PREFIX, ed25519(), claims(), "/videos/42/seg1.ts"),
    ] {
        let (host, target) = (host(), url.strip_prefix(ORIGIN).unwrap());
        let unverified = parse_unverified(&host, target).unwrap();
        assert_eq!(unverified.kid(), claims.kid);
        let verified = unverified.verify(&key.verifying_key()).unwrap();
        assert_eq!(verified.claims(), &claims);
        assert_eq!(verified.stripped_target(), stripped);
        assert_eq!(verified.check_time(1_795_439_999, 3600), Ok(()));
        assert_eq!(verified.check_time(1_795_440_000, 3600), Err(Refusal::Expired));
        assert_eq!(verified.check_time(1_795_436_370, 3600), Ok(()));
        assert_eq!(verified.check_time(1_795_436_369, 3600).map_err(|r| r.reason()), Err("not_yet_valid"));
        assert_eq!(verified.check_time(1_795_439_999, 3599), Err(Refusal::LifetimeExceedsRoute));
    }
}

#[test]
fn the_token_as_a_cookie() {
    let token = sign_prefix(&host(), "/videos/42/", &claims(), &ed25519()).unwrap();
    let host = host();
    let verify = |target: &'static str| {
        parse_unverified_cookie(&host, target, token.token())?.verify(&ed25519().verifying_key())
    };
    let verified = verify("/videos/42/a/b.ts?_HLS_msn=1").unwrap();
    assert_eq!(verified.signed_prefix(), Some("/videos/42/"));
    assert_eq!(verified.stripped_target(), "/videos/42/a/b.ts?_HLS_msn=1");
    assert!(verify("/videos/42/").is_ok());
    for (target, reason) in [
        ("/videos/43/a.ts", "signature_invalid"),
        ("/videos/42", "prefix_mismatch"),
        ("/videos/421/a", "prefix_mismatch"),
        ("/", "prefix_mismatch"),
        ("/videos/?2/a", "prefix_mismatch"),
        ("/videos/42/../43/a", "not_canonical"),
        ("/videos/42/a?sx-s=1", "not_canonical"),
    ] {
        assert_eq!(verify(target).map_err(|r| r.reason()).err(), Some(reason), "{target}");
    }
}

#[test]
fn a_signer_elsewhere() {
    let unsigned = prepare(&host(), "/t/acme/reports/q3.pdf", &claims()).unwrap();
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
    let signature = pair.sign(unsigned.signing_input());
    assert_eq!(unsigned.clone().with_signature(signature.as_ref()).unwrap().url(false), PLAIN);
    assert_eq!(unsigned.with_signature(&[0; 33]).map_err(|r| r.reason()).err(), Some("invalid_spec"));
}

#[test]
fn a_value_that_would_become_another_parameter_is_not_signed() {
    let mut smuggled = claims();
    smuggled.who = Some(Who::User("7&sx-c=gDE".into()));
    let mut constraint = claims();
    constraint.constraints.policy = Some(format!("a.j{}", "A".repeat(43)).into());
    let mut signature = claims();
    signature.who = Some(Who::Client("shop&sx-s=AAAA".into()));
    for (claims, reason) in [(smuggled, "invalid_spec"), (constraint, "invalid_spec"), (signature, "not_canonical")] {
        assert_eq!(sign(&host(), "/a", &claims, &ed25519()).map_err(|r| r.reason()).err(), Some(reason));
        assert_eq!(sign_prefix(&host(), "/a/", &claims, &ed25519()).map_err(|r| r.reason()).err(), Some(reason));
    }
}

#[test]
fn links_do_not_print() {
    let url = sign(&host(), "/a", &claims(), &ed25519()).unwrap();
    let token = sign_prefix(&host(), "/a/", &claims(), &ed25519()).unwrap();
    let unverified = parse_unverified(&host(), url.target()).map(|url| format!("{url:?}")).unwrap();
    let text = format!("{url:?} {token:?} {unverified} {:?}", ed25519());
    assert!(
        !text.contains("sx-s") && !text.contains(&url.target()[80..]) && !text.contains(&token.token()[..20]),
        "{text}"
    );
}
