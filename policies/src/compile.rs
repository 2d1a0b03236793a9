//! From policy objects to a tenant's set: each object read, guarded and qualified by itself; one that fails harms no other.

use std::{
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use authly_model::{
    ids::{ObjectName, TenantId},
    policy::{Mode, Policy},
    tenant::Role,
};
use cedar_policy::{Authorizer, PolicyId};

use crate::{
    qualify::{Qualifier, Unqualifiable, qualify},
    slice::{Entry, Index},
    source::{on_wide_stack, read},
    tenant::Compiled,
    vocabulary::{Type, Vocabulary, vocabulary},
};

/// A policy object that was left out of a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("AccessPolicy {object}: {message}")]
pub struct PolicyFailure {
    /// The object.
    pub object: ObjectName,
    /// Why, with line and column where that applies.
    pub message: String,
}

/// What each object became, to be taken over while it does not change.
pub(crate) type Objects = HashMap<ObjectName, (Policy, Vec<Arc<Entry>>)>;

/// Compiles what is not `known` already; nothing at all if the built-in policies cannot be.
pub(crate) fn compile(
    tenant: TenantId,
    policies: &[Policy],
    known: &Objects,
) -> (Option<Compiled>, Vec<PolicyFailure>) {
    let all = |message: &str| {
        let failure = |p: &Policy| PolicyFailure { object: p.object.clone(), message: message.to_owned() };
        (None, policies.iter().map(failure).collect())
    };
    let compiled = on_wide_stack(|| on_this_stack(tenant, policies, known));
    compiled
        .unwrap_or_else(|| Err("the policies could not be compiled: try again".to_owned()))
        .unwrap_or_else(|m| all(&m))
}

fn on_this_stack(
    tenant: TenantId,
    policies: &[Policy],
    known: &Objects,
) -> Result<(Option<Compiled>, Vec<PolicyFailure>), String> {
    let vocabulary = vocabulary()?;
    let qualifier = Qualifier::new(tenant);
    let mut entries = builtin(vocabulary, &qualifier).map_err(|error| error.to_string())?;
    let (mut objects, mut failures, mut seen) = (Objects::new(), Vec::new(), BTreeSet::new());
    for policy in policies {
        let of_object = match known.get(&policy.object) {
            _ if !seen.insert(&policy.object) => Err("the object appears twice: report a bug".to_owned()),
            Some((source, of_object)) if source == policy => Ok(of_object.clone()),
            _ => contained(vocabulary, &qualifier, policy),
        };
        match of_object {
            Ok(of_object) => {
                entries.extend(of_object.iter().cloned());
                objects.insert(policy.object.clone(), (policy.clone(), of_object));
            }
            Err(message) => failures.push(PolicyFailure { object: policy.object.clone(), message }),
        }
    }
    let index = Index::new(entries);
    Ok((Some(Compiled { vocabulary, qualifier, index, authorizer: Authorizer::new(), objects }), failures))
}

fn builtin(vocabulary: &Vocabulary, qualifier: &Qualifier) -> Result<Vec<Arc<Entry>>, Unqualifiable> {
    let entry = |policy: &cedar_policy::Policy| {
        let qualified = qualify(vocabulary, policy, policy.id().clone(), qualifier, None)?;
        Ok(Arc::new(Entry { policy: qualified.policy, reads_time_or_address: false, member: None, shadow: None }))
    };
    vocabulary.builtin.iter().map(entry).collect()
}

/// Should Cedar panic on a source, that is the failure of its object alone.
fn contained(vocabulary: &Vocabulary, qualifier: &Qualifier, policy: &Policy) -> Result<Vec<Arc<Entry>>, String> {
    catch_unwind(AssertUnwindSafe(|| object(vocabulary, qualifier, policy)))
        .unwrap_or_else(|_| Err("it cannot be compiled: report a bug with its source".to_owned()))
}

fn object(vocabulary: &Vocabulary, qualifier: &Qualifier, policy: &Policy) -> Result<Vec<Arc<Entry>>, String> {
    let parsed = read(&policy.cedar).map_err(|errors| {
        let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
        messages.join("; ")
    })?;
    let shadow: Option<Arc<str>> = (policy.mode == Mode::Shadow).then(|| policy.object.to_string().into());
    let member = (policy.role == Role::Member).then_some(&*policy.object.namespace);
    let namespace = member.map(|namespace| vocabulary.entity(Type::Namespace, qualifier.id(namespace)));
    let entry = |(number, parsed): (usize, &cedar_policy::Policy)| {
        let id = PolicyId::new(format!("{}#{number}", policy.object));
        let qualified = qualify(vocabulary, parsed, id, qualifier, member).map_err(|error| error.to_string())?;
        let reads_time_or_address = qualified.reads_time_or_address;
        let (member, shadow) = (namespace.clone(), shadow.clone());
        Ok(Arc::new(Entry { policy: qualified.policy, reads_time_or_address, member, shadow }))
    };
    parsed.iter().enumerate().map(entry).collect()
}
