//! The chains of one tenant: its records and what is sealed of them, side by side in the order of (writer, number).

use std::collections::VecDeque;

use authly_model::{
    chain::{ChainCheck, Record, SealedLink},
    ids::TenantId,
};
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{AuditReport, Finding, PAGE};
use crate::{Result, StoreError, time::PgTime};

/// Verifies every chain of the tenant.
pub(super) async fn verify(conn: &mut PgConnection, tenant: TenantId, report: &mut AuditReport) -> Result<()> {
    sqlx::query!("-- roles: any\nSELECT set_config('authly.tenant', $1, true)", tenant.0.to_string())
        .fetch_one(&mut *conn)
        .await?;
    let mut rows = Rows { tenant: tenant.0, page: VecDeque::new(), after: (Uuid::nil(), 0, Timestamp::UNIX_EPOCH) };
    let mut heads = Heads { tenant: tenant.0, page: VecDeque::new(), after: (Uuid::nil(), 0) };
    let mut any = false;
    loop {
        let next = rows.peek(conn).await?.map(|row| row.writer);
        let sealed = heads.peek(conn).await?.map(|(writer, _)| writer);
        let Some(writer) = next.into_iter().chain(sealed).min() else { break };
        any = true;
        report.chains += 1;
        chain(conn, &mut rows, &mut heads, (tenant, writer), report).await?;
    }
    report.tenants += u64::from(any);
    Ok(())
}

async fn chain(
    conn: &mut PgConnection,
    rows: &mut Rows,
    heads: &mut Heads,
    (tenant, writer): (TenantId, Uuid),
    report: &mut AuditReport,
) -> Result<()> {
    let mut check = ChainCheck::new(tenant, writer);
    let mut proven = None;
    while let Some(row) = rows.next_of(conn, writer).await? {
        // A sealed number that is not there shows as a gap.
        while let Some(head) = heads.next_to(conn, writer, row.seq).await? {
            proven = Some(head);
        }
        check.push(&row.record()?, proven.as_ref());
        report.records += 1;
        report.erased += u64::from(row.payload.is_none());
    }
    while let Some(head) = heads.next_to(conn, writer, i64::MAX).await? {
        proven = Some(head);
    }
    let sealed = proven.map_or(0, |head| head.seq);
    report.unsealed += u64::try_from(check.last() - sealed).unwrap_or(0);
    for fault in check.finish(proven.as_ref()) {
        report.find(Finding::Chain { tenant, writer, fault });
    }
    Ok(())
}

struct Row {
    writer: Uuid,
    seq: i64,
    at: PgTime,
    kind: String,
    payload: Option<Vec<u8>>,
    payload_hash: Vec<u8>,
    link: Vec<u8>,
}

impl Row {
    fn record(&self) -> Result<Record<'_>> {
        let damaged = |_| StoreError::Damaged(format!("record {} of writer {}", self.seq, self.writer));
        Ok(Record {
            seq: self.seq,
            at_micros: self.at.0.as_microsecond(),
            kind: &self.kind,
            payload: self.payload.as_deref(),
            payload_hash: self.payload_hash.as_slice().try_into().map_err(damaged)?,
            link: self.link.as_slice().try_into().map_err(damaged)?,
        })
    }
}

/// The records of a tenant in order, a page at a time.
struct Rows {
    tenant: Uuid,
    page: VecDeque<Row>,
    after: (Uuid, i64, Timestamp),
}

impl Rows {
    async fn peek(&mut self, conn: &mut PgConnection) -> Result<Option<&Row>> {
        if self.page.is_empty() {
            let (writer, seq, at) = self.after;
            let rows = sqlx::query_as!(
                Row,
                r#"-- roles: jobs
                SELECT writer, seq, at AS "at: PgTime", kind, payload, payload_hash, link FROM audit_event
                WHERE tenant_id = $1 AND (writer, seq, at) > ($2, $3, $4) ORDER BY writer, seq, at LIMIT $5"#,
                self.tenant,
                writer,
                seq,
                PgTime(at) as _,
                i64::from(PAGE)
            );
            self.page = rows.fetch_all(conn).await?.into();
            if let Some(last) = self.page.back() {
                self.after = (last.writer, last.seq, last.at.0);
            }
        }
        Ok(self.page.front())
    }

    async fn next_of(&mut self, conn: &mut PgConnection, writer: Uuid) -> Result<Option<Row>> {
        let is_of = self.peek(conn).await?.is_some_and(|row| row.writer == writer);
        Ok(if is_of { self.page.pop_front() } else { None })
    }
}

/// What is sealed of a tenant's chains, a page at a time.
struct Heads {
    tenant: Uuid,
    page: VecDeque<(Uuid, SealedLink)>,
    after: (Uuid, i64),
}

impl Heads {
    async fn peek(&mut self, conn: &mut PgConnection) -> Result<Option<(Uuid, SealedLink)>> {
        if self.page.is_empty() {
            let rows = sqlx::query!(
                r#"-- roles: jobs
                SELECT writer, seq, link, seal FROM seal_head WHERE tenant_id = $1 AND (writer, seq) > ($2, $3)
                ORDER BY writer, seq LIMIT $4"#,
                self.tenant,
                self.after.0,
                self.after.1,
                i64::from(PAGE)
            )
            .fetch_all(conn)
            .await?;
            for row in rows {
                let damaged = |_| StoreError::Damaged(format!("the sealed head of writer {}", row.writer));
                let link = row.link.try_into().map_err(damaged)?;
                self.after = (row.writer, row.seq);
                self.page.push_back((row.writer, SealedLink { seq: row.seq, link, seal: row.seal }));
            }
        }
        Ok(self.page.front().copied())
    }

    /// The next of this writer, up to this number.
    async fn next_to(&mut self, conn: &mut PgConnection, writer: Uuid, seq: i64) -> Result<Option<SealedLink>> {
        let next = self.peek(conn).await?.filter(|(of, head)| *of == writer && head.seq <= seq);
        if next.is_some() {
            self.page.pop_front();
        }
        Ok(next.map(|(_, head)| head))
    }
}
