//! Revocations: what replicas hold in memory and refuse by (signed-url.md, "Revocation in under a second").

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use authly_model::ids::ObjectName;
use jiff::Timestamp;

use crate::{Result, StoreError, hex, uses::UrlId};

/// What a revocation of URLs covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UrlTarget {
    /// One URL.
    Id(UrlId),
    /// Every URL with this subject tag that was issued before.
    Subject([u8; 6]),
    /// Every URL with this client tag that was issued before.
    Client([u8; 6]),
    /// Every URL of this route that was issued before.
    Route(ObjectName),
    /// Every URL of this key that was issued before.
    Key(String),
}

impl UrlTarget {
    /// Target and value as the store spells them; `target:value` is the key in the feed.
    pub(crate) fn to_row(&self) -> (&'static str, String) {
        match self {
            Self::Id(id) => ("id", hex::encode(id)),
            Self::Subject(tag) => ("subject", hex::encode(tag)),
            Self::Client(tag) => ("client", hex::encode(tag)),
            Self::Route(route) => ("route", route.to_string()),
            Self::Key(kid) => ("key", kid.clone()),
        }
    }

    pub(crate) fn from_row(target: &str, value: &str) -> Result<Self> {
        let damaged = || StoreError::Damaged(format!("a URL revocation by {target}"));
        Ok(match target {
            "id" => Self::Id(hex::decode(value).ok_or_else(damaged)?),
            "subject" => Self::Subject(hex::decode(value).ok_or_else(damaged)?),
            "client" => Self::Client(hex::decode(value).ok_or_else(damaged)?),
            "route" => {
                let (namespace, name) = value.split_once('/').ok_or_else(damaged)?;
                Self::Route(ObjectName::new(namespace, name))
            }
            "key" => Self::Key(value.to_owned()),
            _ => return Err(damaged()),
        })
    }
}

/// A revocation of URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlRevocation {
    /// What it covers.
    pub target: UrlTarget,
    /// URLs whose issue time (Unix seconds) is below this are revoked; not read for [`UrlTarget::Id`].
    /// "Everything until now" is the current second plus one.
    pub before: i64,
    /// When no URL that it covers can be valid any more: the latest issue time plus the route's longest lifetime.
    pub expires_at: Timestamp,
}

/// What redemption knows of a URL whose signature it checked.
#[derive(Debug, Clone, Copy)]
pub struct UrlFacts<'a> {
    /// The id, which carries issue time and tags.
    pub id: &'a UrlId,
    /// The key.
    pub kid: &'a str,
    /// The route that redeems it.
    pub route: &'a ObjectName,
}

/// A tenant's revocations in memory. Shared between snapshots: an entry counts from the moment it is known.
#[derive(Debug, Default)]
pub struct Revocations {
    any: AtomicBool,
    sets: RwLock<Sets>,
}

#[derive(Debug, Default)]
struct Sets {
    tokens: HashMap<String, Timestamp>,
    urls: HashMap<UrlTarget, (i64, Timestamp)>,
}

impl Revocations {
    /// Whether the token with this `jti` is revoked.
    #[must_use]
    pub fn is_token_revoked(&self, jti: &str) -> bool {
        self.any.load(Ordering::Acquire)
            && self.sets.read().unwrap_or_else(PoisonError::into_inner).tokens.contains_key(jti)
    }

    /// Whether the URL is revoked, by whatever covers it.
    #[must_use]
    pub fn is_url_revoked(&self, url: &UrlFacts<'_>) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let (issued, subject, client) = parts(url.id);
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        if sets.urls.is_empty() {
            return false;
        }
        let covers = |target: &UrlTarget| sets.urls.get(target).is_some_and(|(before, _)| issued < *before);
        sets.urls.contains_key(&UrlTarget::Id(*url.id))
            || (subject != [0; 6] && covers(&UrlTarget::Subject(subject)))
            || (client != [0; 6] && covers(&UrlTarget::Client(client)))
            || covers(&UrlTarget::Route(url.route.clone()))
            || covers(&UrlTarget::Key(url.kid.to_owned()))
    }

    /// How many entries are held.
    #[must_use]
    pub fn len(&self) -> usize {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.tokens.len() + sets.urls.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn add(&self, tokens: Vec<(String, Timestamp)>, urls: Vec<UrlRevocation>) {
        if tokens.is_empty() && urls.is_empty() {
            return;
        }
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        sets.tokens.extend(tokens);
        for url in urls {
            let entry = sets.urls.entry(url.target).or_insert((url.before, url.expires_at));
            *entry = (entry.0.max(url.before), entry.1.max(url.expires_at));
        }
        self.any.store(true, Ordering::Release);
    }

    /// Forgets what covers only tokens and URLs that have expired.
    pub(crate) fn prune(&self, now: Timestamp) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        sets.tokens.retain(|_, expires| *expires > now);
        sets.urls.retain(|_, (_, expires)| *expires > now);
        self.any.store(!(sets.tokens.is_empty() && sets.urls.is_empty()), Ordering::Release);
    }
}

/// Issue time, subject tag and client tag of an id.
fn parts(id: &UrlId) -> (i64, [u8; 6], [u8; 6]) {
    let mut issued = [0; 4];
    let mut subject = [0; 6];
    let mut client = [0; 6];
    issued.copy_from_slice(&id[..4]);
    subject.copy_from_slice(&id[4..10]);
    client.copy_from_slice(&id[10..16]);
    (i64::from(u32::from_be_bytes(issued)), subject, client)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUED: u32 = 1_795_436_400;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn id(subject: u8, client: u8) -> UrlId {
        let mut id = [9; 24];
        id[..4].copy_from_slice(&ISSUED.to_be_bytes());
        id[4..10].fill(subject);
        id[10..16].fill(client);
        id
    }

    fn is_revoked(target: UrlTarget, before: i64, id: &UrlId) -> bool {
        let revocations = Revocations::default();
        let route = ObjectName::new("shop", "reports");
        let facts = UrlFacts { id, kid: "AAECAwQFBgcI", route: &route };
        assert!(!revocations.is_url_revoked(&facts));
        revocations.add(Vec::new(), vec![UrlRevocation { target, before, expires_at: at(2_000_000_000) }]);
        revocations.is_url_revoked(&facts)
    }

    #[test]
    fn issued_before_is_strict_and_every_target_covers_its_own_only() {
        let issued = i64::from(ISSUED);
        let (url, untagged) = (id(1, 2), id(0, 0));
        let route = |name: &str| UrlTarget::Route(ObjectName::new("shop", name));
        for (target, other) in [
            (UrlTarget::Subject([1; 6]), UrlTarget::Subject([2; 6])),
            (UrlTarget::Client([2; 6]), UrlTarget::Client([1; 6])),
            (route("reports"), route("videos")),
            (UrlTarget::Key("AAECAwQFBgcI".into()), UrlTarget::Key("BBBBBBBBBBBB".into())),
        ] {
            assert!(is_revoked(target.clone(), issued + 1, &url), "{target:?}");
            assert!(!is_revoked(target.clone(), issued, &url), "{target:?} issued in that second");
            assert!(!is_revoked(other.clone(), issued + 1, &url), "{other:?}");
        }
        assert!(is_revoked(UrlTarget::Id(url), 0, &url));
        assert!(!is_revoked(UrlTarget::Id(untagged), 0, &url));
        assert!(!is_revoked(UrlTarget::Subject([0; 6]), issued + 1, &untagged), "a zero tag is nobody");
        assert!(!is_revoked(UrlTarget::Client([0; 6]), issued + 1, &untagged));
    }

    #[test]
    fn a_later_revocation_extends_and_never_shortens() {
        let (revocations, route) = (Revocations::default(), ObjectName::new("shop", "reports"));
        let url = id(1, 2);
        let facts = UrlFacts { id: &url, kid: "k", route: &route };
        let of_route = |before, expires| UrlRevocation {
            target: UrlTarget::Route(route.clone()),
            before,
            expires_at: at(expires),
        };
        revocations.add(vec![("jti".into(), at(100))], vec![of_route(i64::from(ISSUED) + 1, 200)]);
        revocations.add(Vec::new(), vec![of_route(5, 150)]);
        assert!(revocations.is_url_revoked(&facts) && revocations.is_token_revoked("jti"));
        revocations.prune(at(150));
        assert!(revocations.is_url_revoked(&facts) && !revocations.is_token_revoked("jti"));
        assert_eq!(revocations.len(), 1);
        revocations.prune(at(200));
        assert!(revocations.is_empty() && !revocations.is_url_revoked(&facts));
    }

    #[test]
    fn targets_survive_the_store() {
        for target in [
            UrlTarget::Id(id(1, 2)),
            UrlTarget::Subject([0xab; 6]),
            UrlTarget::Client([1; 6]),
            UrlTarget::Route(ObjectName::new("shop", "reports")),
            UrlTarget::Key("a:b".into()),
        ] {
            let (kind, value) = target.to_row();
            assert_eq!(UrlTarget::from_row(kind, &value).unwrap(), target);
        }
        assert!(UrlTarget::from_row("id", "zz").is_err() && UrlTarget::from_row("planet", "x").is_err());
    }
}
