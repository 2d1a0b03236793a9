//! A client network.
//!
//! Owns its one spelling and the match. Never lets an IPv4 address hide in an IPv6 one: both the network and the
//! client are unmapped or refused. Governed by "Native format `sx1`", `i`, and "Attacks", IP.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Refusal, spelling};

/// An IPv4 network of /1 to /32 or an IPv6 network of /1 to /128, host bits zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Makes a network of an address whose host bits are zero and a prefix length.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, Refusal> {
        let (bits, width) = bits(address);
        if !(1..=width).contains(&prefix) {
            return Err(Refusal::NotCanonical(
                "a network is /1 to /32 (IPv4) or /128 (IPv6); for everywhere leave it out",
            ));
        }
        if bits & !mask(prefix, width) != 0 {
            return Err(Refusal::NotCanonical("the host bits of a network are zero; clear them"));
        }
        if prefix >= 96 && address.to_canonical() != address {
            return Err(Refusal::NotCanonical("an IPv4 network is not written as IPv6; write it as IPv4"));
        }
        Ok(Self { address, prefix })
    }

    /// Reads the common notation, `10.1.0.0/16` or `2001:db8::/32`, for example from an API.
    pub fn from_cidr(text: &str) -> Result<Self, Refusal> {
        const RULE: &str = "a network is written as address/length, for example 10.1.0.0/16; correct it";
        let (address, prefix) = text.split_once('/').ok_or(Refusal::NotCanonical(RULE))?;
        let address = address.parse().map_err(|_| Refusal::NotCanonical(RULE))?;
        Self::new(address, length(prefix)?)
    }

    /// Reads `<hex>~<prefix>`: 8 hexadecimal digits for IPv4, 32 for IPv6, lower case.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        const RULE: Refusal =
            Refusal::NotCanonical("i is 8 or 32 lower-case hexadecimal digits, ~ and a prefix length");
        let (hex, prefix) = text.split_once('~').ok_or(RULE)?;
        if !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(RULE);
        }
        let address = match hex.len() {
            8 => u32::from_str_radix(hex, 16).map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits))),
            32 => u128::from_str_radix(hex, 16).map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits))),
            _ => return Err(RULE),
        };
        Self::new(address.map_err(|_| RULE)?, length(prefix)?)
    }

    /// Is the client in it? A mapped client address (`::ffff:10.1.2.3`) counts as IPv4; no other embedding does.
    pub fn contains(&self, client: IpAddr) -> bool {
        let (client, client_width) = bits(client.to_canonical());
        let (network, width) = bits(self.address);
        width == client_width && client & mask(self.prefix, width) == network
    }

    /// The first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The prefix length.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Appends the form that [`Network::parse`] reads.
    pub(crate) fn write(&self, out: &mut String) -> fmt::Result {
        use fmt::Write as _;
        match self.address {
            IpAddr::V4(address) => write!(out, "{:08x}~{}", address.to_bits(), self.prefix),
            IpAddr::V6(address) => write!(out, "{:032x}~{}", address.to_bits(), self.prefix),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn length(text: &str) -> Result<u8, Refusal> {
    let length = spelling::decimal(text)?;
    u8::try_from(length)
        .map_err(|_| Refusal::NotCanonical("a prefix length is at most 32 (IPv4) or 128 (IPv6); correct it"))
}

/// The address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// `prefix` ones, then zeros, in the lowest `width` bits; `prefix` is 1 to `width`.
fn mask(prefix: u8, width: u8) -> u128 {
    let host = u32::from(width - prefix);
    (u128::MAX >> (128 - u32::from(width))) >> host << host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn match_and_unmap() {
        let network = Network::parse("0a010000~16").unwrap();
        assert_eq!(network.to_string(), "10.1.0.0/16");
        for inside in ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3"] {
            assert!(network.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in
            ["10.2.0.0", "10.0.255.255", "::10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::", "::a01:0", "fe80::1"]
        {
            assert!(!network.contains(outside.parse().unwrap()), "{outside}");
        }
        let all = Network::from_cidr("2001:db8::/32").unwrap();
        assert!(all.contains("2001:db8:ffff::1".parse().unwrap()) && !all.contains("2001:db9::".parse().unwrap()));
        let one = Network::from_cidr("::1/128").unwrap();
        assert!(one.contains("::1".parse().unwrap()) && !one.contains("::2".parse().unwrap()));
        assert!(!Network::from_cidr("::/64").unwrap().contains("::ffff:10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "~",
            "0a010000",
            "0a010000~",
            "0a010000~0",
            "0a010000~33",
            "0a010000~016",
            "0a010001~16",
            "0A010000~16",
            "a010000~16",
            "00a010000~16",
            "0a010000~+16",
            "+a010000~16",
            "00000000~0",
            "00000000000000000000ffff0a010000~112",
            "20010db8000000000000000000000000~0",
            "20010db8000000000000000000000000~129",
            "20010db8000000000000000000000001~64",
        ] {
            assert_eq!(Network::parse(bad).map_err(|r| r.reason()), Err("not_canonical"), "{bad}");
        }
        for bad in [
            "10.1.0.0",
            "10.01.0.0/16",
            "010.1.0.0/16",
            "10.1/16",
            "fe80::%1/64",
            "::ffff:10.1.0.0/112",
            "0.0.0.0/0",
            "::/0",
            "10.1.0.0/016",
        ] {
            assert!(Network::from_cidr(bad).is_err(), "{bad}");
        }
    }
}
