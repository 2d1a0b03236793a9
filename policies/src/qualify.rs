//! From a validated policy to the one that a tenant's set holds: every id qualified with the tenant, a Member's guard as
//! the first conjunct, and whether the policy reads the time or the address.
//!
//! Works on Cedar's typed tree, never on text: a string cannot become an id, and an id cannot leave its tenant,
//! because every one gets the same fixed-length prefix.

use std::{collections::BTreeMap, sync::Arc};

use authly_model::ids::TenantId;
use cedar_policy::{
    Policy, PolicyId,
    pst::{
        Clause, EntityOrSlot, EntityUID, Expr, Literal, PrincipalConstraint, ResourceConstraint, StaticPolicy,
        Template, Var,
    },
};

use crate::vocabulary::Vocabulary;

/// The attributes of a request that change from one redemption of a URL to the next.
const VOLATILE: [&str; 2] = ["time", "address"];

/// A policy that cannot be rewritten; none that validation accepts is.
#[derive(Debug, thiserror::Error)]
#[error("the policy cannot be bound to its tenant: {0}")]
pub(crate) struct Unqualifiable(String);

impl Unqualifiable {
    fn new(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// The ids of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Qualifier {
    prefix: String,
}

impl Qualifier {
    pub(crate) fn new(tenant: TenantId) -> Self {
        Self { prefix: format!("{tenant}/") }
    }

    #[cfg(test)]
    pub(crate) fn without_tenant() -> Self {
        Self { prefix: String::new() }
    }

    /// The tenant's own id for what authors call `id`.
    pub(crate) fn id(&self, id: &str) -> String {
        let mut qualified = String::with_capacity(self.prefix.len() + id.len());
        qualified.push_str(&self.prefix);
        qualified.push_str(id);
        qualified
    }
}

/// A policy as a set holds it.
pub(crate) struct Qualified {
    pub(crate) policy: Policy,
    pub(crate) reads_time_or_address: bool,
}

/// Guards the policy if `member` names the namespace of a Member, then qualifies it.
pub(crate) fn qualify(
    vocabulary: &Vocabulary,
    policy: &Policy,
    id: PolicyId,
    qualifier: &Qualifier,
    member: Option<&str>,
) -> Result<Qualified, Unqualifiable> {
    let guarded = guarded(vocabulary, policy, member)?;
    let reads_time_or_address = guarded.clauses().iter().any(|clause| reads_volatile(body(clause)));
    let clauses = guarded.clauses().iter().map(|clause| qualifier.clause(clause)).collect::<Result<Vec<_>, _>>()?;
    let template = Template::new(
        id.as_ref(),
        guarded.effect,
        qualifier.principal(&guarded.principal),
        guarded.action.clone(),
        qualifier.resource(&guarded.resource),
    )
    .try_with_clauses(clauses)
    .map_err(Unqualifiable::new)?;
    Ok(Qualified { policy: finish(template)?, reads_time_or_address })
}

/// The policy with ids as its author wrote them and, for a Member, the guard before every other condition.
pub(crate) fn guarded(
    vocabulary: &Vocabulary,
    policy: &Policy,
    member: Option<&str>,
) -> Result<Template, Unqualifiable> {
    let mut template = policy.to_pst().map_err(Unqualifiable::new)?.body().clone();
    // Annotations decide nothing.
    template.annotations = BTreeMap::new();
    let Some(namespace) = member else { return Ok(template) };
    let own = |uid: &EntityUID| match uid.ty.0.id.as_str() {
        "Namespace" => EntityUID { ty: uid.ty.clone(), eid: namespace.into() },
        _ => uid.clone(),
    };
    let guard = vocabulary.member_guard.iter().map(|clause| map_clause(clause, &own)).collect::<Result<Vec<_>, _>>()?;
    let clauses: Vec<Clause> = guard.into_iter().chain(template.clauses().iter().cloned()).collect();
    template.try_with_clauses(clauses).map_err(Unqualifiable::new)
}

/// A rewritten policy back in the form that Cedar evaluates.
pub(crate) fn finish(template: Template) -> Result<Policy, Unqualifiable> {
    let fixed = StaticPolicy::try_from(template).map_err(Unqualifiable::new)?;
    let policy = Policy::from_pst(fixed.into()).map_err(Unqualifiable::new)?;
    // Without the typed tree it was made from: slices clone policies, and the evaluated form is shared.
    Ok(Policy::from(policy.as_ref().clone()))
}

impl Qualifier {
    fn uid(&self, uid: &EntityUID) -> EntityUID {
        match uid.ty.0.id.as_str() {
            "Action" => uid.clone(),
            _ => EntityUID { ty: uid.ty.clone(), eid: self.id(&uid.eid).into() },
        }
    }

    fn scope(&self, entity: &EntityOrSlot) -> EntityOrSlot {
        match entity {
            EntityOrSlot::Entity(uid) => EntityOrSlot::Entity(self.uid(uid)),
            EntityOrSlot::Slot(slot) => EntityOrSlot::Slot(*slot),
        }
    }

    fn principal(&self, constraint: &PrincipalConstraint) -> PrincipalConstraint {
        match constraint {
            PrincipalConstraint::Any => PrincipalConstraint::Any,
            PrincipalConstraint::Eq(entity) => PrincipalConstraint::Eq(self.scope(entity)),
            PrincipalConstraint::In(entity) => PrincipalConstraint::In(self.scope(entity)),
            PrincipalConstraint::Is(kind) => PrincipalConstraint::Is(kind.clone()),
            PrincipalConstraint::IsIn(kind, entity) => PrincipalConstraint::IsIn(kind.clone(), self.scope(entity)),
        }
    }

    fn resource(&self, constraint: &ResourceConstraint) -> ResourceConstraint {
        match constraint {
            ResourceConstraint::Any => ResourceConstraint::Any,
            ResourceConstraint::Eq(entity) => ResourceConstraint::Eq(self.scope(entity)),
            ResourceConstraint::In(entity) => ResourceConstraint::In(self.scope(entity)),
            ResourceConstraint::Is(kind) => ResourceConstraint::Is(kind.clone()),
            ResourceConstraint::IsIn(kind, entity) => ResourceConstraint::IsIn(kind.clone(), self.scope(entity)),
        }
    }

    fn clause(&self, clause: &Clause) -> Result<Clause, Unqualifiable> {
        map_clause(clause, &|uid| self.uid(uid))
    }
}

fn body(clause: &Clause) -> &Expr {
    match clause {
        Clause::When(expr) | Clause::Unless(expr) => expr,
    }
}

fn map_clause(clause: &Clause, map: &dyn Fn(&EntityUID) -> EntityUID) -> Result<Clause, Unqualifiable> {
    Ok(match clause {
        Clause::When(expr) => Clause::When(map_expr(expr, map)?),
        Clause::Unless(expr) => Clause::Unless(map_expr(expr, map)?),
    })
}

/// The expression with every entity literal replaced. A kind of expression that this version does not know is refused.
fn map_expr(expr: &Arc<Expr>, map: &dyn Fn(&EntityUID) -> EntityUID) -> Result<Arc<Expr>, Unqualifiable> {
    let go = |expr: &Arc<Expr>| map_expr(expr, map);
    Ok(Arc::new(match &**expr {
        Expr::Literal(Literal::EntityUID(uid)) => Expr::Literal(Literal::EntityUID(map(uid))),
        Expr::Literal(Literal::Bool(_) | Literal::Long(_) | Literal::String(_)) | Expr::Var(_) => {
            return Ok(expr.clone());
        }
        Expr::UnaryOp { op, expr } => Expr::UnaryOp { op: *op, expr: go(expr)? },
        Expr::BinaryOp { op, left, right } => Expr::BinaryOp { op: *op, left: go(left)?, right: go(right)? },
        Expr::GetAttr { expr, attr } => Expr::GetAttr { expr: go(expr)?, attr: attr.clone() },
        Expr::HasAttr { expr, attrs } => Expr::HasAttr { expr: go(expr)?, attrs: attrs.clone() },
        Expr::Like { expr, pattern } => Expr::Like { expr: go(expr)?, pattern: pattern.clone() },
        Expr::Is { expr, entity_type, in_expr } => Expr::Is {
            expr: go(expr)?,
            entity_type: entity_type.clone(),
            in_expr: in_expr.as_ref().map(go).transpose()?,
        },
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            Expr::IfThenElse { cond: go(cond)?, then_expr: go(then_expr)?, else_expr: go(else_expr)? }
        }
        Expr::Set(items) => Expr::Set(items.iter().map(go).collect::<Result<_, _>>()?),
        Expr::Record(fields) => {
            Expr::Record(fields.iter().map(|(key, value)| Ok((key.clone(), go(value)?))).collect::<Result<_, _>>()?)
        }
        _ => return Err(Unqualifiable::new("it uses an expression that this version does not know")),
    }))
}

/// Whether the expression may depend on a volatile attribute: by name, or by using the whole context.
fn reads_volatile(expr: &Expr) -> bool {
    let names_other = |attr: &str| !VOLATILE.contains(&attr);
    let decide = |expr: &Expr| match expr {
        Expr::Var(Var::Context) => Some(true),
        Expr::GetAttr { expr, attr } if is_context(expr) && names_other(attr) => Some(false),
        Expr::HasAttr { expr, attrs } if is_context(expr) && names_other(&attrs.head) => Some(false),
        _ => None,
    };
    expr.reduce(&decide, &|a, b| a || b, false)
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Context))
}
