//! Which logins must not be used, and which schema is too old: looked at once, when a process starts.

use crate::{Result, Store, StoreError, migrate};

impl Store {
    pub(super) async fn check_login(&self) -> Result<()> {
        let group = self.role().group();
        // A superuser is a member of every role, so its own flag is looked at first.
        let login = sqlx::query!(
            r#"-- roles: any
            SELECT r.rolname::text AS "name!", r.rolsuper AS "superuser!", r.rolbypassrls AS "bypass!",
                r.rolcreaterole OR r.rolreplication AS "powerful!",
                EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'authly'::regnamespace
                    AND pg_has_role(r.oid, c.relowner, 'MEMBER')) AS "owner!",
                coalesce(pg_has_role(r.oid, (SELECT g.oid FROM pg_roles g WHERE g.rolname = $1), 'MEMBER'), false) AS "member!"
            FROM pg_roles r WHERE r.rolname = session_user"#,
            group
        )
        .fetch_one(&self.pool()?)
        .await
        .map_err(|e| self.failed(e))?;
        let refusal = if login.superuser {
            Some("it is a superuser, which row security does not bind")
        } else if login.bypass {
            Some("it has BYPASSRLS, so row security does not bind it")
        } else if login.powerful {
            Some("it may create roles or replicate")
        } else if login.owner {
            Some("it owns the schema")
        } else if !login.member {
            Some("it is not a member of the role")
        } else {
            None
        };
        match refusal {
            None => Ok(()),
            Some(why) => Err(StoreError::Login(format!(
                "`{}` cannot be used for {group}: {why}; use the login that `authly migrate` made for this role",
                login.name
            ))),
        }
    }

    pub(super) async fn check_schema(&self) -> Result<()> {
        let found = sqlx::query_scalar!(
            r#"-- roles: server, gateway, operator, jobs
            SELECT coalesce(max(version), 0) AS "version!" FROM _sqlx_migrations WHERE success"#
        )
        .fetch_one(&self.pool()?)
        .await
        .map_err(|e| self.failed(e))?;
        let needed = migrate::newest();
        if found < needed { Err(StoreError::Schema { found, needed }) } else { Ok(()) }
    }
}
