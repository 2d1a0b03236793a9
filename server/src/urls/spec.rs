//! From a signing request to what will be signed: every member checked against the route, with the reason and the
//! member's name. Pure.

use authly_model::{
    client::Client,
    route::{MAX_TTL, Route},
};
use authly_runtime::problem::Problem;
use authly_signed_url::{Constraints, HeaderDigest, Host, Methods, Network, Refusal, Target, Who};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::api::{self, problem};

/// What a client asks to be signed. Only `route` and one of `path` and `prefix` are required.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignRequest {
    /// `<namespace>/<name>` of a SignedUrlRoute.
    pub(crate) route: String,
    /// The path, under the route's prefix, as it will stand in the URL.
    path: Option<String>,
    /// In place of `path`: a folder, ending with a slash, for a token that is good for everything below it.
    prefix: Option<String>,
    /// The query, without `?`; signed verbatim. Not with `prefix`.
    query: Option<String>,
    /// One of the route's hosts; needed where it has several.
    host: Option<String>,
    /// GET without it; GET always brings HEAD.
    methods: Option<Vec<String>>,
    /// Seconds; the route's default without it.
    expires_in: Option<i64>,
    /// Unix seconds.
    not_before: Option<i64>,
    /// For whom: `c.<client id>` or `u.<user id>`.
    #[serde(rename = "for")]
    pub(crate) for_: Option<String>,
    /// `native`.
    format: Option<String>,
    /// What must hold at redemption.
    #[serde(default)]
    pub(crate) constraints: ConstraintsRequest,
}

/// Constraints as asked. What the edge does not enforce is refused.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConstraintsRequest {
    /// How many redemptions, 1 to 1,000,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uses: Option<u32>,
    /// The client's network, such as `10.1.0.0/16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    /// Not enforced by this edge yet: refused.
    #[serde(skip_serializing)]
    #[schema(value_type = Option<String>)]
    rate: Option<serde_json::Value>,
    /// Not enforced by this edge yet: refused.
    #[serde(skip_serializing)]
    #[schema(value_type = Option<i64>)]
    concurrent: Option<serde_json::Value>,
    /// The `Origin` header of every request, such as `https://app.acme.example`.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// The `User-Agent` header of every request, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

/// What will be signed: one canonical text, which is also what policies judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// One path, with a query or without.
    Path(&'a str, Option<&'a str>),
    /// Everything below a path that ends with a slash.
    Prefix(&'a str),
}

impl<'a> Asked<'a> {
    /// The path, or the prefix.
    pub(crate) const fn path(self) -> &'a str {
        match self {
            Self::Path(path, _) | Self::Prefix(path) => path,
        }
    }

    /// Whether it is a prefix.
    pub(crate) const fn is_prefix(self) -> bool {
        matches!(self, Self::Prefix(_))
    }

    fn of(request: &'a SignRequest) -> Result<Self, Problem> {
        match (&request.path, &request.prefix, &request.query) {
            (Some(path), None, query) => Ok(Self::Path(path, query.as_deref())),
            (None, Some(prefix), None) => Ok(Self::Prefix(prefix)),
            (None, Some(_), Some(_)) => Err(api::invalid("query: a prefix has none; leave it out")),
            _ => Err(api::invalid("name exactly one of path and prefix")),
        }
    }

    /// The target, if it is canonical, below the route's prefix, and nothing but path and query.
    fn target(self, route: &Route) -> Result<String, Problem> {
        let member = if self.is_prefix() { "prefix" } else { "path" };
        if !self.path().starts_with(&route.path_prefix) {
            return Err(api::invalid(format!("{member} must start with the route's prefix {}", route.path_prefix)));
        }
        let target = match self {
            Self::Path(path, Some(query)) => format!("{path}?{query}"),
            Self::Path(path, None) | Self::Prefix(path) => path.to_owned(),
        };
        // What policies judge must be what is signed: one canonical path, the query apart.
        let parsed = Target::parse(&target).map_err(|refusal| refused(member, refusal))?;
        let query = if let Self::Path(_, query) = self { query } else { None };
        if parsed.path() != self.path() || parsed.query() != query {
            let detail = format!("{member} must hold no `?`: give the query of a path in the member query, not empty");
            return Err(api::invalid(detail));
        }
        if self.is_prefix() && !target.ends_with('/') {
            return Err(api::invalid("prefix must end with a slash: it names a folder"));
        }
        Ok(target)
    }
}

/// A request that fits the route.
#[derive(Debug)]
pub(crate) struct Spec<'a> {
    /// The host.
    pub(crate) host: Host,
    /// What is asked for.
    pub(crate) asked: Asked<'a>,
    /// Path and query, or the prefix.
    pub(crate) target: String,
    /// Methods as signed.
    pub(crate) methods: Methods<'static>,
    /// Every method that the URL will be good for.
    pub(crate) method_names: Vec<String>,
    /// Seconds until expiry.
    pub(crate) expires_in: i64,
    /// Unix seconds.
    pub(crate) not_before: Option<i64>,
    /// For whom.
    pub(crate) who: Option<Who<'a>>,
    /// Constraints as signed.
    pub(crate) constraints: Constraints<'static>,
}

impl<'a> Spec<'a> {
    /// Checks the request against the route.
    pub(crate) fn check(request: &'a SignRequest, route: &Route, now: i64) -> Result<Self, Problem> {
        if request.format.as_deref().is_some_and(|format| format != "native") {
            return Err(api::invalid("format must be native: the route's edge has no other"));
        }
        let asked = Asked::of(request)?;
        let target = asked.target(route)?;
        let (methods, method_names) = methods(request, route)?;
        Ok(Self {
            host: host(request, route)?,
            asked,
            target,
            methods,
            method_names,
            expires_in: expires_in(request, route)?,
            not_before: not_before(request, now)?,
            who: request.for_.as_deref().map(Who::parse).transpose().map_err(|refusal| refused("for", refusal))?,
            constraints: constraints(&request.constraints, asked)?,
        })
    }

    /// Whether the URL is meant for somebody else than the client that signs it.
    pub(crate) fn is_for_another(&self, client: &Client) -> bool {
        self.who.as_ref().is_some_and(|who| *who != Who::Client(client.client_id.as_str().into()))
    }
}

/// A refusal of the format, with the member that caused it.
pub(crate) fn refused(member: &str, refusal: Refusal) -> Problem {
    problem(StatusCode::BAD_REQUEST, refusal.reason(), format!("{member}: {}", refusal.detail()))
}

fn host(request: &SignRequest, route: &Route) -> Result<Host, Problem> {
    let mut hosts = route.hosts.iter();
    let host = match (&request.host, hosts.next(), hosts.next()) {
        (Some(host), ..) if route.hosts.contains(host) => host,
        (None, Some(only), None) => only,
        _ => {
            let hosts: Vec<&str> = route.hosts.iter().map(String::as_str).collect();
            return Err(api::invalid(format!("host must be one of the route's: {}", hosts.join(", "))));
        }
    };
    Host::parse(host).map_err(|refusal| refused("host", refusal))
}

fn methods(request: &SignRequest, route: &Route) -> Result<(Methods<'static>, Vec<String>), Problem> {
    let asked = match &request.methods {
        Some(methods) => methods.clone(),
        None if route.methods.contains("GET") => vec!["GET".to_owned()],
        None => return Err(api::invalid("methods is required: the route does not allow GET")),
    };
    let allowed =
        |method: &String| route.methods.contains(method) || (method == "HEAD" && route.methods.contains("GET"));
    if asked.is_empty() || asked.len() > 16 || !asked.iter().all(allowed) {
        let methods: Vec<&str> = route.methods.iter().map(String::as_str).collect();
        return Err(api::invalid(format!("methods must be some of the route's: {}", methods.join(", "))));
    }
    let signed = Methods::new(asked.iter().map(String::as_str)).map_err(|refusal| refused("methods", refusal))?;
    let names = signed.iter().map(str::to_owned).collect();
    Ok((signed, names))
}

fn expires_in(request: &SignRequest, route: &Route) -> Result<i64, Problem> {
    let longest = route.max_ttl.0.min(MAX_TTL.0);
    let seconds = request.expires_in.unwrap_or(route.default_ttl.0.min(longest));
    if (1..=longest).contains(&seconds) {
        return Ok(seconds);
    }
    Err(api::invalid(format!("expires_in must be 1 to {longest} seconds, the maxTtl of the route")))
}

fn not_before(request: &SignRequest, now: i64) -> Result<Option<i64>, Problem> {
    match request.not_before {
        Some(time) if !(now - 86_400..=now + MAX_TTL.0).contains(&time) => {
            Err(api::invalid("not_before must be Unix seconds, at most a day ago and at most 7 days ahead"))
        }
        time => Ok(time),
    }
}

/// The longest `User-Agent` that can be asked for.
const MAX_USER_AGENT: usize = 1024;

fn constraints(asked: &ConstraintsRequest, of: Asked<'_>) -> Result<Constraints<'static>, Problem> {
    let unsupported = [("rate", asked.rate.is_some()), ("concurrent", asked.concurrent.is_some())];
    if let Some((name, _)) = unsupported.into_iter().find(|(_, given)| *given) {
        return Err(unsupported_by_edge(name, "the native edge enforces uses, network, origin and user_agent only"));
    }
    if asked.uses.is_some() && of.is_prefix() {
        return Err(unsupported_by_edge("uses", "a prefix cannot be counted: sign its files one by one"));
    }
    if asked.uses.is_some_and(|uses| !(1..=authly_signed_url::MAX_USES).contains(&uses)) {
        return Err(api::invalid("constraints.uses must be 1 to 1,000,000"));
    }
    if asked.origin.as_deref().is_some_and(|origin| !is_origin(origin)) {
        let detail =
            "constraints.origin must be as browsers send it: https://app.example, without path or default port";
        return Err(api::invalid(detail));
    }
    let sendable = |text: &str| {
        (1..=MAX_USER_AGENT).contains(&text.len())
            && text.trim() == text
            && text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
    };
    if !asked.user_agent.as_deref().is_none_or(sendable) {
        let detail = format!("constraints.user_agent must be 1 to {MAX_USER_AGENT} printable ASCII characters");
        return Err(api::invalid(detail));
    }
    let network = asked.network.as_deref().map(Network::from_cidr).transpose();
    let digest = |text: &Option<String>| text.as_ref().map(|text| HeaderDigest::of(text.as_bytes()));
    Ok(Constraints {
        uses: asked.uses,
        network: network.map_err(|refusal| refused("constraints.network", refusal))?,
        origin: digest(&asked.origin),
        user_agent: digest(&asked.user_agent),
        ..Constraints::default()
    })
}

fn unsupported_by_edge(name: &str, why: &str) -> Problem {
    problem(StatusCode::BAD_REQUEST, "constraint_unsupported_by_edge", format!("constraints.{name}: {why}"))
}

/// Whether it is an origin in its one serialisation (RFC 6454 section 6.2); another one would never match.
fn is_origin(text: &str) -> bool {
    let parsed = url::Url::parse(text).map(|url| url.origin());
    text.len() <= 300 && parsed.is_ok_and(|origin| origin.is_tuple() && origin.ascii_serialization() == text)
}
