//! What the data folder keeps so that a second start finds its data again: the passwords of the login roles
//! (`roles.json`) and the platform key (`kek`), both with mode 0600, both made once.

use authly_secrets::{Kek, KekRing, KekSource};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::folder::DataFolder;

const ROLES: &str = "roles.json";
const KEK: &str = "kek";

/// The passwords of the login roles.
#[derive(Debug)]
pub(crate) struct RolePasswords {
    pub(crate) server: SecretString,
    pub(crate) gateway: SecretString,
    pub(crate) operator: SecretString,
    pub(crate) jobs: SecretString,
}

/// `roles.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    server: String,
    gateway: String,
    operator: String,
    jobs: String,
}

/// Reads the passwords, or makes them.
pub(crate) fn role_passwords(data: &DataFolder) -> anyhow::Result<RolePasswords> {
    let stored = match data.read(ROLES)? {
        Some(text) => serde_json::from_str(&text).map_err(|bad| data.damaged(ROLES, bad))?,
        None => {
            let made = Stored { server: password()?, gateway: password()?, operator: password()?, jobs: password()? };
            data.write_private(ROLES, &serde_json::to_string_pretty(&made)?)?;
            made
        }
    };
    Ok(RolePasswords {
        server: stored.server.into(),
        gateway: stored.gateway.into(),
        operator: stored.operator.into(),
        jobs: stored.jobs.into(),
    })
}

/// Reads the platform key, or makes it.
pub(crate) fn kek(data: &DataFolder) -> anyhow::Result<KekRing> {
    if !data.join(KEK).exists() {
        data.write_private(KEK, authly_secrets::generate_kek()?.expose_secret())?;
    }
    Ok(KekRing::new(Kek::load(&KekSource::File(data.join(KEK)))?, []))
}

/// 256 bits as hexadecimal digits.
fn password() -> anyhow::Result<String> {
    Ok(authly_secrets::random::bytes::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
