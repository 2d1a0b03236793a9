//! The management listener.
#![allow(clippy::unwrap_used, missing_docs)] // helpers of tests

use authly_runtime::{Health, Metrics, management};
use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

async fn get(router: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_is_apart_from_health() {
    let (health, metrics) = (Health::new(), Metrics::new());
    let store = health.condition("store");
    health.check("snapshot", || true);
    metrics.counter("tokens", "Tokens").inc();
    let router = management::router(health.clone(), metrics);
    assert_eq!(get(&router, "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    let (status, body) = get(&router, "/readyz").await;
    assert_eq!(status, 503);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"conditions": {"running": true, "snapshot": true, "store": false}, "ready": false})
    );
    store.set(true);
    assert_eq!(get(&router, "/readyz").await.0, 200);
    assert!(health.is_ready());
    health.stop();
    assert_eq!(get(&router, "/readyz").await.0, 503);
    assert_eq!(get(&router, "/healthz").await.0, 200);
    let (status, body) = get(&router, "/metrics").await;
    assert!(status == 200 && body.contains("authly_tokens_total 1") && body.ends_with("# EOF\n"), "{body}");
    assert_eq!(get(&router, "/").await.0, 404);
}
