//! Reads the audit records of a tenant as `audit verify` will: every chain whole, every payload opened.

use std::collections::BTreeMap;

use authly_model::{
    audit::{Link, link_hash},
    ids::TenantId,
};
use authly_secrets::{KeyPurpose, UnlockedTenant, WrappedKey};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Database, kek};

type Row = (Uuid, i64, i64, String, Option<Vec<u8>>, Vec<u8>, Vec<u8>);

/// Kind and payload of each record, after checking the chains; `None` where the payload is erased.
pub async fn verified(db: &Database, tenant: TenantId) -> Vec<(String, Option<Value>)> {
    let mut connection = db.look().await;
    let keys: Vec<(String, String, Vec<u8>)> =
        sqlx::query_as("select purpose, key_id, wrapped from tenant_key where tenant_id = $1")
            .bind(tenant.0)
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let keys: Vec<WrappedKey> = keys
        .into_iter()
        .map(|(purpose, key_id, wrapped)| WrappedKey { purpose: KeyPurpose::parse(&purpose).unwrap(), key_id, wrapped })
        .collect();
    let unlocked = UnlockedTenant::unlock(&kek(), tenant, &keys).unwrap();
    let sealed: BTreeMap<Uuid, Vec<u8>> =
        sqlx::query_as("select writer, sealed_key from audit_writer where tenant_id = $1")
            .bind(tenant.0)
            .fetch_all(&mut connection)
            .await
            .unwrap()
            .into_iter()
            .collect();
    let rows: Vec<Row> = sqlx::query_as(
        "select writer, seq, (extract(epoch from at) * 1000000)::int8, kind, payload, payload_hash, link
         from audit_event where tenant_id = $1 order by writer, seq",
    )
    .bind(tenant.0)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut heads: BTreeMap<Uuid, (i64, [u8; 32])> = BTreeMap::new();
    let mut records = Vec::new();
    for (writer, seq, at_micros, kind, payload, payload_hash, link) in rows {
        let head = heads.entry(writer).or_insert((0, [0; 32]));
        assert_eq!(seq, head.0 + 1, "the chain of {writer} has a gap");
        let payload_hash: [u8; 32] = payload_hash.try_into().unwrap();
        let expected = link_hash(&Link {
            previous: &head.1,
            tenant,
            writer,
            number: seq,
            at_micros,
            kind: &kind,
            payload_hash: &payload_hash,
        });
        assert_eq!(link, expected, "the link of record {seq} of {writer}");
        *head = (seq, expected);
        let opened = payload.map(|payload| {
            assert_eq!(<[u8; 32]>::from(Sha256::digest(&payload)), payload_hash);
            let opener = unlocked.audit_opener(writer, &sealed[&writer]).unwrap();
            let plain = opener.open_payload(seq, &payload).unwrap();
            serde_json::from_slice(&plain).unwrap()
        });
        records.push((kind, opened));
    }
    records
}
