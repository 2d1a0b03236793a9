//! The compiled policy set of one tenant and its decisions: never merged with another's, sliced for each request.

use authly_model::{ids::TenantId, policy::Policy};
use cedar_policy::Authorizer;

use crate::{
    compile::{Objects, PolicyFailure, compile},
    decision::{Decision, Outcome, ShadowOutcome},
    qualify::Qualifier,
    request::{Facts, Maker, Request},
    scan,
    slice::{Index, Slice},
    vocabulary::Vocabulary,
};

/// What evaluation may need of the stack at the deepest that validation lets through: Cedar's evaluator stops with an
/// error 100 KiB before the end, and its frames are large, unoptimised above all. More is taken only where less is left.
const STACK: usize = 128 * 1024 + scan::MAX_DEPTH as usize * if cfg!(debug_assertions) { 64 } else { 8 } * 1024;

/// The policies of one tenant, its guards and the built-in ones included.
pub struct TenantPolicies {
    tenant: TenantId,
    /// `None` denies everything: nothing could be compiled.
    compiled: Option<Compiled>,
}

pub(crate) struct Compiled {
    pub(crate) vocabulary: &'static Vocabulary,
    pub(crate) qualifier: Qualifier,
    pub(crate) index: Index,
    pub(crate) authorizer: Authorizer,
    pub(crate) objects: Objects,
}

impl std::fmt::Debug for TenantPolicies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantPolicies").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl TenantPolicies {
    /// Compiles a tenant's policies. An object that fails is left out and reported; the caller keeps its last good one.
    #[must_use]
    pub fn compile(tenant: TenantId, policies: &[Policy]) -> (Self, Vec<PolicyFailure>) {
        let (compiled, failures) = compile(tenant, policies, &Objects::default());
        (Self { tenant, compiled }, failures)
    }

    /// As [`Self::compile`] for the same tenant; objects that did not change since are taken over.
    #[must_use]
    pub fn recompile(&self, policies: &[Policy]) -> (Self, Vec<PolicyFailure>) {
        let known = self.compiled.as_ref().map(|compiled| &compiled.objects);
        let (compiled, failures) = compile(self.tenant, policies, known.unwrap_or(&Objects::default()));
        (Self { tenant: self.tenant, compiled }, failures)
    }

    /// Decides. Denies what no policy permits, what one forbids, and whatever any policy in reach fails on.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        self.compiled.as_ref().and_then(|compiled| compiled.decide(request)).unwrap_or_else(Decision::failed)
    }

    #[cfg(test)]
    pub(crate) fn decide_unsliced(&self, request: &Request<'_>) -> Option<Decision> {
        let compiled = self.compiled.as_ref()?;
        let facts = compiled.maker().facts(request);
        compiled.evaluate(&facts, &compiled.index.full()?)
    }

    /// As if the ids of another tenant got into a request.
    #[cfg(test)]
    pub(crate) fn decide_with_ids_of(
        &self,
        principal: &Qualifier,
        resource: &Qualifier,
        request: &Request<'_>,
    ) -> Option<Decision> {
        let compiled = self.compiled.as_ref()?;
        let facts = |qualifier| Maker { vocabulary: compiled.vocabulary, qualifier }.facts(request);
        let mut mixed = facts(resource);
        mixed.principal = facts(principal).principal;
        compiled.evaluate(&mixed, &compiled.index.full()?)
    }
}

impl Compiled {
    fn maker(&self) -> Maker<'_> {
        Maker { vocabulary: self.vocabulary, qualifier: &self.qualifier }
    }

    fn decide(&self, request: &Request<'_>) -> Option<Decision> {
        let facts = self.maker().facts(request);
        let slice = self.index.slice(&facts)?;
        self.evaluate(&facts, &slice)
    }

    fn evaluate(&self, facts: &Facts<'_>, slice: &Slice) -> Option<Decision> {
        let (principal, resource) = (facts.principal.uid.clone(), facts.resource.uid.clone());
        let context = self.maker().context(facts, slice.reads_time_or_address)?;
        let action = self.vocabulary.action(facts.action);
        let request = cedar_policy::Request::new(principal, action, resource, context, None).ok()?;
        let entities = facts.entities()?;
        let ask =
            |set| stacker::maybe_grow(STACK, 2 * STACK, || self.authorizer.is_authorized(&request, set, &entities));
        let ask = |set| Outcome::of(&ask(set));
        let enforced = ask(&slice.enforced);
        let shadow = slice.shadow.iter().map(|(object, set)| {
            let shadow = ask(set);
            let refused = enforced.errors || enforced.forbidden || shadow.errors || shadow.forbidden;
            ShadowOutcome {
                object: object.to_string(),
                allow: !refused && (enforced.allow || shadow.allow),
                policies: shadow.policies,
                errors: shadow.errors,
            }
        });
        Some(Decision {
            shadow: shadow.collect(),
            allow: enforced.allow,
            policies: enforced.policies,
            errors: enforced.errors,
            reads_time_or_address: slice.reads_time_or_address,
        })
    }
}
