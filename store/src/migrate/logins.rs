//! The logins of a database: named after it, because roles belong to the whole cluster.

use sqlx::PgConnection;

use super::{Login, login_name, scram};
use crate::{Result, StoreError};

/// The statement that creates or changes a login. It carries a SCRAM verifier, never the password.
pub(super) async fn statement(owner: &mut PgConnection, login: &Login) -> Result<String> {
    let database = sqlx::query_scalar!("-- roles: any\nSELECT current_database()::text AS \"name!\"")
        .fetch_one(&mut *owner)
        .await?;
    let name = login_name(&database, login.role);
    if name.len() > 63 {
        return Err(StoreError::Login(format!("`{name}` is longer than 63 bytes: give the database a shorter name")));
    }
    let verifier = scram::verifier(&login.password)?;
    let group = login.role.group();
    let statement = sqlx::query_scalar!(
        r#"-- roles: any
        SELECT format($f$DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %1$L) THEN CREATE ROLE %1$I; END IF;
            ALTER ROLE %1$I LOGIN PASSWORD %2$L;
            GRANT %3$I TO %1$I;
            GRANT CONNECT ON DATABASE %4$I TO %1$I;
        END $$$f$, $1::text, $2::text, $3::text, $4::text) AS "sql!""#,
        name,
        verifier,
        group,
        database
    )
    .fetch_one(owner)
    .await?;
    Ok(statement)
}
