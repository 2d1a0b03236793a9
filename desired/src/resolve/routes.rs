//! SignedUrlRoutes: defaults, hosts that the Tenant owns, and who has a path (rules 1 and 2).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use authly_crds as crds;
use authly_model::{
    ids::{Kind, ObjectName},
    route::{Backend, DEFAULT_MAX_TTL, DEFAULT_TTL, Revocation, Route},
    tenant::Role,
};
use jiff::Timestamp;

use super::{
    Resolved, Scope,
    contest::{Contestant, Lost, losers},
    is_deleting, record,
    tenant::seconds,
};
use crate::{
    defaults,
    object::created,
    verdict::{Effective, Reason, Refusal},
    world::Entry,
};

type Routes = BTreeMap<ObjectName, Entry<crds::SignedUrlRoute>>;

/// A host and a prefix.
type Path = (String, String);
/// The senior route by host and prefix; `(is new, created, object)`.
type Seniors<'a> = HashMap<Path, (bool, Option<Timestamp>, &'a ObjectName)>;

impl Scope<'_> {
    pub(super) fn routes(&self, entries: &Routes, resolved: &mut Resolved) {
        let live = || entries.iter().filter(|(_, entry)| !is_deleting(&entry.object.metadata));
        let mut alone: Vec<_> = live().map(|(name, entry)| (name, entry, self.route(name, entry))).collect();
        let mut seniors: Seniors<'_> = HashMap::new();
        for (name, entry, outcome) in &alone {
            let Ok((route, _)) = outcome else { continue };
            for path in paths(route) {
                let rank = self.rank(&path, name, entry);
                let senior = seniors.entry(path).or_insert(rank);
                *senior = rank.min(*senior);
            }
        }
        for (_, entry, outcome) in &mut alone {
            let refused = match outcome {
                Ok((route, Role::Member)) => self.own_prefix(route, entry, &seniors).err(),
                _ => None,
            };
            if let Some(refusal) = refused {
                *outcome = Err(refusal);
            }
        }
        let contestants: Vec<_> = alone
            .iter()
            .filter_map(|(name, entry, outcome)| {
                let (route, _) = outcome.as_ref().ok()?;
                let created = created(&entry.object.metadata);
                Some(Contestant { object: name, created, wants: paths(route).collect() })
            })
            .collect();
        let is_live = |name: &ObjectName| entries.get(name).is_some_and(|e| !is_deleting(&e.object.metadata));
        let held = self.stored.map(|stored| &stored.paths);
        let lost = losers(&contestants, held, |name| self.stays(Kind::SignedUrlRoute, name, is_live(name)));
        for (name, _, outcome) in alone {
            let outcome = outcome.and_then(|(route, _)| match lost.get(name) {
                None => {
                    let effective = effective(&route);
                    Ok((route, effective))
                }
                Some(Lost { thing: (host, prefix), holder }) => {
                    let message = format!("{host}{prefix} belongs to SignedUrlRoute {holder}: use another pathPrefix");
                    Err(Refusal::new(Reason::PathConflict, "spec.pathPrefix", message))
                }
            });
            record(Kind::SignedUrlRoute, name, outcome, &mut resolved.desired.routes, &mut resolved.verdicts);
        }
    }

    /// The route as far as it alone and its Tenant decide.
    fn route(&self, name: &ObjectName, entry: &Entry<crds::SignedUrlRoute>) -> Result<(Route, Role), Refusal> {
        let (tenant, role) = self.admit(name, &entry.violations)?;
        let spec = &entry.object.spec;
        if let Some((i, host)) = spec.hosts.iter().enumerate().find(|(_, host)| !tenant.url_hosts.contains(*host)) {
            let message =
                format!("host `{host}` is not one of Tenant `{}`'s spec.urlHosts: add it there first", tenant.name);
            return Err(Refusal::new(Reason::HostNotAllowed, format!("spec.hosts[{i}]"), message));
        }
        Ok((route(name, spec), role))
    }

    fn rank<'n>(
        &self,
        path: &Path,
        name: &'n ObjectName,
        entry: &Entry<crds::SignedUrlRoute>,
    ) -> (bool, Option<Timestamp>, &'n ObjectName) {
        let is_stored = self.stored.and_then(|stored| stored.paths.get(path)) == Some(name);
        (!is_stored, created(&entry.object.metadata), name)
    }

    /// A Member's route lies under no prefix of another namespace, unless it was there before that one: else a new
    /// route would take an old one's place away.
    fn own_prefix(
        &self,
        route: &Route,
        entry: &Entry<crds::SignedUrlRoute>,
        seniors: &Seniors<'_>,
    ) -> Result<(), Refusal> {
        for host in &route.hosts {
            let (is_new, created, _) = self.rank(&(host.clone(), route.path_prefix.clone()), &route.object, entry);
            for prefix in parents(&route.path_prefix) {
                let outer = seniors.get(&(host.clone(), prefix.to_owned()));
                let Some((outer_is_new, outer_created, outer)) = outer else { continue };
                let was_before = (is_new, created) < (*outer_is_new, *outer_created);
                if outer.namespace != route.object.namespace && !was_before {
                    let message = format!(
                        "{host}{prefix} belongs to SignedUrlRoute {outer} of another namespace, \
                         and a Member's route may not lie under it: use another pathPrefix"
                    );
                    return Err(Refusal::new(Reason::PathNotAllowed, "spec.pathPrefix", message));
                }
            }
        }
        Ok(())
    }
}

fn paths(route: &Route) -> impl Iterator<Item = Path> {
    route.hosts.iter().map(|host| (host.clone(), route.path_prefix.clone()))
}

/// The proper prefixes of a prefix that end with a slash.
fn parents(prefix: &str) -> impl Iterator<Item = &str> {
    let end = prefix.len().saturating_sub(1);
    prefix[..end].match_indices('/').map(move |(i, _)| &prefix[..=i])
}

fn route(name: &ObjectName, spec: &crds::SignedUrlRouteSpec) -> Route {
    let declared = if spec.methods.is_empty() { &defaults::METHODS[..] } else { &spec.methods };
    let mut methods: BTreeSet<String> = declared.iter().map(|method| method.as_str().to_owned()).collect();
    if methods.contains("GET") {
        methods.insert("HEAD".to_owned());
    }
    let max_ttl = seconds(spec.max_ttl.as_ref(), DEFAULT_MAX_TTL);
    Route {
        object: name.clone(),
        hosts: spec.hosts.iter().cloned().collect(),
        path_prefix: spec.path_prefix.clone(),
        methods,
        max_ttl,
        default_ttl: seconds(spec.default_ttl.as_ref(), DEFAULT_TTL.min(max_ttl)),
        revocation: match spec.revocation {
            Some(crds::Revocation::High) => Revocation::High,
            Some(crds::Revocation::Normal) | None => Revocation::Normal,
        },
        backend: spec.backend.as_ref().and_then(|backend| {
            let port = u16::try_from(backend.service.port).ok()?;
            Some(Backend { service: backend.service.name.clone(), port })
        }),
    }
}

fn effective(route: &Route) -> Effective {
    let more = route.hosts.len().saturating_sub(1);
    let host = route.hosts.first().map(|first| if more == 0 { first.clone() } else { format!("{first} +{more}") });
    Effective {
        host,
        path: Some(route.path_prefix.clone()),
        max_ttl: Some(route.max_ttl.to_string()),
        default_ttl: Some(route.default_ttl.to_string()),
        ..Effective::default()
    }
}
