//! Properties that hold for all URLs, not only for those of the vectors.

#![allow(clippy::unwrap_used)]

use authly_signed_url::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

const NOW: i64 = 1_795_436_400;

fn key() -> SigningKey {
    SigningKey::ed25519_seed(&[7; 32])
}

fn any_key() -> impl Strategy<Value = SigningKey> {
    (any::<bool>(), any::<[u8; 32]>()).prop_map(|(ed25519, bytes)| match ed25519 {
        true => SigningKey::ed25519_seed(&bytes),
        false => SigningKey::hmac(&bytes),
    })
}

fn hosts() -> impl Strategy<Value = Host> {
    let name = "[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z]([a-z0-9-]{0,10}[a-z])?){1,3}";
    (name, of(1024_u16..=u16::MAX)).prop_filter_map("a host", |(name, port)| {
        Host::parse(&port.map_or(name.clone(), |port| format!("{name}:{port}"))).ok()
    })
}

fn paths() -> impl Strategy<Value = String> {
    let segment = "([a-zA-Z0-9_~!$&'()*+,=:@-]|%20|%21|%C3%BC|%E2%82%AC|%F0%9F%98%80|a\\.){1,12}";
    (vec(segment, 0..5), any::<bool>()).prop_filter_map("not reserved", |(segments, folder)| {
        let path = format!("/{}{}", segments.join("/"), if folder && !segments.is_empty() { "/" } else { "" });
        Target::parse(&path).is_ok().then_some(path)
    })
}

fn targets() -> impl Strategy<Value = String> {
    let parameter = "[a-rt-z]([a-zA-Z0-9_.;?/:@!-]|%3B|%2f|%C3%bc){0,10}(=([a-zA-Z0-9+;?/-]|%25){0,10})?";
    (paths(), vec(parameter, 0..4)).prop_filter_map("no reserved name after a semicolon", |(path, query)| {
        let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        Target::parse(&target).is_ok().then_some(target)
    })
}

fn networks() -> impl Strategy<Value = Network> {
    prop_oneof![
        (any::<u32>(), 1..=32_u8).prop_map(|(bits, prefix)| (
            std::net::Ipv4Addr::from_bits(bits >> (32 - prefix) << (32 - prefix)).into(),
            prefix
        )),
        (any::<u128>(), 1..=128_u8).prop_map(|(bits, prefix)| (
            std::net::Ipv6Addr::from_bits(bits >> (128 - prefix) << (128 - prefix)).into(),
            prefix
        )),
    ]
    .prop_filter_map("not mapped", |(address, prefix): (std::net::IpAddr, u8)| Network::new(address, prefix).ok())
}

fn constraints(prefix: bool) -> impl Strategy<Value = Constraints<'static>> {
    let counts = (of(1..=MAX_USES), of((1..=MAX_USES, 1..=86_400_u32)), of(1..=MAX_USES), of(networks()));
    let names = (
        of(any::<[u8; 12]>()),
        of(any::<[u8; 12]>()),
        of("[A-Z]{2}"),
        of("[A-Za-z0-9_-]{1,64}"),
        of(any::<[u8; 32]>()),
    );
    (counts, names).prop_map(
        move |((uses, rate, concurrent, network), (origin, user_agent, country, policy, holder))| Constraints {
            uses: uses.filter(|_| !prefix),
            rate: rate.map(|(count, seconds)| Rate { count, seconds }),
            concurrent: concurrent.filter(|_| !prefix),
            network,
            origin: origin.map(HeaderDigest),
            user_agent: user_agent.map(HeaderDigest),
            country: country.map(|text| Country::parse(&text).unwrap()),
            policy: policy.map(Into::into),
            holder: holder.map(Thumbprint),
        },
    )
}

fn claims(prefix: bool) -> impl Strategy<Value = Claims<'static>> {
    let ids = (any::<[u8; 9]>(), any::<[u8; 24]>(), 1..=MAX_TTL);
    let rest = (
        of(0..=99_i64),
        vec("[A-Z]{1,8}", 1..4),
        any::<bool>(),
        of("[cu]\\.[A-Za-z0-9._~-]{1,40}"),
        constraints(prefix),
    );
    (ids, rest).prop_map(|((kid, id, lifetime), (begin, methods, default, who, constraints))| {
        let id = UrlId::from_bytes(id);
        let issued = i64::from(id.issued_at);
        let mut claims = Claims::new(Kid(kid), id, issued + lifetime);
        claims.not_before = begin.map(|percent| issued + lifetime * percent / 100);
        if !default {
            claims.methods = Methods::new(methods.iter().map(String::as_str)).unwrap();
        }
        claims.who = who.map(|text| match text.split_at(2) {
            ("c.", id) => Who::Client(id.to_owned().into()),
            (_, id) => Who::User(id.to_owned().into()),
        });
        claims.constraints = constraints;
        claims
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_signed_verifies(host in hosts(), target in targets(), claims in claims(false), key in any_key()) {
        let signed = sign(&host, &target, &claims, &key).unwrap();
        let verified = parse_unverified(&host, signed.target()).unwrap().verify(&key.verifying_key()).unwrap();
        prop_assert_eq!(verified.claims(), &claims);
        prop_assert_eq!(verified.stripped_target(), &target);
        prop_assert!(Target::parse(verified.stripped_target()).is_ok(), "no sx- left");
        let start = claims.not_before.unwrap_or(i64::from(claims.id.issued_at));
        prop_assert_eq!(verified.check_time(start, MAX_TTL), Ok(()));
        prop_assert_eq!(verified.check_time(claims.expires_at, MAX_TTL), Err(Refusal::Expired));
        let owned = verified.clone().into_owned();
        prop_assert_eq!(owned.claims(), &claims);
    }

    #[test]
    fn what_is_signed_by_prefix_verifies(host in hosts(), path in paths(), rest in paths(), claims in claims(true), key in any_key()) {
        let prefix = if path.ends_with('/') { path } else { path + "/" };
        let Ok(token) = sign_prefix(&host, &prefix, &claims, &key) else { return Ok(()) }; // "/~sx/" only
        let (target, stripped) = (token.target() + &rest[1..], prefix.clone() + &rest[1..]);
        let verified = parse_unverified(&host, &target).unwrap().verify(&key.verifying_key()).unwrap();
        prop_assert_eq!(verified.claims(), &claims);
        prop_assert_eq!(verified.stripped_target(), &stripped);
        prop_assert_eq!(verified.signed_prefix(), Some(&*prefix));
        let by_cookie = parse_unverified_cookie(&host, &stripped, token.token()).unwrap().verify(&key.verifying_key()).unwrap();
        prop_assert_eq!(by_cookie.stripped_target(), &stripped);
    }

    /// A kept proof admits exactly what verifying the token again would.
    #[test]
    fn a_kept_token_is_as_good_as_a_verified_one(path in paths(), other in targets(), claims in claims(true), below in any::<bool>()) {
        let (host, key) = (Host::parse("cdn.example.com").unwrap(), key());
        let prefix = if path.ends_with('/') { path } else { path + "/" };
        let Ok(token) = sign_prefix(&host, &prefix, &claims, &key) else { return Ok(()) };
        let kept = parse_unverified(&host, &token.target()).unwrap().verify(&key.verifying_key()).unwrap().into_owned();
        let target = if below { prefix + &other[1..] } else { other };
        let verified = parse_unverified_cookie(&host, &target, token.token()).and_then(|url| url.verify(&key.verifying_key()));
        let parts = |url: VerifiedUrl<'_>| (url.stripped_target().to_owned(), url.signed_prefix().map(str::to_owned), url.claims().clone().into_owned());
        prop_assert_eq!(kept.at(&target).ok().map(parts), verified.ok().map(parts));
    }

    #[test]
    fn a_single_url_has_no_other_target(host in hosts(), target in targets(), claims in claims(false)) {
        let signed = sign(&host, &target, &claims, &key()).unwrap();
        let verified = parse_unverified(&host, signed.target()).unwrap().verify(&key().verifying_key()).unwrap();
        prop_assert!(verified.at(&target).is_err());
    }

    #[test]
    fn no_byte_can_be_changed(host in hosts(), target in targets(), claims in claims(false), at in any::<prop::sample::Index>(), byte in 0..128_u8) {
        let signed = sign(&host, &target, &claims, &key()).unwrap();
        let mut bytes = signed.target().as_bytes().to_vec();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(refused(&host, &String::from_utf8(bytes).unwrap()));
    }

    #[test]
    fn no_byte_can_be_added_or_dropped(host in hosts(), target in targets(), claims in claims(false), at in any::<prop::sample::Index>(), byte in 0..128_u8) {
        let signed = sign(&host, &target, &claims, &key()).unwrap();
        let mut longer = signed.target().to_owned();
        let at = at.index(longer.len());
        let mut shorter = longer.clone();
        longer.insert(at, char::from(byte));
        shorter.remove(at);
        prop_assert!(refused(&host, &longer));
        prop_assert!(refused(&host, &shorter));
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed(claims in claims(true), at in any::<prop::sample::Index>(), byte in 0..128_u8) {
        let host = Host::parse("cdn.example.com").unwrap();
        let target = sign_prefix(&host, "/videos/42/", &claims, &key()).unwrap().target();
        let mut bytes = target.into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(refused(&host, &String::from_utf8(bytes).unwrap()));
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..300), token in vec(any::<u8>(), 0..300), now in any::<i64>(), ttl in any::<i64>()) {
        let (target, token) = (String::from_utf8_lossy(&bytes).into_owned(), String::from_utf8_lossy(&token).into_owned());
        let host = Host::parse("cdn.example.com").unwrap();
        for text in [&target.clone(), &format!("/{target}"), &format!("/a?{target}"), &format!("/a?sx-k=AAECAwQFBgcI&{target}"), &format!("/~sx/{token}/{target}")] {
            prop_assert!(refused(&host, text));
            let _ = parse_unverified_cookie(&host, text, &token);
        }
        let _ = (Host::parse(&target), Kid::parse(&target), UrlId::parse(&target), Who::parse(&target), Network::from_cidr(&target));
        let id = UrlId::from_bytes([0xff; 24]);
        let signed = sign(&host, "/", &Claims::new(Kid([0; 9]), id, i64::from(u32::MAX) + 1), &key()).unwrap();
        let _ = parse_unverified(&host, signed.target()).unwrap().verify(&key().verifying_key()).unwrap().check_time(now, ttl);
    }

    #[test]
    fn nearly_right_urls_do_not_panic(text in "/?(~sx/)?[a/.%?&=;-]{0,6}([?&;](sx-[keinmwcsp]|SX-S|a)=[a-zA-Z0-9._~-]{0,40}){0,10}") {
        prop_assert!(refused(&Host::parse("cdn.example.com").unwrap(), &text));
    }

    /// A signer's caller may put anything into the claims: it is refused or comes back the same.
    #[test]
    fn hostile_claims_are_not_signed(who in "\\PC{0,20}", policy in "[a.&=sx-]{0,20}", expires in any::<i64>(), begin in of(any::<i64>())) {
        let host = Host::parse("cdn.example.com").unwrap();
        let id = UrlId::new(NOW, None, None, [0; 8]).unwrap();
        let mut claims = Claims::new(Kid([0; 9]), id, expires);
        prop_assert_eq!(sign(&host, "/a", &claims, &key()).is_ok(), (NOW + 1..=NOW + MAX_TTL).contains(&expires));
        claims.expires_at = NOW + 60;
        claims.not_before = begin;
        claims.who = Some(Who::User(who.into()));
        claims.constraints.policy = Some(policy.into());
        if let Ok(signed) = sign(&host, "/a", &claims, &key()) {
            let verified = parse_unverified(&host, signed.target()).unwrap().verify(&key().verifying_key()).unwrap();
            prop_assert_eq!(verified.claims(), &claims);
        }
    }
}

/// Refused at parsing or at verification with the one key of this test.
fn refused(host: &Host, target: &str) -> bool {
    parse_unverified(host, target).and_then(|url| url.verify(&key().verifying_key())).is_err()
}
