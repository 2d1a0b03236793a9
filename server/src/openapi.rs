//! The tenant's routes and the OpenAPI document, from one table: an endpoint without documentation cannot be
//! routed, and the coverage tests take their cases from the document.

use axum::Router;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{ClientCredentials, Flow, Http, HttpAuthScheme, OAuth2, Scopes, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, oauth, urls};

#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Authly",
        description = "OAuth 2.1 and signed URLs of one tenant. Paths are relative to the tenant's issuer.",
        license(name = "Apache-2.0")
    ),
    modifiers(&Credentials),
    security(("client_secret" = []), ("bearer" = []))
)]
struct Document;

/// The credentials that endpoints take.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("client_secret", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
        let flow = Flow::ClientCredentials(ClientCredentials::new(
            "token",
            Scopes::from_iter([("signed_urls", "sign and revoke URLs")]),
        ));
        components.add_security_scheme("bearer", SecurityScheme::OAuth2(OAuth2::new([flow])));
    }
}

fn table() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(oauth::metadata::metadata))
        .routes(routes!(oauth::jwks::token_keys))
        .routes(routes!(oauth::jwks::url_keys))
        .routes(routes!(oauth::token::token))
        .routes(routes!(oauth::introspect::introspect))
        .routes(routes!(oauth::revoke::revoke))
        .routes(routes!(urls::sign::sign))
        .routes(routes!(urls::batch::batch))
        .routes(routes!(urls::revoke_one::revoke_one))
        .routes(routes!(urls::revoke_many::revoke_many))
        .routes(routes!(urls::usage::usage))
}

/// The routes of a tenant and their document.
pub(crate) fn tenant_routes(app: App) -> (Router, openapi::OpenApi) {
    let (router, document) = table().split_for_parts();
    (router.with_state(app), document)
}

/// The OpenAPI document alone.
#[must_use]
pub fn document() -> openapi::OpenApi {
    table().into_openapi()
}
