//! SCRAM-SHA-256 verifiers (RFC 5803, RFC 7677), so that no password appears in a statement that a server may log.

use authly_secrets::random;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{Result, StoreError};

/// RFC 7677 section 4 asks for at least this many; it is PostgreSQL's default.
const ITERATIONS: u32 = 4096;

/// `SCRAM-SHA-256$iterations:salt$stored:server`, as PostgreSQL keeps it.
pub(super) fn verifier(password: &str) -> Result<String> {
    // SASLprep changes nothing in printable ASCII, so it is not needed.
    let printable = password.bytes().all(|b| (0x20..0x7f).contains(&b));
    if !printable || !(16..=256).contains(&password.len()) {
        return Err(StoreError::Login("its password must be 16 to 256 printable ASCII characters".into()));
    }
    let salt = random::bytes::<16>().map_err(|e| StoreError::Login(e.to_string()))?;
    encode(password, &salt)
}

fn encode(password: &str, salt: &[u8]) -> Result<String> {
    let salted = salted(password, salt)?;
    let stored = Sha256::digest(mac(&salted, b"Client Key")?);
    let server = mac(&salted, b"Server Key")?;
    let [salt, stored, server] = [salt, stored.as_slice(), &server].map(|b| STANDARD.encode(b));
    Ok(format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}"))
}

/// `Hi` of RFC 5802 section 2.2.
fn salted(password: &str, salt: &[u8]) -> Result<[u8; 32]> {
    let mut round = mac(password.as_bytes(), &[salt, &1_u32.to_be_bytes()].concat())?;
    let mut sum = round;
    for _ in 1..ITERATIONS {
        round = mac(password.as_bytes(), &round)?;
        sum.iter_mut().zip(round).for_each(|(s, r)| *s ^= r);
    }
    Ok(sum)
}

fn mac(key: &[u8], message: &[u8]) -> Result<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|e| StoreError::Login(e.to_string()))?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 section 3: user, pencil.
    #[test]
    fn rfc_7677_example() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = salted("pencil", &salt).unwrap();
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server = mac(&mac(&salted, b"Server Key").unwrap(), message.as_bytes()).unwrap();
        assert_eq!(STANDARD.encode(server), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }
}
