//! The time of a failed client authentication does not tell an unknown client from a wrong secret (oauth.md, account enumeration by timing).
//!
//! Pairs of requests are sent interleaved, in random order. The measure is the probability that a random answer for an unknown client
//! comes later than a random one for a known client: one half if time tells nothing. Without the padding it is 0.88.
#![allow(clippy::disallowed_methods)] // tests read the ambient clock

use std::time::{Duration, Instant};

use authly_model::clock::{Clock, SystemClock};
use authly_secrets::ClientSecret;
use authly_tests::{
    api::{http, token},
    dev::{Dev, repository},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{StreamExt, stream};
use reqwest::Client;
use serde_json::json;
use uuid::Uuid;

const KEY_CLIENT: &str = "apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {name: reporter, namespace: shop}
spec:
  tenantRef: {name: acme}
  type: Service
  authMethod: PrivateKeyJwt
  jwks:
    keys:
    - {kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, kid: k, alg: EdDSA, use: sig}
";

/// How far from one half the probability may be. Its standard deviation is 0.020 with 400 of each, so chance fails one run in a million.
const TOLERANCE: f64 = 0.1;
const SAMPLES: usize = 400;
const CONCURRENT: usize = 6;

fn unknown() -> String {
    format!("shop.{}", Uuid::new_v4().simple())
}

/// An assertion of this client with a signature of nobody.
fn assertion(client_id: &str, issuer: &str) -> String {
    let now = SystemClock.unix();
    let claims = json!({"iss": client_id, "sub": client_id, "aud": issuer, "exp": now + 60, "jti": Uuid::new_v4()});
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!(
        "{}.{}.{}",
        encode(br#"{"alg":"EdDSA","kid":"k"}"#),
        encode(claims.to_string().as_bytes()),
        encode(&[7; 64])
    )
}

/// How long a refusal of this form takes.
async fn refused(http: &Client, endpoint: &str, form: &[(&str, String)]) -> Duration {
    let start = Instant::now();
    let answer = http.post(endpoint).form(form).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    start.elapsed()
}

/// The probability that a random one of `left` is longer than a random one of `right`.
fn longer(left: &[Duration], right: &[Duration]) -> f64 {
    let beats = |l: &Duration| {
        right
            .iter()
            .map(|r| {
                if l > r {
                    1.0
                } else if l == r {
                    0.5
                } else {
                    0.0
                }
            })
            .sum::<f64>()
    };
    left.iter().map(beats).sum::<f64>() / (left.len() * right.len()) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_client_and_a_wrong_secret() {
    let dev = Dev::start(&repository().join("examples/quickstart"), &[("reporter.yaml", KEY_CLIENT)]).await.unwrap();
    let (http, endpoint) = (http(), dev.json.token_endpoint.as_str());
    let client = dev.client("shop.billing").unwrap();
    // Known clients are in memory, as those in use are.
    let mut best = Duration::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        token(&http, endpoint, client, &[]).await.unwrap();
        best = best.min(start.elapsed());
    }
    println!("the quickest success took {best:?}");
    assert!(best < Duration::from_millis(50), "success waits for nothing");

    let secret = |client_id: String| {
        let secret = ClientSecret::generate().unwrap().expose().to_owned();
        vec![("client_id", client_id), ("client_secret", secret), ("grant_type", "client_credentials".to_owned())]
    };
    let issuer = dev.json.issuer.as_str();
    let asserted = |client_id: String| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned();
        vec![("client_assertion_type", kind), ("client_assertion", assertion(&client_id, issuer))]
    };
    type Form<'f> = &'f (dyn Fn(String) -> Vec<(&'static str, String)> + Sync);
    let pairs: [(&str, &str, Form<'_>); 3] = [
        ("a wrong secret", "shop.billing", &secret),
        ("a secret of a client that has a key", "shop.reporter", &secret),
        ("a wrong assertion", "shop.reporter", &asserted),
    ];
    for (name, known, form) in pairs {
        let sample = |_| {
            let http = &http;
            async move {
                let (first, second) = (form(unknown()), form(known.to_owned()));
                // The order is random, so that neither gains by the other's warmth.
                if Uuid::new_v4().as_bytes()[0] < 128 {
                    (refused(http, endpoint, &first).await, refused(http, endpoint, &second).await)
                } else {
                    let second = refused(http, endpoint, &second).await;
                    (refused(http, endpoint, &first).await, second)
                }
            }
        };
        let pairs: Vec<(Duration, Duration)> =
            stream::iter(0..SAMPLES).map(sample).buffer_unordered(CONCURRENT).collect().await;
        let (unknown, known): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let probability = longer(&unknown, &known);
        println!("{name}: an unknown client takes longer with probability {probability:.3}");
        assert!((probability - 0.5).abs() <= TOLERANCE, "{name}: {probability:.3}");
    }
}
