//! Fills WAL segments and has them recycled, so that no run waits for the creation of one (performance.md).

use sqlx::{Connection, PgConnection};

/// Writes so much WAL, then checkpoints. How much is kept for reuse is PostgreSQL's `min_wal_size`.
pub(crate) async fn prepare(url: &str, mebibytes: usize) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    for _ in 0..mebibytes {
        let message = "select pg_logical_emit_message(false, 'authly-benches', repeat('x', 1048576))";
        sqlx::query(message).execute(&mut connection).await?;
    }
    sqlx::query("checkpoint").execute(&mut connection).await?;
    Ok(connection.close().await?)
}
