//! Every cached query against every role: allowed where its first line names the role, denied elsewhere.
//! PREPARE checks no privilege, so each is explained as executed, with a generic plan (NULLs would fold a call away).

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/support.rs"]
mod support;

use std::{collections::BTreeMap, path::Path};

use authly_store::Role;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use support::Database;

struct Query {
    sql: String,
    roles: Vec<Role>,
    parameters: usize,
}

fn cached() -> Vec<Query> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let files = std::fs::read_dir(folder).expect("store/.sqlx").map(|f| f.expect("a file").path());
    files.map(|file| parse(&std::fs::read_to_string(file).expect("it reads"))).collect()
}

fn parse(text: &str) -> Query {
    let json: Value = serde_json::from_str(text).expect("JSON");
    let sql = json["query"].as_str().expect("a query").to_owned();
    let first = sql.lines().next().unwrap_or_default();
    let named = first.strip_prefix("-- roles: ").unwrap_or_else(|| panic!("its first line names no roles:\n{sql}"));
    let role =
        |name: &str| Role::ALL.into_iter().find(|r| r.as_str() == name).unwrap_or_else(|| panic!("{name}?\n{sql}"));
    let roles = if named == "any" { Role::ALL.to_vec() } else { named.split(", ").map(role).collect() };
    let parameters = json["describe"]["parameters"]["Left"].as_array().map_or(0, Vec::len);
    Query { sql, roles, parameters }
}

#[tokio::test]
async fn every_query_runs_as_the_roles_that_it_names_and_as_no_other() {
    let db = Database::new().await;
    let mut connection = db.look().await;
    let queries = cached();
    assert!(queries.len() > 60, "the cache is incomplete: {}", queries.len());
    let mut wrong = Vec::new();
    let mut allowed: BTreeMap<Role, usize> = BTreeMap::new();
    for query in &queries {
        for role in Role::ALL {
            let outcome = explain(&mut connection, query, role).await;
            let named = query.roles.contains(&role);
            match (named, outcome) {
                (true, Ok(())) => *allowed.entry(role).or_default() += 1,
                (false, Err(code)) if code == "42501" => {}
                (_, outcome) => wrong.push(format!("{role}: named {named}, outcome {outcome:?}:\n{}\n", query.sql)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(Role::ALL.iter().all(|role| allowed.get(role).copied().unwrap_or(0) > 10), "{allowed:?}");
}

async fn explain(connection: &mut PgConnection, query: &Query, role: Role) -> Result<(), String> {
    let nulls = vec!["NULL"; query.parameters].join(", ");
    let arguments = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    let mut tx = connection.begin().await.expect("a transaction");
    let setup = format!("SET LOCAL ROLE {}; SET LOCAL plan_cache_mode = force_generic_plan", role.group());
    let run = async {
        tx.execute(AssertSqlSafe(setup)).await?;
        tx.execute(AssertSqlSafe(format!("PREPARE q AS {}", query.sql))).await?;
        tx.execute(AssertSqlSafe(format!("EXPLAIN EXECUTE q{arguments}"))).await?;
        tx.execute("DEALLOCATE q").await
    };
    let outcome: sqlx::Result<_> = run.await;
    let outcome = outcome.map(drop).map_err(|error| {
        let code = error.as_database_error().and_then(|e| e.code()).map(|c| c.into_owned());
        code.unwrap_or_else(|| error.to_string())
    });
    tx.rollback().await.expect("it rolls back");
    connection.execute("DEALLOCATE ALL").await.expect("it forgets");
    outcome
}
