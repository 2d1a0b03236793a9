//! What is wrong with the walls of a database: every relation, function and role of it, enumerated from the catalogs.

use sqlx::{PgConnection, Row};

/// Tables without a tenant's rows. A new table is not here by itself: it needs forced row security.
const PLATFORM: [&str; 12] = [
    "tenant",
    "tenant_host",
    "tenant_issuer",
    "feed_head",
    "feed_change",
    "replica",
    "leader_epoch",
    "store_history",
    "job",
    "seal",
    "seal_key",
    "_sqlx_migrations",
];
const WALL: &str = "(tenant_id = (NULLIF(current_setting('authly.tenant'::text, true), ''::text))::uuid)";

/// One line for each fault.
pub async fn faults(connection: &mut PgConnection) -> Vec<String> {
    let mut faults = Vec::new();
    let relations = sqlx::query(
        "select n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind, c.oid::int8 as oid,
            c.relrowsecurity and c.relforcerowsecurity as forced, coalesce('security_invoker=true' = any (c.reloptions), false) as invoker,
            exists (select from aclexplode(c.relacl) a where a.grantee = 0) as public
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'v', 'm', 'f')",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    for row in relations {
        let (schema, table, kind): (String, String, String) = (row.get("schema"), row.get("name"), row.get("kind"));
        let name = format!("{schema}.{table}");
        let mut fault = |what: &str| faults.push(format!("{name}: {what}"));
        if schema != "authly" {
            fault("it is outside the schema authly");
        }
        if row.get("public") {
            fault("PUBLIC has privileges");
        }
        match kind.as_str() {
            "v" if !row.get::<bool, _>("invoker") => fault("a view must be security_invoker"),
            "v" => {}
            "m" => fault("no materialized views: row security does not reach them"),
            "f" => fault("no foreign tables"),
            _ if PLATFORM.contains(&table.as_str()) => {}
            _ => {
                if !row.get::<bool, _>("forced") {
                    fault("row security is not forced");
                }
                tenant_table(connection, row.get("oid"), &name, &mut faults).await;
            }
        }
    }
    functions(connection, &mut faults).await;
    roles(connection, &mut faults).await;
    faults
}

async fn tenant_table(connection: &mut PgConnection, oid: i64, name: &str, faults: &mut Vec<String>) {
    let first: String = sqlx::query_scalar(
        "select attname || ' ' || format_type(atttypid, null) || ' ' || attnotnull from pg_attribute
         where attrelid = $1::int8::oid and attnum = 1",
    )
    .bind(oid)
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    if first != "tenant_id uuid true" {
        faults.push(format!("{name}: its first column is `{first}`, not tenant_id uuid not null"));
    }
    let policies: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
        "select polname::text, array_to_string(array(select coalesce(nullif(r, 0)::regrole::text, 'public') from unnest(polroles) r), ','),
            pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
         from pg_policy where polrelid = $1::int8::oid and polpermissive and polcmd = '*' order by 1",
    )
    .bind(oid)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut wall = false;
    for (policy, to, using, check) in policies {
        match (policy.as_str(), to.as_str(), using.as_deref(), check) {
            ("tenant_wall", "public", Some(WALL), None) => wall = true,
            ("every_tenant", role, Some("true"), None) if role.starts_with("authly_fn_") && !role.contains(',') => {}
            _ => faults.push(format!("{name}: policy {policy} for {to}")),
        }
    }
    if !wall {
        faults.push(format!("{name}: it has no tenant_wall"));
    }
    let keys: Vec<String> = sqlx::query_scalar(
        "select 'unique index ' || indexrelid::regclass from pg_index where indrelid = $1::int8::oid and indisunique and indkey[0] <> 1
         union all select 'foreign key ' || conname from pg_constraint where conrelid = $1::int8::oid and contype = 'f' and conkey[1] <> 1",
    )
    .bind(oid)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    faults.extend(keys.into_iter().map(|key| format!("{name}: {key} does not start with tenant_id")));
}

async fn functions(connection: &mut PgConnection, faults: &mut Vec<String>) {
    let functions: Vec<(String, bool, bool, bool, String)> = sqlx::query_as(
        "select p.proname::text, p.prosecdef, coalesce('search_path=authly, pg_temp' = any (p.proconfig), false),
            exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0),
            p.proowner::regrole::text
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    assert!(functions.len() >= 17);
    for (name, definer, pinned, public, owner) in functions {
        if !pinned {
            faults.push(format!("{name}: its search_path is not pinned"));
        }
        if public {
            faults.push(format!("{name}: PUBLIC may execute it"));
        }
        let owned = owner.starts_with("authly_fn_") || name == "create_audit_partitions";
        if definer && !(owned && (owner.starts_with("authly_fn_") || owner == "authly_owner")) {
            faults.push(format!("{name}: SECURITY DEFINER of {owner}"));
        }
    }
}

async fn roles(connection: &mut PgConnection, faults: &mut Vec<String>) {
    let powerful: Vec<String> = sqlx::query_scalar(
        "select rolname::text from pg_roles where rolname ~ '^authly_(owner|prepare|server|gateway|operator|jobs|fn_.*)$'
            and (rolsuper or rolbypassrls or rolcanlogin or rolcreaterole or rolcreatedb or rolreplication)",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    faults.extend(powerful.into_iter().map(|role| format!("{role} has an attribute that it must not have")));
    let members: Vec<String> = sqlx::query_scalar(
        "select m.member::regrole || ' is a member of ' || m.roleid::regrole from pg_auth_members m join pg_roles r on r.oid = m.member
         where r.rolname ~ '^authly_(server|gateway|operator|jobs|fn_.*)$'",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    faults.extend(members);
    // The feed is a head and its changes; every other function's owner has one table.
    let wide: Vec<String> = sqlx::query_scalar(
        "select a.grantee::regrole || ' reaches several tables' from pg_class c,
            lateral (select grantee from aclexplode(c.relacl) union select x.grantee from pg_attribute t, aclexplode(t.attacl) x
                where t.attrelid = c.oid) a
         where c.relnamespace = 'authly'::regnamespace and a.grantee <> 0 and a.grantee::regrole::text ~ '^authly_fn_'
         group by a.grantee having count(distinct c.oid) > case a.grantee::regrole::text when 'authly_fn_feed' then 2 else 1 end",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    faults.extend(wide);
}
