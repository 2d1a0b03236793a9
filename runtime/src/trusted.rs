//! Who the client is. `X-Forwarded-For` counts only when the peer is a configured proxy, and then from the right: the
//! last hop that is not a trusted proxy is the client. IPv4-mapped IPv6 addresses are unmapped first, always.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use ipnet::IpNet;

use crate::{Problem, edge::RequestContext};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// A set of networks, such as the trusted proxies or the peers of forward-auth. Empty trusts nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Arc<[IpNet]>);

/// Why a network was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// Neither a CIDR nor an address.
    #[error("`{0}` is not a network: write a CIDR such as 10.0.0.0/8 or fd00::/8, or one address")]
    Syntax(String),
    /// Host bits are set.
    #[error("`{0}` has bits set after its prefix: write {1}")]
    HostBits(String, IpNet),
    /// An IPv4 network in IPv6 spelling, which would never match.
    #[error("`{0}` is an IPv4-mapped network: write it as IPv4")]
    Mapped(String),
    /// Everyone.
    #[error("`{0}` would trust everyone: name the networks of your proxies")]
    Everyone(String),
}

impl Networks {
    /// The set of these networks.
    ///
    /// # Errors
    /// [`BadNetwork`], for the first that is not one.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, BadNetwork> {
        texts
            .into_iter()
            .map(|text| parse_network(text.as_ref()))
            .collect::<Result<Vec<_>, _>>()
            .map(|v| Self(v.into()))
    }

    /// Whether the address is in one of the networks.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is no network.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn parse_network(text: &str) -> Result<IpNet, BadNetwork> {
    let own = || text.chars().take(64).collect::<String>();
    let network = IpNet::from_str(text)
        .or_else(|_| IpAddr::from_str(text).map(IpNet::from))
        .map_err(|_| BadNetwork::Syntax(own()))?;
    if let IpNet::V6(v6) = network
        && v6.addr().to_ipv4_mapped().is_some()
    {
        return Err(BadNetwork::Mapped(own()));
    }
    if network.prefix_len() == 0 {
        return Err(BadNetwork::Everyone(own()));
    }
    if network.trunc() != network {
        return Err(BadNetwork::HostBits(own(), network.trunc()));
    }
    Ok(network)
}

/// The client's address, or none where a trusted proxy passed on something that is not an address: then whatever
/// depends on it must deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl ClientAddress {
    /// Decides by the peer, the trusted proxies and the `X-Forwarded-For` lines.
    #[must_use]
    pub fn decide(peer: IpAddr, trusted: &Networks, headers: &HeaderMap) -> Self {
        let mut client = peer.to_canonical();
        if !trusted.contains(client) {
            return Self(Some(client));
        }
        let lines = headers.get_all(FORWARDED_FOR).into_iter().rev();
        for line in lines {
            let Ok(line) = line.to_str() else { return Self(None) };
            for hop in line.rsplit(',').map(|hop| hop.trim_matches([' ', '\t'])) {
                let Some(address) = parse_hop(hop) else { return Self(None) };
                client = address;
                if !trusted.contains(client) {
                    return Self(Some(client));
                }
            }
        }
        Self(Some(client))
    }
}

/// An address, also with the port that some proxies add: `192.0.2.1:4711`, `[2001:db8::1]:4711`, `[2001:db8::1]`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    hop.parse::<IpAddr>().ok().or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

/// The socket at the other end: the client itself or a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let context = parts.extensions.get::<RequestContext>().ok_or_else(Problem::internal)?;
        Ok(Self::decide(context.peer.ip(), &context.trusted, &parts.headers))
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<RequestContext>().map(|context| Self(context.peer)).ok_or_else(Problem::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadNetwork, ClientAddress, FORWARDED_FOR, Networks};
    use http::{HeaderMap, HeaderValue};

    fn client(peer: &str, lines: &[&str]) -> Option<String> {
        let trusted = Networks::parse(["10.0.0.0/8", "fd00::/8", "192.0.2.7"]).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        ClientAddress::decide(peer.parse().unwrap(), &trusted, &headers).0.map(|address| address.to_string())
    }

    #[test]
    fn the_last_untrusted_hop_is_the_client() {
        for (peer, lines, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], Some("203.0.113.9")), // an untrusted peer's header is ignored
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["198.51.100.1"], Some("198.51.100.1")),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1"], Some("198.51.100.1")), // spoofed on the left
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1, 10.2.3.4"], Some("198.51.100.1")),
            ("10.0.0.1", &["10.9.9.9,10.2.3.4"], Some("10.9.9.9")), // all trusted: the farthest
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], Some("198.51.100.1")),
            ("::ffff:203.0.113.9", &[], Some("203.0.113.9")),
            ("fd00::1", &["2001:db8::1"], Some("2001:db8::1")),
            ("192.0.2.7", &["198.51.100.1:4711"], Some("198.51.100.1")),
            ("192.0.2.8", &["198.51.100.1"], Some("192.0.2.8")),
            ("10.0.0.1", &["[2001:db8::1]:4711"], Some("2001:db8::1")),
            ("10.0.0.1", &["[2001:db8::1]"], Some("2001:db8::1")),
            ("10.0.0.1", &["garbage, 198.51.100.1"], Some("198.51.100.1")), // never reached
            ("10.0.0.1", &["198.51.100.1, unknown"], None),
            ("10.0.0.1", &["198.51.100.1,"], None),
            ("10.0.0.1", &["é"], None),
        ] {
            assert_eq!(client(peer, lines).as_deref(), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn networks_that_would_mislead_are_refused() {
        for (text, part) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "everyone"),
            ("::/0", "everyone"),
            ("::ffff:10.0.0.0/104", "as IPv4"),
            ("localhost", "is not a network"),
            ("10.0.0.0/33", "is not a network"),
            ("", "is not a network"),
        ] {
            let error: BadNetwork = Networks::parse([text]).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(!Networks::default().contains("127.0.0.1".parse().unwrap()));
    }
}
