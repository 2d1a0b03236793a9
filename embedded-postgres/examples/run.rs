//! `cargo run -p authly-embedded-postgres --example run -- FOLDER [SETTING…]`: starts PostgreSQL with its folder and installation
//! below FOLDER, prints the superuser's URL on one line, and runs until it is stopped. For scripts.

use authly_embedded_postgres::{Options, Postgres, VERSION};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let folder = std::path::PathBuf::from(args.next().ok_or("usage: run FOLDER [SETTING…]")?);
    let options = Options {
        installation: folder.join(format!("postgresql-{VERSION}")),
        folder: folder.join("cluster"),
        port: None,
        settings: args.collect(),
    };
    let postgres = Postgres::start(options, &|line| eprintln!("{line}")).await?;
    println!("{}", postgres.url("postgres"));
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    postgres.stop().await?;
    Ok(())
}
