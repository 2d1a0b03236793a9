//! One Cedar decision with the plain crate, over the three policies that decide in the product too: the wall between tenants and what
//! `world.yaml` declares for `redeem`. Entities and context are built from values for each request.

use std::{collections::HashSet, str::FromStr};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};

const POLICIES: &str = r#"
    forbid (principal, action, resource)
    unless { principal in Tenant::"this" && resource in Tenant::"this" };
    permit (principal, action == Action::"redeem", resource in Route::"shop/reports");
    forbid (principal, action == Action::"redeem", resource in Route::"shop/reports")
    when { context.method == "DELETE" };
"#;
const ROUTE: &str = "shop/reports";

/// The parsed policies and what every request names.
pub(crate) struct Policies {
    set: PolicySet,
    authorizer: Authorizer,
    object: EntityTypeName,
    action: EntityUid,
    bearer: EntityUid,
    tenant: EntityUid,
    namespace: EntityUid,
    route: EntityUid,
}

impl Policies {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            set: PolicySet::from_str(POLICIES)?,
            authorizer: Authorizer::new(),
            object: "Object".parse()?,
            action: r#"Action::"redeem""#.parse()?,
            bearer: r#"Bearer::"""#.parse()?,
            tenant: r#"Tenant::"this""#.parse()?,
            namespace: r#"Namespace::"shop""#.parse()?,
            route: r#"Route::"shop/reports""#.parse()?,
        })
    }

    /// Whether a request for this URL is allowed.
    pub(crate) fn decide(&self, host: &str, path: &str, method: &str) -> Option<bool> {
        let id = EntityId::new(format!("{ROUTE}{path}"));
        let object = EntityUid::from_type_name_and_id(self.object.clone(), id);
        let entities = [
            entity(&self.bearer, [&self.tenant].as_slice()),
            entity(&object, [&self.route, &self.namespace, &self.tenant].as_slice()),
        ];
        let entities = Entities::from_entities(entities, None).ok()?;
        let context = [("host", host), ("path", path), ("method", method)];
        let value = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let context = Context::from_pairs(context.map(|(name, text)| (name.to_owned(), value(text)))).ok()?;
        let request = Request::new(self.bearer.clone(), self.action.clone(), object, context, None).ok()?;
        let response = self.authorizer.is_authorized(&request, &self.set, &entities);
        Some(response.decision() == Decision::Allow)
    }
}

fn entity(uid: &EntityUid, parents: &[&EntityUid]) -> Entity {
    let parents: HashSet<EntityUid> = parents.iter().copied().cloned().collect();
    Entity::new_no_attrs(uid.clone(), parents)
}

#[cfg(test)]
mod tests {
    use super::Policies;

    #[test]
    fn decides_as_the_policies_say() {
        let policies = Policies::new().unwrap();
        assert_eq!(policies.decide("localhost:1", "/reports/1.pdf", "GET"), Some(true));
        assert_eq!(policies.decide("localhost:1", "/reports/1.pdf", "DELETE"), Some(false));
    }
}
