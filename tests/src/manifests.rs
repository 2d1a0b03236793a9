//! Manifests that several suites apply, in names of a stack's own: the tenant `acme-ID` of the installation `inst-ID`, which owns the
//! namespace `shop-ID`. Each begins with the separator of documents, so they are simply put together; `more` are further lines of
//! the spec, indented by two.

/// The namespace and the tenant.
pub fn tenant(id: &str, more: &str) -> String {
    format!(
        r"---
apiVersion: v1
kind: Namespace
metadata: {{name: shop-{id}}}
---
apiVersion: authly.dev/v1alpha1
kind: Tenant
metadata: {{name: acme-{id}}}
spec:
  installation: inst-{id}
  allowedNamespaces: [{{name: shop-{id}, role: Owner}}]
{more}"
    )
}

/// A client of the tenant, of type Service.
pub fn client(id: &str, name: &str, more: &str) -> String {
    format!(
        r"---
apiVersion: authly.dev/v1alpha1
kind: OAuthClient
metadata: {{name: {name}, namespace: shop-{id}}}
spec:
  tenantRef: {{name: acme-{id}}}
  type: Service
{more}"
    )
}

/// The route `reports` on the gateway's port, to the service `files`, and the policy by which the client `billing` signs and
/// everybody redeems.
pub fn reports(id: &str, gateway_port: u16, more: &str) -> String {
    format!(
        r#"---
apiVersion: authly.dev/v1alpha1
kind: SignedUrlRoute
metadata: {{name: reports, namespace: shop-{id}}}
spec:
  tenantRef: {{name: acme-{id}}}
  hosts: ["localhost:{gateway_port}"]
  pathPrefix: /reports/
  backend: {{service: {{name: files, port: 80}}}}
{more}---
apiVersion: authly.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: reports, namespace: shop-{id}}}
spec:
  tenantRef: {{name: acme-{id}}}
  cedar: |
    permit (principal == Client::"shop-{id}.billing", action == Action::"sign", resource in Route::"shop-{id}/reports");
    permit (principal, action == Action::"redeem", resource in Route::"shop-{id}/reports");
"#
    )
}
