//! What a run needs of PostgreSQL before it starts.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Creates a database.
pub(crate) async fn create(url: &str, name: &str) -> anyhow::Result<()> {
    anyhow::ensure!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "the name of a database is of letters");
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Fills WAL segments and has them recycled, so that no run waits for the creation of one (performance.md). How much is kept for
/// reuse is PostgreSQL's `min_wal_size`.
pub(crate) async fn fill(url: &str, mebibytes: usize) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    for _ in 0..mebibytes {
        let message = "select pg_logical_emit_message(false, 'authly-benches', repeat('x', 1048576))";
        sqlx::query(message).execute(&mut connection).await?;
    }
    sqlx::query("checkpoint").execute(&mut connection).await?;
    Ok(connection.close().await?)
}
