//! Rows of seals and of the heads under them. Role jobs, which may add but never change or delete them.

use authly_model::{
    ids::TenantId,
    seal::{Seal, SealedHead},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, StoreError, time::PgTime};

/// A seal as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredSeal {
    pub(crate) seal: Seal,
    pub(crate) signature: Vec<u8>,
}

struct Row {
    number: i64,
    previous: Vec<u8>,
    at: PgTime,
    heads: i64,
    root: Vec<u8>,
    public_key: Vec<u8>,
    signature: Vec<u8>,
}

impl TryFrom<Row> for StoredSeal {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let number = row.number;
        let hash =
            |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| StoreError::Damaged(format!("seal {number}")));
        let (previous, root, public_key) = (hash(row.previous)?, hash(row.root)?, hash(row.public_key)?);
        let seal = Seal { number, previous, at: row.at.0, heads: row.heads, root, public_key };
        Ok(Self { seal, signature: row.signature })
    }
}

/// The last seal.
pub(crate) async fn last(conn: &mut PgConnection) -> Result<Option<StoredSeal>> {
    let row = sqlx::query_as!(
        Row,
        r#"-- roles: jobs
        SELECT s.number, s.previous, s.at AS "at: PgTime", s.heads, s.root, k.public_key, s.signature
        FROM seal s JOIN seal_key k USING (key_id) ORDER BY s.number DESC LIMIT 1"#
    );
    row.fetch_optional(conn).await?.map(StoredSeal::try_from).transpose()
}

/// A page of seals after this number.
pub(crate) async fn page(conn: &mut PgConnection, after: i64, size: i64) -> Result<Vec<StoredSeal>> {
    let rows = sqlx::query_as!(
        Row,
        r#"-- roles: jobs
        SELECT s.number, s.previous, s.at AS "at: PgTime", s.heads, s.root, k.public_key, s.signature
        FROM seal s JOIN seal_key k USING (key_id) WHERE s.number > $1 ORDER BY s.number LIMIT $2"#,
        after,
        size
    );
    rows.fetch_all(conn).await?.into_iter().map(StoredSeal::try_from).collect()
}

/// Puts heads under the seal of this number; those that are under one already are left out of the answer.
pub(crate) async fn put_heads(
    conn: &mut PgConnection,
    number: i64,
    heads: &[(Uuid, Uuid, i64, Vec<u8>)],
) -> Result<Vec<SealedHead>> {
    let tenants: Vec<Uuid> = heads.iter().map(|h| h.0).collect();
    let writers: Vec<Uuid> = heads.iter().map(|h| h.1).collect();
    let seqs: Vec<i64> = heads.iter().map(|h| h.2).collect();
    let links: Vec<Vec<u8>> = heads.iter().map(|h| h.3.clone()).collect();
    let rows = sqlx::query!(
        r#"-- roles: jobs
        SELECT tenant_id AS "tenant!", writer AS "writer!", seq AS "seq!", link AS "link!"
        FROM put_seal_heads($1, $2, $3, $4, $5)"#,
        number,
        &tenants,
        &writers,
        &seqs,
        &links
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|r| head(r.tenant, r.writer, r.seq, r.link)).collect()
}

/// A page of heads in the order of the tree, each with its seal, after this one.
pub(crate) async fn heads(
    conn: &mut PgConnection,
    (seal, tenant, writer): (i64, Uuid, Uuid),
    size: i32,
) -> Result<Vec<(i64, SealedHead)>> {
    let rows = sqlx::query!(
        r#"-- roles: jobs
        SELECT seal AS "seal!", tenant_id AS "tenant!", writer AS "writer!", seq AS "seq!", link AS "link!"
        FROM seal_heads($1, $2, $3, $4)"#,
        seal,
        tenant,
        writer,
        size
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|r| Ok((r.seal, head(r.tenant, r.writer, r.seq, r.link)?))).collect()
}

/// Adds a seal; its heads are there already.
pub(crate) async fn put(conn: &mut PgConnection, seal: &Seal, signature: &[u8; 64]) -> Result<()> {
    let written = sqlx::query!(
        r#"-- roles: jobs
        INSERT INTO seal (number, previous, at, heads, root, key_id, signature)
        SELECT $1, $2, $3, $4, $5, key_id, $7 FROM seal_key WHERE public_key = $6"#,
        seal.number,
        seal.previous.as_slice(),
        PgTime(seal.at) as _,
        seal.heads,
        seal.root.as_slice(),
        seal.public_key.as_slice(),
        signature.as_slice()
    )
    .execute(conn)
    .await?;
    if written.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Damaged("the sealing key".into())) }
}

pub(crate) fn head(tenant: Uuid, writer: Uuid, seq: i64, link: Vec<u8>) -> Result<SealedHead> {
    let link = link.try_into().map_err(|_| StoreError::Damaged(format!("the sealed head of writer {writer}")))?;
    Ok(SealedHead { tenant: TenantId(tenant), writer, seq, link })
}
