//! PostgreSQL away (issue 4, section 1.3): the table "When things break" of the design, with its time limits, while connections
//! are cut and while they hang: what goes on goes on, `High` routes stop after a second, introspection after thirty, everything
//! else is refused at once with Retry-After; nothing hangs, no token is called inactive, and all of it comes back without a
//! restart. `other_parts_away.rs` has the other rows.
//!
//! `AUTHLY_LONG=1` waits for the fifteen minutes after which uncounted redemption ends, too.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use authly_tests::{
    api::{http, reason, through, token},
    database,
    dev::{Dev, DevClient, repository},
    is_long,
    process::eventually,
    replicas::Replica,
    slow::Slow,
};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
/// The limit of each kind of answer, from the moment at which PostgreSQL goes away.
const HIGH: Duration = SECOND;
const INTROSPECTION: Duration = Duration::from_secs(30);
const UNCOUNTED: Duration = Duration::from_secs(15 * 60);
/// No answer may take longer, whatever hangs: the two seconds that an event may wait for its commit, and the machine.
const LONGEST: Duration = Duration::from_secs(4);

/// A route whose revocation is `High`, and its policy.
const ROUTE: &str = include_str!("postgres_away/high.yaml");

/// A server and a gateway, and what was issued before PostgreSQL went away.
struct Pair {
    name: &'static str,
    http: Client,
    host: String,
    client: DevClient,
    server: Replica,
    gateway: Replica,
    access: String,
    uncounted: String,
    high: String,
    counted: String,
}

/// What a watch saw.
#[derive(Debug, Default)]
struct Seen {
    rounds: u32,
    /// The last time that it was still granted, and the slowest answer.
    high: Duration,
    introspection: Duration,
    slowest: Duration,
}

impl Pair {
    async fn start(dev: &Dev, name: &'static str, port: u16) -> Self {
        let [server, gateway] = Replica::pair_behind(dev, name, port).await.unwrap();
        let (http, client) = (http(), dev.client("shop.billing").unwrap().clone());
        let access = token(&http, &dev.json.token_endpoint, &client, &[]).await.unwrap();
        let host = format!("localhost:{}", dev.server_port);
        let mut this = Self {
            name,
            http,
            host,
            client,
            server,
            gateway,
            access,
            uncounted: String::new(),
            high: String::new(),
            counted: String::new(),
        };
        this.uncounted = this.signed("reports", json!({})).await.unwrap();
        this.high = this.signed("high", json!({})).await.unwrap();
        this.counted = this.signed("reports", json!({"uses": 100})).await.unwrap();
        this
    }

    /// A request to the tenant's server.
    fn server(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://127.0.0.1:{}{path}", self.server.port);
        self.http.request(method, url).header("host", &self.host)
    }

    fn form(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let request = self.server(Method::POST, &format!("/t/acme/{path}"));
        request.basic_auth(&self.client.client_id, self.client.client_secret.as_deref()).form(form)
    }

    fn sign(&self, route: &str, constraints: Value) -> RequestBuilder {
        let path = format!("/{route}/q3.pdf");
        let body =
            json!({"route": format!("shop/{route}"), "path": path, "expires_in": 3600, "constraints": constraints});
        self.server(Method::POST, "/t/acme/v1/signed-urls").bearer_auth(&self.access).json(&body)
    }

    async fn signed(&self, route: &str, constraints: Value) -> anyhow::Result<String> {
        let answer = self.sign(route, constraints).send().await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        ensure!(status == 201, "{status}: {answer}");
        Ok(answer["url"].as_str().context("url")?.to_owned())
    }

    async fn redeem(&self, url: &str) -> Response {
        through(&self.http, Method::GET, url, self.gateway.port).await.unwrap()
    }

    /// Whether the token is called active; `None` is 503.
    async fn introspect(&self) -> Option<bool> {
        let answer = self.form("introspect", &[("token", &self.access)]).send().await.unwrap();
        if answer.status() == 503 {
            refused(&answer, "introspection");
            return None;
        }
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        Some(answer["active"].as_bool().unwrap())
    }

    /// Everything works, as seen from outside.
    async fn works(&self) -> anyhow::Result<()> {
        let answer = self.form("token", &[("grant_type", "client_credentials")]).send().await?;
        ensure!(answer.status() == 200, "token: {}", answer.status());
        self.signed("reports", json!({})).await?;
        for url in [&self.uncounted, &self.high, &self.counted] {
            let answer = self.redeem(url).await;
            ensure!(answer.status() == 200, "{url}: {:?}", reason(&answer));
        }
        ensure!(self.introspect().await == Some(true), "introspection");
        Ok(())
    }

    /// Asks for everything again and again, and holds each answer to what it may be by then.
    async fn watch(&self, away: Instant, until: Duration) -> Seen {
        let (mut seen, mut refusals) = (Seen::default(), Seen::default());
        let pause = || tokio::time::sleep(Duration::from_millis(if away.elapsed() < 35 * SECOND { 100 } else { 5000 }));
        let going_on = async {
            while away.elapsed() < until {
                seen.rounds += 1;
                self.goes_on(away, &mut seen).await;
                pause().await;
            }
        };
        let refused = async {
            while away.elapsed() < until {
                self.is_refused(away, &mut refusals).await;
                pause().await;
            }
        };
        tokio::join!(going_on, refused);
        Seen { slowest: seen.slowest.max(refusals.slowest), ..seen }
    }

    async fn goes_on(&self, away: Instant, seen: &mut Seen) {
        let (name, began) = (self.name, away.elapsed());
        let answer = self.timed(seen, self.redeem(&self.uncounted)).await;
        assert_eq!(answer.status(), 200, "{name}: uncounted after {began:?}: {:?}", reason(&answer));
        let began = away.elapsed();
        let answer = self.timed(seen, self.redeem(&self.high)).await;
        match answer.status().as_u16() {
            200 => {
                assert!(began <= HIGH, "{name}: a High route still answers after {began:?}");
                seen.high = began;
            }
            _ => refused(&answer, "High"),
        }
        let began = away.elapsed();
        match self.timed(seen, self.introspect()).await {
            Some(active) => {
                assert!(active, "{name}: a good token is called inactive after {began:?}");
                assert!(began <= INTROSPECTION, "{name}: introspection still answers after {began:?}");
                seen.introspection = began;
            }
            // What it knows was current within the last seconds.
            None => assert!(began + 5 * SECOND > INTROSPECTION, "{name}: introspection ended after {began:?}"),
        }
        for path in ["/t/acme/jwks.json", "/t/acme/sx/jwks.json", "/.well-known/oauth-authorization-server/t/acme"] {
            let answer = self.timed(seen, self.server(Method::GET, path).send()).await.unwrap();
            assert_eq!(answer.status(), 200, "{name}: {path} after {began:?}");
        }
    }

    async fn is_refused(&self, away: Instant, seen: &mut Seen) {
        let answer = self.timed(seen, self.redeem(&self.counted)).await;
        refused(&answer, "a counted URL");
        let revocation = json!({"client": self.client.client_id});
        for (what, request) in [
            ("token", self.form("token", &[("grant_type", "client_credentials")])),
            ("sign", self.sign("reports", json!({}))),
            ("revoke", self.form("revoke", &[("token", &self.access)])),
            (
                "revoke URLs",
                self.server(Method::POST, "/t/acme/v1/signed-urls/revoke").bearer_auth(&self.access).json(&revocation),
            ),
            // A client that is not known here may exist.
            (
                "another client",
                self.server(Method::POST, "/t/acme/token")
                    .basic_auth("shop.other", Some("x"))
                    .form(&[("grant_type", "client_credentials")]),
            ),
        ] {
            let began = Instant::now();
            let answer = self.timed(seen, request.send()).await.unwrap();
            refused(&answer, what);
            // Once it is known, at once.
            if away.elapsed() > 6 * SECOND {
                assert!(began.elapsed() < SECOND, "{}: {what} took {:?}", self.name, began.elapsed());
            }
        }
    }

    async fn timed<T>(&self, seen: &mut Seen, request: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = tokio::time::timeout(LONGEST, request).await;
        seen.slowest = seen.slowest.max(began.elapsed());
        answer.unwrap_or_else(|_| panic!("{}: an answer took longer than {LONGEST:?}", self.name))
    }
}

/// 503 with the time after which to try again.
fn refused(answer: &Response, what: &str) {
    assert_eq!(answer.status(), 503, "{what}");
    let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    assert!(after.is_some_and(|after| after.parse::<u32>().is_ok()), "{what}: Retry-After is {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_and_what_is_refused_while_postgresql_is_away() {
    let long = is_long();
    let dev = Dev::start(&repository().join("examples/quickstart"), &[("60-high.yaml", ROUTE)]).await.unwrap();
    std::fs::create_dir_all(dev.data.join("files/high")).unwrap();
    std::fs::write(dev.data.join("files/high/q3.pdf"), "%PDF-1.4 sample").unwrap();
    let postgres = url::Url::parse(database::server_url().await.unwrap()).unwrap().port().unwrap();
    let (closed, hanging) = (Slow::before(postgres).await.unwrap(), Slow::before(postgres).await.unwrap());
    let mut pairs = [Pair::start(&dev, "cut", closed.port).await, Pair::start(&dev, "hanging", hanging.port).await];
    for pair in &pairs {
        eventually("everything works", 30 * SECOND, || pair.works()).await.unwrap();
    }

    let away = Instant::now();
    closed.cut();
    hanging.freeze(true);
    let until = if long { UNCOUNTED } else { INTROSPECTION + 2 * SECOND };
    let seen = tokio::join!(pairs[0].watch(away, until - SECOND), pairs[1].watch(away, until - SECOND));
    for (pair, seen) in pairs.iter().zip([seen.0, seen.1]) {
        println!(
            "{}: High until {:.1} s, introspection until {:.1} s, slowest answer {:.2} s, {} rounds",
            pair.name,
            seen.high.as_secs_f64(),
            seen.introspection.as_secs_f64(),
            seen.slowest.as_secs_f64(),
            seen.rounds
        );
    }
    // Asked for certain, however few rounds a busy machine left after the limit.
    tokio::time::sleep_until((away + INTROSPECTION + SECOND).into()).await;
    for pair in &pairs {
        let mut seen = Seen::default();
        assert_eq!(pair.timed(&mut seen, pair.introspect()).await, None, "{}: introspection has ended", pair.name);
        refused(&pair.timed(&mut seen, pair.redeem(&pair.high)).await, "High");
    }
    if long {
        tokio::time::sleep_until((away + UNCOUNTED + SECOND).into()).await;
        for pair in &pairs {
            refused(&pair.redeem(&pair.uncounted).await, "uncounted after 15 minutes");
        }
    }

    let mended = Instant::now();
    closed.mend();
    hanging.freeze(false);
    for pair in &mut pairs {
        eventually("everything works again", 60 * SECOND, || pair.works()).await.unwrap();
        pair.server.process.check().unwrap();
        pair.gateway.process.check().unwrap();
        println!("{}: everything works again {:.1} s after", pair.name, mended.elapsed().as_secs_f64());
        // And a revocation means something again.
        let revoked = pair.form("revoke", &[("token", &pair.access)]).send().await.unwrap();
        assert_eq!(revoked.status(), 200);
        eventually("the token is inactive", 10 * SECOND, || async {
            ensure!(pair.introspect().await == Some(false), "it is not yet");
            Ok(())
        })
        .await
        .unwrap();
    }
}
