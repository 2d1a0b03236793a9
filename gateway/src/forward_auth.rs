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
    match judge(gateway, peer, headers).await.and_then(|redeemed| permit(redeemed.target)) {
        Ok(response) => {
            gateway.metrics.redeemed();
            response
        }
        Err(refused) => {
            gateway.metrics.refused(&refused);
            refused.into_forward_auth_answer()
        }
    }
}

/// A 204 always says where to send the request on: without it the asking proxy would send on the link itself.
fn permit(target: String) -> Result<Response, Refused> {
    let target = HeaderValue::try_from(target).map_err(|_| Refused::NotCanonical("the target is no header value"))?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(TARGET, target);
    Ok(response)
}

async fn judge(gateway: &Gateway, peer: IpAddr, headers: &HeaderMap) -> Result<Redeemed, Refused> {
    let presented = Presented::to_forward_auth(headers, peer, &gateway.forward_auth_peers)?;
    redeem::redeem(gateway, &presented, false).await
}

#[cfg(test)]
mod tests {
    use super::permit;

    #[test]
    fn no_permit_without_a_target() {
        let permitted = permit("/reports/42?a=b".to_owned()).unwrap();
        assert_eq!(
            (permitted.status().as_u16(), &permitted.headers()["authly-target"]),
            (204, &"/reports/42?a=b".parse().unwrap())
        );
        assert_eq!(permit("/reports/\r\nx".to_owned()).unwrap_err().reason(), "not_canonical");
    }
}
