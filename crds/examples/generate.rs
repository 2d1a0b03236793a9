//! Writes `crds/yaml`: `cargo run -p authly-crds --example generate`.

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    fs::create_dir_all(&folder)?;
    for (name, text) in authly_crds::all_yaml()? {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
