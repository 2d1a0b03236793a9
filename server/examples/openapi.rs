//! Writes `docs/openapi.json`: `cargo run -p authly-server --example openapi`.

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let document = serde_json::to_string_pretty(&authly_server::document())?;
    Ok(fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json"), document + "\n")?)
}
