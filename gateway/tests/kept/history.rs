//! One random history: a pool of links, and at each step a few requests, a revocation, time that passes, or an edit.

use std::collections::BTreeSet;

use authly_model::{duration::Seconds, ids::ObjectName, policy::Mode, route::Route};
use authly_signed_url::{Claims, Constraints, HeaderDigest, Host, Methods, Network, UrlId, Who, sign, sign_prefix};
use authly_store::{UrlRevocation, UrlTarget};
use jiff::Timestamp;
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use crate::{
    support::{policy, put_policy, put_route, put_tenant, route, tenant},
    world::{Answer, Asked, World},
};

const ADDRESSES: [&str; 2] = ["10.1.2.3", "192.0.2.7"];
const ORIGINS: [&str; 2] = ["https://app.example", "https://other.example"];
const AGENTS: [&str; 2] = ["player/1", "player/2"];
const BELOW: [&str; 6] = ["seg1.ts", "seg2.ts?t=1", "deep/er.ts", "", "../x", "a&sx-k=1"];
const POLICIES: [&str; 7] = [
    r#"permit (principal, action == Action::"redeem", resource);"#,
    r#"permit (principal, action == Action::"redeem", resource) when { context.method == "GET" };"#,
    r#"permit (principal, action == Action::"redeem", resource) when { context.time < datetime("2100-01-01") };"#,
    r#"permit (principal, action == Action::"redeem", resource)
       when { context has address && context.address.isInRange(ip("10.0.0.0/8")) };"#,
    r#"permit (principal in Client::"shop.billing", action == Action::"redeem", resource);"#,
    r#"permit (principal, action == Action::"redeem", resource) unless { context.path like "*seg2*" };"#,
    r#"permit (principal, action == Action::"redeem", resource);
       forbid (principal, action == Action::"redeem", resource in Route::"shop/reports");"#,
];

/// Two links that differ in their id alone; the target is what another proxy saw, the cookie a token.
struct Link {
    ids: [UrlId; 2],
    targets: [String; 2],
    cookies: Option<[String; 2]>,
    is_token: bool,
}

pub struct History {
    rng: StdRng,
    links: Vec<Link>,
    host: Host,
    /// What the last step did.
    pub last: String,
}

impl History {
    pub fn new(rng: StdRng, world: &World) -> Self {
        Self { rng, links: Vec::new(), host: Host::parse(&world.host).unwrap(), last: String::new() }
    }

    /// Plays one step; what both gateways answered to each request of it.
    pub async fn step(&mut self, world: &World) -> Vec<(Answer, Answer)> {
        if self.links.is_empty() {
            world.configure(vec![put_policy(&policy("reports", POLICIES[0])), put_route(&self.reports(true))]).await;
            self.links = (0..12).map(|kind| self.link(world, kind)).collect();
        }
        match self.rng.random_range(0..100) {
            0..80 => return self.requests(world).await,
            80..86 => self.edit(world).await,
            86..89 => self.revoke(world).await,
            89..92 => {
                let seconds = *[1, 5, 20].choose(&mut self.rng).unwrap();
                self.last = format!("{seconds} s pass");
                world.clock.pass(seconds);
            }
            _ => {
                let kind = self.rng.random_range(0..12);
                let link = self.link(world, kind);
                let place = self.rng.random_range(0..self.links.len());
                self.links[place] = link;
            }
        }
        Vec::new()
    }

    fn link(&mut self, world: &World, kind: usize) -> Link {
        use authly_model::clock::Clock;
        let now = world.clock.unix();
        let lifetime = *[10, 60, 600].choose(&mut self.rng).unwrap() + if kind == 7 { 50 } else { 0 };
        let ids = [0, 1].map(|_| UrlId::new(now, Some([1; 6]), Some([kind as u8 + 1; 6]), self.rng.random()).unwrap());
        let claims = |id| Claims {
            constraints: match kind {
                1 => Constraints { uses: Some(3), ..Constraints::default() },
                2 => Constraints { network: Network::from_cidr("10.0.0.0/8").ok(), ..Constraints::default() },
                3 | 9 => {
                    Constraints { origin: Some(HeaderDigest::of(ORIGINS[0].as_bytes())), ..Constraints::default() }
                }
                4 => Constraints { user_agent: Some(HeaderDigest::of(AGENTS[0].as_bytes())), ..Constraints::default() },
                _ => Constraints::default(),
            },
            methods: if kind == 5 { Methods::new(["GET", "PUT"]).unwrap() } else { Methods::default() },
            who: (kind == 6 || kind == 10).then(|| Who::Client("shop.billing".into())),
            not_before: (kind == 7).then_some(now + 40),
            ..Claims::new(world.kid, id, now + lifetime)
        };
        if kind < 8 {
            let targets = ids.map(|id| sign(&self.host, "/reports/q3.pdf?v=2", &claims(id), &world.key).unwrap());
            return Link { ids, targets: targets.map(|url| url.target().to_owned()), cookies: None, is_token: false };
        }
        let tokens = ids.map(|id| sign_prefix(&self.host, "/reports/42/", &claims(id), &world.key).unwrap());
        let by_cookie = kind == 11;
        let cookies = by_cookie.then(|| tokens.clone().map(|token| token.token().to_owned()));
        let targets = tokens.map(|token| if by_cookie { "/reports/42/".to_owned() } else { token.target() });
        Link { ids, targets, cookies, is_token: true }
    }

    async fn requests(&mut self, world: &World) -> Vec<(Answer, Answer)> {
        let place = self.rng.random_range(0..self.links.len());
        let below = *BELOW.choose(&mut self.rng).unwrap();
        // A wrong path of the length of the right one: then only the signature tells.
        let mangle = self.rng.random_range(0..20);
        let method = *["GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "PUT", "get"].choose(&mut self.rng).unwrap();
        let mut headers =
            vec![("x-forwarded-for", ADDRESSES[usize::from(self.rng.random_range(0..4) == 0)].to_owned())];
        headers.push(("origin", ORIGINS[usize::from(self.rng.random_range(0..4) == 0)].to_owned()));
        headers.push(("user-agent", AGENTS[usize::from(self.rng.random_range(0..4) == 0)].to_owned()));
        let again = self.rng.random_range(2..6);
        let link = &self.links[place];
        let asked = [0, 1].map(|twin| {
            let mut target = link.targets[twin].clone();
            if link.is_token {
                target.push_str(below);
            }
            if mangle == 0 {
                target = target.replacen("/reports/", "/reportz/", 1).replacen("/42/", "/43/", 1);
            } else if mangle == 1 {
                target = target.replacen("/42/", "/43/", 1).replacen("q3", "q4", 1);
            } else if mangle == 2 {
                let last = target.pop().map_or('A', |last| if last == 'A' { 'Q' } else { 'A' });
                target.push(last);
            }
            let mut headers = headers.clone();
            headers.extend(link.cookies.as_ref().map(|tokens| ("cookie", format!("a=b; __Host-sx={}", tokens[twin]))));
            Asked { method, target, headers }
        });
        self.last = format!("{asked:?}");
        let mut answers = Vec::new();
        for _ in 0..again {
            answers.push((world.ask(0, &asked[0]).await, world.ask(1, &asked[1]).await));
        }
        // What a backend gets holds no id, so the twins' answers are the same.
        answers
    }

    async fn edit(&mut self, world: &World) {
        let mut spec = tenant("default", world.host.split('.').nth(1).unwrap());
        let change = match self.rng.random_range(0..10) {
            0 | 1 => {
                spec.suspended = self.rng.random_range(0..5) == 0;
                put_tenant(&spec)
            }
            2..4 => {
                let usual = self.rng.random();
                put_route(&self.reports(usual))
            }
            number => {
                let mut edited = policy("reports", POLICIES.choose(&mut self.rng).unwrap());
                if number == 4 {
                    edited.mode = Mode::Shadow;
                    edited.object = ObjectName::new("shop", "shadow");
                }
                put_policy(&edited)
            }
        };
        self.last = format!("{change:?}");
        world.configure(vec![change]).await;
    }

    fn reports(&mut self, usual: bool) -> Route {
        let mut reports = route("reports", self.host.as_str(), "/reports/");
        if !usual {
            reports.max_ttl = Seconds(*[30, 300, 86_400].choose(&mut self.rng).unwrap());
            reports.methods = BTreeSet::from(["GET".to_owned(), "PUT".to_owned()]);
            if self.rng.random_range(0..4) == 0 {
                reports.path_prefix = "/reports/42/".to_owned();
            }
        }
        reports
    }

    async fn revoke(&mut self, world: &World) {
        use authly_model::clock::Clock;
        let now = world.clock.unix();
        let expires_at = Timestamp::from_second(now + 7 * 86_400).unwrap();
        let link = self.links.choose(&mut self.rng).unwrap();
        let targets = match self.rng.random_range(0..16) {
            0..13 => link.ids.map(|id| UrlTarget::Id(id.to_bytes())).to_vec(),
            13 => vec![UrlTarget::Client(link.ids[0].client)],
            14 => vec![UrlTarget::Route(ObjectName::new("shop", "reports"))],
            _ => vec![UrlTarget::Key(world.kid.to_string())],
        };
        self.last = format!("{targets:?}");
        for target in targets {
            world.revoke(UrlRevocation { target, before: now + 1, expires_at }).await;
        }
    }
}
