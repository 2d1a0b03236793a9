//! Forward-auth: another proxy (nginx `auth_request`, Caddy `forward_auth`, Traefik ForwardAuth) asks whether a
//! request may go on. 204, or 403 with the reason in a header, or 503; nothing else, because nginx turns any
//! other answer into 500.

use std::net::IpAddr;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{
    answer::Refused,
    app::Gateway,
    presented::Presented,
    redeem::{self, Redeemed},
};

/// The target without `sx-*`, for the asking proxy to send on.
const TARGET: HeaderName = HeaderName::from_static("authly-target");

/// Judges the request that the peer describes in `X-Forwarded-*`.
pub(crate) async fn answer(gateway: &Gateway, peer: IpAddr, headers: &HeaderMap) -> Response {
    match judge(gateway, peer, headers).await {
        Ok(redeemed) => {
            gateway.metrics.redeemed();
            let mut response = StatusCode::NO_CONTENT.into_response();
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Ok(target) = HeaderValue::try_from(redeemed.target) {
                headers.insert(TARGET, target);
            }
            response
        }
        Err(refused) => {
            gateway.metrics.refused(&refused);
            refused.into_forward_auth_answer()
        }
    }
}

async fn judge(gateway: &Gateway, peer: IpAddr, headers: &HeaderMap) -> Result<Redeemed, Refused> {
    let presented = Presented::to_forward_auth(headers, peer, &gateway.forward_auth_peers)?;
    redeem::redeem(gateway, &presented, false).await
}
