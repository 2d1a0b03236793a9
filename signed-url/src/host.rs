//! The signed host.
//!
//! Owns the one spelling of a host with its port. Never lower-cases, trims or converts: another spelling is refused.
//! Governed by "Native format `sx1`", HOST; RFC 1123 labels, RFC 5890 A-labels.

use std::fmt;

use crate::{Refusal, spelling};

const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A host in its one spelling: lower-case A-labels, no trailing dot, no address literal, a port only if it is not the
/// default one. Whether a port is permitted at all is the route's to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(String);

impl Host {
    /// Reads `name` or `name:port`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        check_name(name)?;
        if let Some(port) = port {
            check_port(port, is_localhost(name))?;
        }
        Ok(Self(text.to_owned()))
    }

    /// As it is signed and as it stands in a `Host` header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the port.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(name, _)| name)
    }

    /// The port, if it is not the default one.
    pub fn port(&self) -> Option<u16> {
        self.0.split_once(':').and_then(|(_, port)| port.parse().ok())
    }

    /// True for `localhost` and the names below it (RFC 6761), where development may use plain http.
    pub fn is_localhost(&self) -> bool {
        is_localhost(self.name())
    }

    /// What stands before a target in a full URL. The scheme is not signed: https, but in development (`dev`) http on
    /// localhost names.
    pub fn origin(&self, dev: bool) -> String {
        let scheme = if dev && self.is_localhost() { "http" } else { "https" };
        format!("{scheme}://{}", self.0)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Refusal::NotCanonical("a host name is 1 to 253 characters; send the name of the route's host"));
    }
    name.split('.').try_for_each(check_label)?;
    if ends_in_a_number(name) {
        return Err(Refusal::NotCanonical(
            "a host is a name, never an address; use a name whose last label is no number",
        ));
    }
    Ok(())
}

/// Browsers read `10.1`, `127.0x1` and `2130706433` as IPv4 addresses: the same bytes, another host (WHATWG URL).
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hex || last.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_label(label: &str) -> Result<(), Refusal> {
    let bytes = label.as_bytes();
    let hyphen_outside = bytes.first() == Some(&b'-') || bytes.last() == Some(&b'-');
    if bytes.is_empty() || bytes.len() > MAX_LABEL || hyphen_outside {
        return Err(Refusal::NotCanonical(
            "a label of the host is 1 to 63 characters, not beginning or ending with a hyphen; drop a trailing dot",
        ));
    }
    if !bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        return Err(Refusal::NotCanonical(
            "a host is lower-case ASCII; write other scripts as A-labels (xn--), without user info",
        ));
    }
    Ok(())
}

fn check_port(port: &str, localhost: bool) -> Result<(), Refusal> {
    let port = spelling::bounded(port, 1, 65_535, "a port is 1 to 65535; correct it")?;
    // The scheme is not signed: https everywhere, and http on localhost names, so both defaults go there.
    if port == 443 || (localhost && port == 80) {
        return Err(Refusal::NotCanonical("the default port is not written; drop it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        for text in [
            "cdn.example.com",
            "localhost",
            "files.localhost:8081",
            "a.example:80",
            "xn--bcher-kva.example",
            "4chan.org",
        ] {
            let host = Host::parse(text).unwrap();
            assert_eq!(host.as_str(), text);
        }
        assert_eq!(Host::parse("files.localhost:8081").unwrap().port(), Some(8081));
        assert!(Host::parse("files.localhost:8081").unwrap().is_localhost());
        assert!(!Host::parse("notlocalhost").unwrap().is_localhost());
    }

    #[test]
    fn refused() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = format!("{}example", "a.".repeat(124));
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "A.example",
            "a_b.example",
            "bücher.example",
            "user@a.example",
            "a.example:443",
            "a.example:",
            "a.example:080",
            "a.example:0",
            "a.example:65536",
            "a.example:8:8",
            "localhost:80",
            "127.0.0.1",
            "[::1]",
            "127.1",
            "0x7f.1",
            "2130706433",
            "a.0x1",
            "-a.example",
            "a-.example",
            "a b",
            "a/b",
            "a\n",
            "a%2eb",
            "*.a.example",
            &long_label,
            &long_name,
        ] {
            assert_eq!(Host::parse(text).map_err(|r| r.reason()), Err("not_canonical"), "{text}");
        }
    }
}
