//! One request judged and signed, for the endpoints that sign. Pure but for the random id: what it answers is handed out only
//! after its record is durable, which is the endpoints' affair.

use std::sync::Arc;

use authly_model::{audit::EventKind, ids::ObjectName, route::Route};
use authly_policies::{Decision, Request, Sign, WhoRef};
use authly_runtime::problem::Problem;
use authly_secrets::random;
use authly_signed_url::{COOKIE_NAME, Claims, UrlId, Who, sign as sign_url, sign_prefix};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::spec::{self, ConstraintsRequest, SignRequest, Spec};
use crate::{
    api::{self, problem},
    app::App,
    bearer::Caller,
    keyring::Keyring,
};

/// A signed URL.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SignResponse {
    /// The URL. Of a prefix: the URL of the folder, to which names are appended.
    url: String,
    /// Only of a prefix: a `Set-Cookie` value for the URL's host, in place of the token in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<String>,
    /// Its id, for revocation and usage.
    id: String,
    /// When it stops working.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// The methods that it is good for.
    methods: Vec<String>,
    /// The constraints, as asked.
    constraints: ConstraintsRequest,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Issued {
    /// It is signed.
    Signed(Box<SignResponse>, Value),
    /// A policy denied it.
    Denied(Problem, Value),
    /// It is not what can be signed; no policy was asked.
    Invalid(Problem),
}

impl Issued {
    /// The event that must be durable before the answer is given.
    pub(crate) fn take_event(&mut self) -> Option<(EventKind, Value)> {
        match self {
            Self::Signed(_, record) => Some((EventKind::UrlSigned, record.take())),
            Self::Denied(_, record) => Some((EventKind::UrlDenied, record.take())),
            Self::Invalid(_) => None,
        }
    }
}

/// Signs for one caller.
pub(crate) struct Issuer<'a> {
    app: &'a App,
    caller: &'a Caller,
    keyring: Arc<Keyring>,
}

impl<'a> Issuer<'a> {
    /// With the tenant's keys at hand.
    pub(crate) async fn of(app: &'a App, caller: &'a Caller) -> Result<Self, Problem> {
        let keyring = app.keyring(&caller.tenanted).await.map_err(|_| api::unavailable())?;
        Ok(Self { app, caller, keyring })
    }

    /// Judges and signs.
    pub(crate) fn issue(&self, request: &SignRequest) -> Issued {
        self.try_issue(request).unwrap_or_else(|refused| refused)
    }

    fn try_issue(&self, request: &SignRequest) -> Result<Issued, Issued> {
        let now = self.app.clock.unix();
        let route = find_route(self.caller, &request.route).map_err(Issued::Invalid)?;
        let spec = Spec::check(request, &route, now).map_err(Issued::Invalid)?;
        // For seconds after a restore a counted URL would be refused as one of the time before it.
        if spec.constraints.uses.is_some() && now < self.caller.tenanted.live().store_epoch {
            return Err(Issued::Invalid(api::unavailable()));
        }
        let decisions = self.authorise(&route, request, &spec)?;
        let (answer, record) = self.sign(request, spec, now, &decisions).map_err(Issued::Invalid)?;
        Ok(Issued::Signed(Box::new(answer), record))
    }

    /// `sign`, and `signAs` where the URL is meant for somebody else.
    fn authorise(
        &self,
        route: &Route,
        request: &SignRequest,
        spec: &Spec<'_>,
    ) -> Result<Vec<(&'static str, Decision)>, Issued> {
        let client = &self.caller.live.client;
        let sign = Sign {
            signer: WhoRef::Client(&client.client_id),
            route: &route.object,
            host: spec.host.as_str(),
            path: spec.asked.path(),
            is_prefix: spec.asked.is_prefix(),
            methods: &spec.method_names,
            expires_in: spec.expires_in,
            for_: request.for_.as_deref().and_then(WhoRef::parse),
            uses: spec.constraints.uses.map(i64::from),
        };
        let policies = self.caller.tenanted.live().policies();
        let mut decisions = vec![("sign", policies.decide(&Request::sign(&sign)))];
        if spec.is_for_another(client) {
            decisions.push(("signAs", policies.decide(&Request::sign_as(&sign))));
        }
        let Some((action, denied)) = decisions.iter().find(|(_, decision)| !decision.allow) else {
            return Ok(decisions);
        };
        let record = json!({
            "client_id": client.client_id, "route": request.route, "path": spec.asked.path(),
            "prefix": spec.asked.is_prefix(), "for": request.for_, "action": action,
            "policies": api::named(&denied.policies), "shadow": shadow(&decisions),
        });
        Err(Issued::Denied(api::policy_denied(action, &denied.policies), record))
    }

    fn sign(
        &self,
        request: &SignRequest,
        spec: Spec<'_>,
        now: i64,
        decisions: &[(&'static str, Decision)],
    ) -> Result<(SignResponse, Value), Problem> {
        let subject = spec.who.as_ref().map(|who| match who {
            Who::Client(id) => self.keyring.client_tag(id),
            Who::User(id) => self.keyring.user_tag(id),
        });
        let client_id = &self.caller.live.client.client_id;
        let random = random::bytes().map_err(|_| api::internal())?;
        let id = UrlId::new(now, subject, Some(self.keyring.client_tag(client_id)), random);
        let id = id.map_err(|_| api::internal())?;
        let key = self.keyring.url_key().map_err(|_| api::unavailable())?;
        let expires_at = now + spec.expires_in;
        let claims = Claims {
            not_before: spec.not_before,
            methods: spec.methods.clone(),
            who: spec.who.clone(),
            constraints: spec.constraints.clone(),
            ..Claims::new(key.kid, id, expires_at)
        };
        let (url, cookie) = match spec.asked.is_prefix() {
            false => (sign_url(&spec.host, &spec.target, &claims, &key.key).map(|signed| signed.url(true)), None),
            true => {
                let token = sign_prefix(&spec.host, &spec.target, &claims, &key.key);
                let cookie = token.as_ref().ok().map(|token| cookie(token.token(), spec.expires_in));
                (token.map(|token| token.url(true)), cookie)
            }
        };
        let record = json!({
            "client_id": client_id, "id": id.to_string(), "route": request.route, "path": spec.asked.path(),
            "prefix": spec.asked.is_prefix(), "host": spec.host.as_str(), "exp": expires_at,
            "methods": spec.method_names, "for": request.for_, "constraints": request.constraints,
            "shadow": shadow(decisions),
        });
        let answer = SignResponse {
            url: url.map_err(|refusal| spec::refused("path", refusal))?,
            cookie,
            id: id.to_string(),
            expires_at: Timestamp::from_second(expires_at).map_err(|_| api::internal())?,
            methods: spec.method_names,
            constraints: request.constraints.clone(),
        };
        Ok((answer, record))
    }
}

/// `__Host-` asks for these attributes (RFC 6265bis section 4.1.3.2).
fn cookie(token: &str, seconds: i64) -> String {
    format!("{COOKIE_NAME}={token}; Max-Age={seconds}; Path=/; Secure; HttpOnly")
}

fn find_route(caller: &Caller, id: &str) -> Result<Arc<Route>, Problem> {
    let not_found = || {
        let detail = "the tenant has no such route: write <namespace>/<name> of a SignedUrlRoute that is Ready";
        problem(StatusCode::NOT_FOUND, "route_not_found", detail)
    };
    let (namespace, name) = id.split_once('/').ok_or_else(not_found)?;
    caller.tenanted.live().route_named(&ObjectName::new(namespace, name)).cloned().ok_or_else(not_found)
}

/// What Shadow policies would have decided otherwise, for the audit record.
fn shadow(decisions: &[(&'static str, Decision)]) -> Vec<Value> {
    let differing = decisions.iter().flat_map(|(action, decision)| {
        let other = decision.shadow.iter().filter(move |shadow| shadow.allow != decision.allow);
        other.map(move |shadow| json!({"action": action, "policy": shadow.object, "allow": shadow.allow}))
    });
    differing.take(8).collect()
}
