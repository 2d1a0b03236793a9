//! The end of a tenant in the store (docs/decisions/0017-purge.md).

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use authly_model::{
    clock::{Clock, SystemClock},
    diff::Change,
    ids::TenantId,
};
use authly_store::Leader;
use jiff::{SignedDuration, Timestamp};
use sqlx::AssertSqlSafe;
use support::{Database, batch, new_tenant};

/// Long after every tombstone of these tests.
fn later() -> Timestamp {
    SystemClock.now() + SignedDuration::from_hours(24 * 365)
}

async fn deleted(leader: &Leader, name: &str) -> TenantId {
    let (id, _) = new_tenant(leader, name).await;
    leader.apply(id, batch(vec![Change::TombstoneTenant])).await.unwrap();
    id
}

async fn name(db: &Database, id: TenantId) -> String {
    let sql = format!("select name from tenant where id = '{id}'");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut db.look().await).await.unwrap()
}

#[tokio::test]
async fn one_that_cannot_be_read_stays_and_the_others_go() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let (damaged, good) = (deleted(&leader, "damaged").await, deleted(&leader, "good").await);
    db.execute(&format!("update tenant set spec = '{{}}' where id = '{damaged}'")).await;
    assert_eq!(leader.purgeable(later()).await.unwrap(), [(good, "good".to_owned())]);
    assert!(leader.purge(good, later()).await.unwrap());
    assert!(leader.purge(damaged, later()).await.is_err());
    assert_eq!(name(&db, damaged).await, "damaged");
}

#[tokio::test]
async fn its_new_name_cannot_have_been_taken() {
    let db = Database::new().await;
    let leader = db.leader("default").await;
    let id = deleted(&leader, "acme").await;
    new_tenant(&leader, &format!("purged-{id}")).await;
    assert!(leader.purge(id, later()).await.unwrap());
    let purged = name(&db, id).await;
    assert!(purged.starts_with("purged-") && purged != format!("purged-{id}"), "{purged}");
}
