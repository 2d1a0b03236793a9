//! A counted redemption as one would write it first: one upsert a request, durable before the answer, through a pool of 8. Neither
//! signature nor policy is looked at.

use std::sync::Arc;

use anyhow::Context;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::Bare;

const CONNECTIONS: u32 = 8;
const MOST: i32 = 1_000_000;

/// The pool and its table.
pub(crate) struct Counter(PgPool);

impl Counter {
    pub(crate) async fn new(database: &str) -> anyhow::Result<Self> {
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).min_connections(CONNECTIONS).connect(database).await;
        let pool = pool.context("the baseline cannot connect")?;
        sqlx::query("create table bare_uses (id text primary key, n integer not null) with (fillfactor = 70)")
            .execute(&pool)
            .await?;
        Ok(Self(pool))
    }

    /// Whether one more use was left.
    async fn take(&self, id: &str) -> Result<bool, sqlx::Error> {
        let taken = sqlx::query(
            "insert into bare_uses values ($1, 1) on conflict (id) do update set n = bare_uses.n + 1 where bare_uses.n < $2",
        );
        Ok(taken.bind(id).bind(MOST).execute(&self.0).await?.rows_affected() == 1)
    }
}

pub(crate) async fn count(State(bare): State<Arc<Bare>>, headers: HeaderMap) -> StatusCode {
    let Some(id) = id(&headers) else { return StatusCode::FORBIDDEN };
    match bare.counter.take(id).await {
        Ok(true) => StatusCode::NO_CONTENT,
        Ok(false) => StatusCode::GONE,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The id in the target (signed-url.md, "Native format").
fn id(headers: &HeaderMap) -> Option<&str> {
    let target = headers.get("x-forwarded-uri")?.to_str().ok()?;
    target.split('&').find_map(|parameter| parameter.strip_prefix("sx-i="))
}
