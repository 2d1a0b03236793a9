//! The audit trail as an auditor with the platform key sees it: every payload opened, and the real `authly audit verify`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::{Context, ensure};
use authly_model::ids::TenantId;
use authly_secrets::{Kek, KekRing, KekSource, KeyPurpose, UnlockedTenant, WrappedKey};
use serde_json::Value;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::process;

/// Kind and payload of every record of a tenant whose payload is not erased.
pub async fn records(look: &mut PgConnection, tenant: &str, kek: &Path) -> anyhow::Result<Vec<(String, Value)>> {
    let id: Uuid =
        sqlx::query_scalar("select id from authly.tenant where name = $1").bind(tenant).fetch_one(&mut *look).await?;
    let unlocked = unlock(look, TenantId(id), kek).await?;
    let writers = sqlx::query("select writer, sealed_key from authly.audit_writer where tenant_id = $1")
        .bind(id)
        .fetch_all(&mut *look)
        .await?;
    let mut openers = BTreeMap::new();
    for row in writers {
        let writer: Uuid = row.get(0);
        openers.insert(writer, unlocked.audit_opener(writer, row.get::<Vec<u8>, _>(1).as_slice())?);
    }
    let rows = sqlx::query(
        "select writer, seq, kind, payload from authly.audit_event where tenant_id = $1 and payload is not null",
    );
    let mut records = Vec::new();
    for row in rows.bind(id).fetch_all(look).await? {
        let opener = openers.get(&row.get::<Uuid, _>(0)).context("a writer without a key")?;
        let plain = opener.open_payload(row.get(1), row.get::<Vec<u8>, _>(3).as_slice())?;
        records.push((row.get(2), serde_json::from_slice(&plain)?));
    }
    Ok(records)
}

/// The tenant's keys, opened with the platform key of this file.
pub(crate) async fn unlock(look: &mut PgConnection, tenant: TenantId, kek: &Path) -> anyhow::Result<UnlockedTenant> {
    let rows = sqlx::query(
        "select purpose, key_id, wrapped from authly.tenant_key where tenant_id = $1 order by created_at desc",
    )
    .bind(tenant.0)
    .fetch_all(look)
    .await?;
    let mut keys = Vec::new();
    for row in rows {
        let purpose = KeyPurpose::parse(row.get(0)).context("a purpose")?;
        keys.push(WrappedKey { purpose, key_id: row.get(1), wrapped: row.get(2) });
    }
    let ring = KekRing::new(Kek::load(&KekSource::File(PathBuf::from(kek)))?, []);
    Ok(UnlockedTenant::unlock(&ring, tenant, &keys)?)
}

/// What `authly audit verify` printed, and how it ended.
#[derive(Debug)]
pub struct Verified {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub text: String,
}

/// Runs `authly audit verify` with these arguments; `jobs_url` is the URL of the jobs' login.
pub fn verify(jobs_url: &str, args: &[&str]) -> anyhow::Result<Verified> {
    let mut command = process::command()?;
    let output = command.args(["audit", "verify"]).args(args).env("AUTHLY_JOBS_DATABASE_URL", jobs_url).output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(!text.is_empty(), "it printed nothing: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Verified { status: output.status, text })
}

/// The same as JSON.
pub fn verify_json(jobs_url: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&verify(jobs_url, &["-o", "json"])?.text)?)
}
