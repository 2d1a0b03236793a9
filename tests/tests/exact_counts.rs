//! A URL with 5 uses redeemed 64 at once over two gateways: exactly five 200 (issue 3, section 3.5).

use authly_tests::{
    api::{http, sign_report, through, token},
    dev::Dev,
    replicas::Replica,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn five_uses_over_two_gateways() {
    let dev = Dev::quickstart().await.unwrap();
    let second = Replica::gateway(&dev, "second").await.unwrap();
    let http = http();
    let access = token(&http, &dev.json.token_endpoint, dev.client("shop.billing").unwrap(), &[]).await.unwrap();
    for round in 0..5 {
        let url = sign_report(&http, &dev, &access, json!({"uses": 5})).await.unwrap();
        let ports = [dev.gateway_port, second.port];
        let requests = (0..64).map(|n| through(&http, Method::GET, &url, ports[n % 2]));
        let mut statuses = Vec::new();
        for answer in join_all(requests).await {
            statuses.push(answer.unwrap().status().as_u16());
        }
        let count = |status| statuses.iter().filter(|s| **s == status).count();
        assert_eq!((count(200), count(410)), (5, 59), "round {round}: {statuses:?}");
        // HEAD is free but needs a use left.
        let head = through(&http, Method::HEAD, &url, second.port).await.unwrap();
        assert_eq!(head.status(), 410);
    }
}
