//! The laboratory's own PostgreSQL: what is committed survives a crash, the port stays, and connections are cut.

use authly_tests::postgres::OwnPostgres;
use sqlx::{Connection, Executor, PgConnection};

#[tokio::test]
async fn a_crash_keeps_what_was_committed() {
    let mut postgres = OwnPostgres::start(&[]).await.unwrap();
    let url = postgres.create("lab").await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("create table t as select 1 as kept").await.unwrap();
    connection.execute("begin; insert into t values (2)").await.unwrap();
    postgres.crash_and_recover().await.unwrap();
    assert!(connection.execute("commit").await.is_err(), "the connection was cut");
    let mut again = PgConnection::connect(&url).await.unwrap();
    let kept: Vec<i32> = sqlx::query_scalar("select kept from t").fetch_all(&mut again).await.unwrap();
    assert_eq!(kept, [1]);
    drop(again);
    postgres.stop().await.unwrap();
    assert!(PgConnection::connect(&url).await.is_err());
    postgres.start_again().await.unwrap();
    PgConnection::connect(&url).await.unwrap();
}

#[tokio::test]
async fn a_restored_base_backup_keeps_the_server_and_loses_what_came_after() {
    let mut postgres = OwnPostgres::start(&[]).await.unwrap();
    let url = postgres.create("lab").await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let server =
        "select system_identifier, pg_walfile_name(pg_current_wal_lsn()) < '00000002' from pg_control_system()";
    let before: (i64, bool) = sqlx::query_as(server).fetch_one(&mut connection).await.unwrap();
    connection.execute("create table t as select 1 as kept").await.unwrap();
    let backup = postgres.base_backup().await.unwrap();
    connection.execute("insert into t values (2)").await.unwrap();
    postgres.restore(&backup).await.unwrap();
    let mut again = PgConnection::connect(&url).await.unwrap();
    let kept: Vec<i32> = sqlx::query_scalar("select kept from t").fetch_all(&mut again).await.unwrap();
    assert_eq!(kept, [1]);
    let after: (i64, bool) = sqlx::query_as(server).fetch_one(&mut again).await.unwrap();
    assert_eq!((before, after.1), (after, true));
}
