//! What is asked: typed requests, and the entities and context that Cedar decides about, built from values.
//!
//! Never does: schema checks. The types here are the schema's shape, and a test validates each against it.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use authly_model::ids::ObjectName;
use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression};
use cedar_policy_core::{
    entities::{Entities as CoreEntities, NoEntitiesSchema, TCComputation},
    extensions::Extensions,
};
use jiff::Timestamp;

use crate::{
    qualify::Qualifier,
    vocabulary::{Action, Type, Vocabulary},
};

/// A client or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhoRef<'a> {
    /// A client, by its client id.
    Client(&'a str),
    /// A user, by its id.
    User(&'a str),
}

impl<'a> WhoRef<'a> {
    /// Reads `c.<client id>` or `u.<user id>` (signed-url.md, "WHO").
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        match text.split_at_checked(2)? {
            (_, "") => None,
            ("c.", id) => Some(Self::Client(id)),
            ("u.", id) => Some(Self::User(id)),
            _ => None,
        }
    }
}

/// A URL to be signed.
#[derive(Debug, Clone, Copy)]
pub struct Sign<'a> {
    /// Who signs.
    pub signer: WhoRef<'a>,
    /// The route.
    pub route: &'a ObjectName,
    /// The URL's host, as it is signed.
    pub host: &'a str,
    /// The URL's path, as it is signed; or the prefix, which ends with a slash.
    pub path: &'a str,
    /// Whether everything below `path` is signed.
    pub is_prefix: bool,
    /// The methods, HEAD included where GET is.
    pub methods: &'a [String],
    /// How long the URL will live, in seconds.
    pub expires_in: i64,
    /// For whom the URL is meant, if for somebody.
    pub for_: Option<WhoRef<'a>>,
    /// How often it may be used, if that is counted.
    pub uses: Option<i64>,
}

/// A signed URL that is presented.
#[derive(Debug, Clone, Copy)]
pub struct Redeem<'a> {
    /// For whom it is meant, if for somebody.
    pub who: Option<WhoRef<'a>>,
    /// The route.
    pub route: &'a ObjectName,
    /// The signed host.
    pub host: &'a str,
    /// The signed path.
    pub path: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// The client's address, if it is known; IPv4-mapped IPv6 counts as IPv4.
    pub address: Option<IpAddr>,
    /// The time, by the injected clock.
    pub now: Timestamp,
}

/// What a revocation beyond the client's own URLs reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeScope<'a> {
    /// Anything of the tenant: an id, a client or a subject of others.
    Tenant,
    /// The URLs of a route.
    Route(&'a ObjectName),
}

/// A question to [`crate::TenantPolicies::decide`].
#[derive(Debug, Clone, Copy)]
pub struct Request<'a>(Kind<'a>);

#[derive(Debug, Clone, Copy)]
enum Kind<'a> {
    IssueToken(OwnClient<'a>, &'a BTreeSet<String>, &'a BTreeSet<String>),
    Sign(Sign<'a>),
    SignAs(Sign<'a>),
    Redeem(Redeem<'a>),
    Revoke(OwnClient<'a>, RevokeScope<'a>),
}

#[derive(Debug, Clone, Copy)]
struct OwnClient<'a> {
    id: &'a str,
    object: &'a ObjectName,
}

impl<'a> Request<'a> {
    /// May the client have a token with these scopes and audiences? What its registration allows is decided before.
    #[must_use]
    pub fn issue_token(
        client_id: &'a str,
        client: &'a ObjectName,
        scopes: &'a BTreeSet<String>,
        audiences: &'a BTreeSet<String>,
    ) -> Self {
        Self(Kind::IssueToken(OwnClient { id: client_id, object: client }, scopes, audiences))
    }

    /// May this URL be signed?
    #[must_use]
    pub fn sign(sign: &Sign<'a>) -> Self {
        Self(Kind::Sign(*sign))
    }

    /// May this URL be signed for somebody else than the signer? Asked besides `sign`.
    #[must_use]
    pub fn sign_as(sign: &Sign<'a>) -> Self {
        Self(Kind::SignAs(*sign))
    }

    /// May this URL be redeemed?
    #[must_use]
    pub fn redeem(redeem: Redeem<'a>) -> Self {
        Self(Kind::Redeem(redeem))
    }

    /// May the client revoke URLs that others signed? Its own it may, without policy.
    #[must_use]
    pub fn revoke(client_id: &'a str, client: &'a ObjectName, scope: RevokeScope<'a>) -> Self {
        Self(Kind::Revoke(OwnClient { id: client_id, object: client }, scope))
    }
}

/// A request in Cedar's terms, its context apart.
pub(crate) struct Facts<'a> {
    pub(crate) action: Action,
    pub(crate) principal: Node,
    pub(crate) resource: Node,
    kind: Kind<'a>,
}

/// An entity and all of its ancestors.
pub(crate) struct Node {
    pub(crate) kind: Type,
    pub(crate) uid: EntityUid,
    pub(crate) ancestors: Vec<EntityUid>,
}

/// Makes the entities of one tenant.
#[derive(Clone, Copy)]
pub(crate) struct Maker<'v> {
    pub(crate) vocabulary: &'v Vocabulary,
    pub(crate) qualifier: &'v Qualifier,
}

impl Maker<'_> {
    pub(crate) fn facts<'a>(&self, request: &Request<'a>) -> Facts<'a> {
        let (action, principal, resource) = match &request.0 {
            Kind::IssueToken(client, ..) => (Action::IssueToken, self.own_client(*client), self.tenant()),
            Kind::Sign(sign) => (Action::Sign, self.who(sign.signer), self.object(sign.route, sign.path)),
            Kind::SignAs(sign) => (Action::SignAs, self.who(sign.signer), self.object(sign.route, sign.path)),
            Kind::Redeem(redeem) => (Action::Redeem, self.bearer(redeem.who), self.object(redeem.route, redeem.path)),
            Kind::Revoke(client, RevokeScope::Tenant) => (Action::Revoke, self.own_client(*client), self.tenant()),
            Kind::Revoke(client, RevokeScope::Route(route)) => {
                (Action::Revoke, self.own_client(*client), self.route(route))
            }
        };
        Facts { action, principal, resource, kind: request.0 }
    }

    fn entity(&self, kind: Type, id: &str) -> EntityUid {
        self.vocabulary.entity(kind, self.qualifier.id(id))
    }

    fn tenant_uid(&self) -> EntityUid {
        self.entity(Type::Tenant, "this")
    }

    fn node(&self, kind: Type, id: &str, mut ancestors: Vec<EntityUid>) -> Node {
        ancestors.push(self.tenant_uid());
        Node { kind, uid: self.entity(kind, id), ancestors }
    }

    fn tenant(&self) -> Node {
        Node { kind: Type::Tenant, uid: self.tenant_uid(), ancestors: Vec::new() }
    }

    fn own_client(&self, client: OwnClient<'_>) -> Node {
        self.node(Type::Client, client.id, vec![self.entity(Type::Namespace, &client.object.namespace)])
    }

    fn who(&self, who: WhoRef<'_>) -> Node {
        match who {
            WhoRef::Client(id) => self.node(Type::Client, id, Vec::new()),
            WhoRef::User(id) => self.node(Type::User, id, Vec::new()),
        }
    }

    fn bearer(&self, who: Option<WhoRef<'_>>) -> Node {
        self.node(Type::Bearer, "", who.map(|who| self.who(who).uid).into_iter().collect())
    }

    fn route(&self, route: &ObjectName) -> Node {
        self.node(Type::Route, &route.to_string(), vec![self.entity(Type::Namespace, &route.namespace)])
    }

    fn object(&self, route: &ObjectName, path: &str) -> Node {
        let parent = self.route(route);
        let id = format!("{route}{path}");
        let ancestors = std::iter::once(parent.uid).chain(parent.ancestors).collect();
        Node { kind: Type::Object, uid: self.entity(Type::Object, &id), ancestors }
    }

    fn who_fields(&self, who: Option<WhoRef<'_>>, fields: &mut Vec<(&'static str, RestrictedExpression)>) {
        let (name, kind, id) = match who {
            None => return,
            Some(WhoRef::Client(id)) => ("for_client", Type::Client, id),
            Some(WhoRef::User(id)) => ("for_user", Type::User, id),
        };
        fields.push((name, RestrictedExpression::new_entity_uid(self.entity(kind, id))));
    }

    /// The context. Time and address are left out where no policy of the slice reads them: they cost the most to build.
    pub(crate) fn context(&self, facts: &Facts<'_>, volatile: bool) -> Option<Context> {
        let mut fields = Vec::with_capacity(8);
        match &facts.kind {
            Kind::IssueToken(_, scopes, audiences) => {
                fields.push(("scopes", strings(scopes.iter())));
                fields.push(("audiences", strings(audiences.iter())));
            }
            Kind::Sign(sign) | Kind::SignAs(sign) => {
                fields.push(("host", string(sign.host)));
                fields.push(("path", string(sign.path)));
                fields.push(("prefix", RestrictedExpression::new_bool(sign.is_prefix)));
                fields.push(("methods", strings(sign.methods.iter())));
                fields.push(("expires_in", RestrictedExpression::new_long(sign.expires_in)));
                fields.extend(sign.uses.map(|uses| ("uses", RestrictedExpression::new_long(uses))));
                self.who_fields(sign.for_, &mut fields);
            }
            Kind::Redeem(redeem) => {
                fields.push(("host", string(redeem.host)));
                fields.push(("path", string(redeem.path)));
                fields.push(("method", string(redeem.method)));
                if volatile {
                    let now = redeem.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                    fields.push(("time", RestrictedExpression::new_datetime(now)));
                    // Cedar's ip() does not treat ::ffff:1.2.3.4 as 1.2.3.4.
                    let address = redeem.address.map(|a| a.to_canonical().to_string());
                    fields.extend(address.map(|a| ("address", RestrictedExpression::new_ip(a))));
                }
            }
            Kind::Revoke(..) => {}
        }
        Context::from_pairs(fields.into_iter().map(|(name, value)| (name.to_owned(), value))).ok()
    }
}

impl Facts<'_> {
    /// Principal and resource. Ancestors hold no data, so they need no entities of their own, and a node names all of
    /// them: nothing is left for Cedar to compute (a test compares), which would cost more than the rest of this.
    pub(crate) fn entities(&self) -> Option<Entities> {
        let entity = |node: &Node| {
            let ancestors: HashSet<EntityUid> = node.ancestors.iter().cloned().collect();
            cedar_policy_core::ast::Entity::clone(Entity::new_no_attrs(node.uid.clone(), ancestors).as_ref())
        };
        let nodes = [entity(&self.principal), entity(&self.resource)];
        let complete = TCComputation::AssumeAlreadyComputed;
        let extensions = Extensions::all_available();
        CoreEntities::from_entities(nodes, None::<&NoEntitiesSchema>, complete, extensions).ok().map(Entities::from)
    }
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn strings<'s>(texts: impl Iterator<Item = &'s String>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.map(|text| string(text)))
}
