//! Prepares what `wrk` sends: tokens and signed URLs, each got through the product's own API, one a line.
//!
//! Usage:
//! * `authly-bench-load facts DATA`: `name=value` lines for benches/run; DATA has `dev.json` and `roles.json` of `authly dev`
//! * `authly-bench-load tokens DATA COUNT FILE…`: COUNT tokens into each file
//! * `authly-bench-load urls DATA COUNT FILE…`: COUNT signed URLs into each file, as targets (path and query)
//! * `authly-bench-load counted DATA COUNT FILE…`: the same with a million uses each
//! * `authly-bench-load url DATA PATH`: prints one
//! * `authly-bench-load database DATABASE_URL NAME`: creates a database
//! * `authly-bench-load wal DATABASE_URL MEBIBYTES`: makes PostgreSQL create its WAL segments ahead

mod dev;
mod fetch;
mod postgres;

use anyhow::Context;
use dev::Dev;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["facts", data] => {
            Dev::read(data)?.print_facts();
            Ok(())
        }
        ["tokens", data, count, files @ ..] => fetch::tokens(&Dev::read(data)?, number(count)?, files).await,
        ["urls", data, count, files @ ..] => fetch::urls(&Dev::read(data)?, number(count)?, false, files).await,
        ["counted", data, count, files @ ..] => fetch::urls(&Dev::read(data)?, number(count)?, true, files).await,
        ["url", data, path] => {
            println!("{}", fetch::url(&Dev::read(data)?, path).await?);
            Ok(())
        }
        ["database", url, name] => postgres::create(url, name).await,
        ["wal", url, mebibytes] => postgres::fill(url, number(mebibytes)?).await,
        _ => anyhow::bail!(
            "usage: authly-bench-load facts|tokens|urls|counted|url|database|wal …: see benches/src/load/main.rs"
        ),
    }
}

fn number(text: &str) -> anyhow::Result<usize> {
    text.parse().with_context(|| format!("{text} must be a number"))
}
