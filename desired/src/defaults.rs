//! Defaults that no other crate needs; the rest stand beside their types in `authly-model`. The schemas have none, since
//! a default in a schema shows up as drift in GitOps tools.

use authly_crds as crds;
use authly_model::duration::Seconds;

/// `spec.installation` of a Tenant.
pub const INSTALLATION: &str = "default";
/// The shortest access-token lifetime.
pub const MIN_ACCESS_TOKEN_LIFETIME: Seconds = Seconds(10);
/// The shortest and the longest `spec.purgeAfter` of a Tenant.
pub(crate) const PURGE_AFTER: [Seconds; 2] = [Seconds(1), Seconds(3650 * 86_400)];
/// The shortest and the longest `spec.signingKeys.rotateEvery` of a Tenant.
pub(crate) const SIGNING_KEY_PERIOD: [Seconds; 2] = [Seconds(3600), Seconds(3650 * 86_400)];
/// The longest `spec.signingKeys.overlap` of a Tenant.
pub(crate) const MAX_SIGNING_KEY_OVERLAP: Seconds = Seconds(365 * 86_400);
/// `spec.credentials.secret.overlap` of an OAuthClient.
pub const ROTATION_OVERLAP: Seconds = Seconds(86_400);
/// The shortest and the longest `spec.credentials.secret.rotateEvery`.
pub(crate) const ROTATION_PERIOD: (Seconds, Seconds) = (Seconds(10), Seconds(3_155_760_000));
/// The longest `spec.credentials.secret.overlap`.
pub(crate) const MAX_ROTATION_OVERLAP: Seconds = Seconds(31_622_400);
/// `spec.methods` of a SignedUrlRoute.
pub(crate) const METHODS: [crds::Method; 2] = [crds::Method::Get, crds::Method::Head];

/// `spec.credentials.secret.name` of the OAuthClient `name`.
#[must_use]
pub fn secret_name(name: &str) -> String {
    format!("{name}-oauth")
}

/// `spec.clientId` of the OAuthClient `namespace`/`name`.
#[must_use]
pub fn client_id(namespace: &str, name: &str) -> String {
    format!("{namespace}.{name}")
}

/// `spec.issuer` of the Tenant `name`.
#[must_use]
pub fn issuer(base: &str, name: &str) -> String {
    format!("{}/t/{name}", base.trim_end_matches('/'))
}
