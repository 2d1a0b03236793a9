//! A tenant's keys from birth to use, and what happens when rows are moved, changed or cut.
#![allow(clippy::unwrap_used, missing_docs)] // helpers of tests

use authly_model::{
    ids::TenantId,
    key::{Algorithm, KeyUse},
};
use authly_secrets::{
    AuditSealer, ClientSecret, Kek, KekRing, KekSource, KeyPurpose, NewTenantKeys, Place, SecretsError, SigningKeyRow,
    UnlockedTenant, generate_kek, generate_tenant_keys, rewrap_data_key,
};
use uuid::Uuid;

const ACME: TenantId = TenantId(Uuid::from_u128(1));
const OTHER: TenantId = TenantId(Uuid::from_u128(2));

fn kek() -> Kek {
    Kek::load(&KekSource::Environment(generate_kek().unwrap())).unwrap()
}

fn acme(ring: &KekRing) -> NewTenantKeys {
    generate_tenant_keys(ring, ACME, Algorithm::EdDSA).unwrap()
}

fn url_row(keys: &NewTenantKeys) -> SigningKeyRow<'_> {
    let key = keys.signing.iter().find(|k| k.key_use == KeyUse::Url).unwrap();
    SigningKeyRow {
        kid: &key.kid,
        key_use: key.key_use,
        algorithm: key.algorithm,
        wrapped_private: &key.wrapped_private,
    }
}

#[test]
fn a_tenant_is_born_with_every_key() {
    let ring = KekRing::new(kek(), []);
    let keys = acme(&ring);
    assert_eq!(keys.wrapped.iter().map(|k| k.purpose).collect::<Vec<_>>(), KeyPurpose::ALL);
    assert_eq!(keys.audit_public.len(), 32);
    assert_eq!(
        keys.signing.iter().map(|k| (k.key_use, k.kid.len())).collect::<Vec<_>>(),
        [(KeyUse::Token, 22), (KeyUse::Url, 12)]
    );
    let tenant = UnlockedTenant::unlock(&ring, ACME, &keys.wrapped).unwrap();
    let secret = ClientSecret::generate().unwrap();
    let hash = tenant.hash_secret(&secret).unwrap();
    assert!(tenant.check_secret(&secret, std::slice::from_ref(&hash)));
    assert!(!tenant.check_secret(&ClientSecret::generate().unwrap(), &[hash]));
    assert!(!tenant.check_secret(&secret, &[]));
    assert_eq!(tenant.url_seed(&url_row(&keys)).unwrap().len(), 32);
    let place = Place { tenant: ACME, table: "t", column: "c", row: "1" };
    let blob = tenant.seal(&place, b"x").unwrap();
    assert_eq!(tenant.open(&place, &blob).unwrap().as_slice(), b"x");
    assert!(matches!(tenant.seal(&Place { tenant: OTHER, ..place }, b"x"), Err(SecretsError::Rejected)));
    let printed = format!("{tenant:?}");
    assert!(!printed.contains("key: ["), "{printed}");
}

#[test]
fn rows_of_another_tenant_purpose_or_key_id_do_not_open() {
    let ring = KekRing::new(kek(), []);
    let keys = acme(&ring);
    assert!(matches!(UnlockedTenant::unlock(&ring, OTHER, &keys.wrapped), Err(SecretsError::Rejected)));
    for at in 0..3 {
        let mut rows = keys.wrapped.clone();
        rows[at].key_id.push('x');
        assert!(UnlockedTenant::unlock(&ring, ACME, &rows).is_err(), "key id of row {at}");
        let mut rows = keys.wrapped.clone();
        rows[at].wrapped.pop();
        assert!(UnlockedTenant::unlock(&ring, ACME, &rows).is_err(), "row {at} cut");
        let mut rows = keys.wrapped.clone();
        rows.remove(at);
        assert!(matches!(UnlockedTenant::unlock(&ring, ACME, &rows), Err(SecretsError::Missing(_))), "row {at} gone");
    }
    let mut rows = keys.wrapped.clone();
    (rows[1].purpose, rows[2].purpose) = (rows[2].purpose, rows[1].purpose);
    assert!(matches!(UnlockedTenant::unlock(&ring, ACME, &rows), Err(SecretsError::Rejected)));
}

#[test]
fn an_older_kek_still_unwraps_and_a_lost_one_is_named() {
    let source = KekSource::Environment(generate_kek().unwrap());
    let old = || Kek::load(&source).unwrap();
    let keys = acme(&KekRing::new(old(), []));
    assert!(UnlockedTenant::unlock(&KekRing::new(kek(), [old()]), ACME, &keys.wrapped).is_ok());
    let error = UnlockedTenant::unlock(&KekRing::new(kek(), []), ACME, &keys.wrapped).unwrap_err();
    assert!(error.to_string().contains(old().id()), "{error}");
}

#[test]
fn a_signing_row_opens_only_as_what_it_is() {
    let ring = KekRing::new(kek(), []);
    let keys = acme(&ring);
    let tenant = UnlockedTenant::unlock(&ring, ACME, &keys.wrapped).unwrap();
    let url = url_row(&keys);
    assert!(matches!(tenant.token_signer(&url), Err(SecretsError::BadKey(_))));
    assert!(matches!(
        tenant.token_signer(&SigningKeyRow { key_use: KeyUse::Token, ..url }),
        Err(SecretsError::Rejected)
    ));
    assert!(matches!(
        tenant.url_seed(&SigningKeyRow { algorithm: Algorithm::ES256, ..url }),
        Err(SecretsError::Rejected)
    ));
    assert!(matches!(tenant.url_seed(&SigningKeyRow { kid: "AAAAAAAAAAAA", ..url }), Err(SecretsError::Rejected)));
    assert!(matches!(
        tenant.generate_signing_key(KeyUse::Url, Algorithm::RS256),
        Err(SecretsError::Unsupported(KeyUse::Url, Algorithm::RS256))
    ));
    // another tenant's row, even under the same platform key
    let others = generate_tenant_keys(&ring, OTHER, Algorithm::EdDSA).unwrap();
    assert!(tenant.url_seed(&url_row(&others)).is_err());
}

#[test]
fn audit_payloads_open_only_with_the_tenants_private_key() {
    let ring = KekRing::new(kek(), []);
    let keys = acme(&ring);
    let tenant = UnlockedTenant::unlock(&ring, ACME, &keys.wrapped).unwrap();
    let writer = Uuid::from_u128(7);
    let sealer = AuditSealer::new(ACME, writer, &keys.audit_public).unwrap();
    let blobs = [sealer.seal(1, b"first").unwrap(), sealer.seal(2, b"").unwrap(), sealer.seal(2, b"again").unwrap()];
    assert_ne!(blobs[1][..9], blobs[2][..9], "a number used again must not reuse the nonce");

    let opener = tenant.audit_opener(writer, sealer.sealed_key()).unwrap();
    for (number, blob, plain) in [(1, &blobs[0], &b"first"[..]), (2, &blobs[1], b""), (2, &blobs[2], b"again")] {
        assert_eq!(opener.open_payload(number, blob).unwrap().as_slice(), plain);
        assert!(matches!(opener.open_payload(number + 1, blob), Err(SecretsError::Rejected)));
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 0x80;
            assert!(opener.open_payload(number, &changed).is_err(), "byte {at}");
            assert!(opener.open_payload(number, &blob[..at]).is_err(), "cut to {at}");
        }
    }
    assert!(matches!(tenant.audit_opener(Uuid::from_u128(8), sealer.sealed_key()), Err(SecretsError::Rejected)));
    for at in 0..sealer.sealed_key().len() {
        let mut changed = sealer.sealed_key().to_vec();
        changed[at] ^= 1;
        assert!(tenant.audit_opener(writer, &changed).is_err(), "byte {at}");
        assert!(tenant.audit_opener(writer, &sealer.sealed_key()[..at]).is_err(), "cut to {at}");
    }
    let others = generate_tenant_keys(&ring, OTHER, Algorithm::EdDSA).unwrap();
    let other = UnlockedTenant::unlock(&ring, OTHER, &others.wrapped).unwrap();
    assert!(matches!(other.audit_opener(writer, sealer.sealed_key()), Err(SecretsError::UnknownKey { .. })));
    assert!(AuditSealer::new(ACME, writer, &[1; 31]).is_err());
    assert_eq!(
        format!("{sealer:?}"),
        "AuditSealer { tenant: TenantId(00000000-0000-0000-0000-000000000001), writer: \
         00000000-0000-0000-0000-000000000007, .. }"
    );
}

#[test]
fn a_data_key_is_wrapped_anew_once_and_the_old_kek_opens_it_no_more() {
    let text = || generate_kek().unwrap();
    let (old, new) = (text(), text());
    let load = |text: &secrecy::SecretString| Kek::load(&KekSource::Environment(text.clone())).unwrap();
    let before = KekRing::new(load(&old), []);
    let keys = acme(&before);
    let both = KekRing::new(load(&new), [load(&old)]);
    let data = &keys.wrapped[0];
    let anew = rewrap_data_key(&both, ACME, data).unwrap().unwrap();
    assert_eq!((anew.purpose, &anew.key_id), (KeyPurpose::Data, &data.key_id));
    assert!(rewrap_data_key(&both, ACME, &anew).unwrap().is_none());
    assert!(rewrap_data_key(&both, OTHER, data).is_err());
    assert!(rewrap_data_key(&both, ACME, &keys.wrapped[1]).is_err(), "the KEK wraps data keys alone");
    let mut rows = keys.wrapped.clone();
    rows[0] = anew;
    let alone = KekRing::new(load(&new), []);
    let (first, second) =
        (UnlockedTenant::unlock(&before, ACME, &keys.wrapped), UnlockedTenant::unlock(&alone, ACME, &rows));
    let secret = ClientSecret::generate().unwrap();
    let hash = first.unwrap().hash_secret(&secret).unwrap();
    assert!(second.unwrap().check_secret(&secret, &[hash]), "it is the same data key");
    assert!(matches!(UnlockedTenant::unlock(&before, ACME, &rows), Err(SecretsError::UnknownKey { .. })));
}

#[test]
fn a_digest_moves_to_the_newest_pepper_and_only_of_the_same_secret() {
    let ring = KekRing::new(kek(), []);
    let keys = acme(&ring);
    let before = UnlockedTenant::unlock(&ring, ACME, &keys.wrapped).unwrap();
    let secret = ClientSecret::generate().unwrap();
    let hash = before.hash_secret(&secret).unwrap();
    assert!(before.digest_anew(&secret, &hash).unwrap().is_none(), "it is the newest already");
    let mut rows = vec![before.new_pepper().unwrap()];
    rows.extend(keys.wrapped);
    let after = UnlockedTenant::unlock(&ring, ACME, &rows).unwrap();
    assert_eq!(after.pepper_ids().collect::<Vec<_>>(), [rows[0].key_id.as_str(), hash.pepper_id.as_str()]);
    let anew = after.digest_anew(&secret, &hash).unwrap().unwrap();
    assert_eq!(anew.pepper_id, rows[0].key_id);
    assert!(after.check_secret(&secret, &[anew]) && after.check_secret(&secret, std::slice::from_ref(&hash)));
    assert!(after.digest_anew(&ClientSecret::generate().unwrap(), &hash).unwrap().is_none());
}
