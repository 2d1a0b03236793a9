//! When an object is programmed, as a pure decision (DESIGN.md, "Acknowledgement").
//!
//! Every replica with a live lease, of every role that needs the object, has passed its revision. The caller latches
//! the answer per revision.

use authly_model::{
    feed::{Position, Revision},
    ids::{Kind, ObjectRef, TenantId},
};

/// The roles whose replicas acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acknowledger {
    Server,
    Gateway,
}

/// A replica with a live lease.
#[derive(Debug, Clone)]
pub(super) struct Acknowledgement {
    pub(super) role: Acknowledger,
    pub(super) position: Position,
    /// What it could not load, with the reason.
    pub(super) failures: Vec<(TenantId, ObjectRef, String)>,
}

/// A condition that is not True, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failing {
    pub(super) reason: String,
    pub(super) message: String,
}

impl Failing {
    pub(super) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

/// Where an object must arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) tenant: TenantId,
    pub(super) object: &'a ObjectRef,
    pub(super) revision: Revision,
    /// Whether gateways need it; servers need everything.
    pub(super) gateways: bool,
}

/// Whether gateways need an object of this kind. A route without a backend is enforced by forward-auth of whoever asks,
/// so no gateway is waited for.
pub(super) const fn gateways_need(kind: Kind, has_backend: bool) -> bool {
    match kind {
        Kind::AccessPolicy => true,
        Kind::SignedUrlRoute => has_backend,
        Kind::Tenant | Kind::OAuthClient | Kind::RetentionPolicy => false,
    }
}

/// Whether every replica that needs the object serves its revision.
pub(super) fn programmed(expected: &Expected<'_>, replicas: &[Acknowledgement]) -> Result<(), Failing> {
    let roles: &[(Acknowledger, &str)] = if expected.gateways {
        &[(Acknowledger::Server, "server"), (Acknowledger::Gateway, "gateway")]
    } else {
        &[(Acknowledger::Server, "server")]
    };
    let (mut behind, mut alive) = (0, 0);
    for (role, name) in roles {
        let of_role = || replicas.iter().filter(|replica| replica.role == *role);
        if of_role().next().is_none() {
            let text = format!("no {name} is running; start one: nothing serves this revision yet");
            return Err(Failing::new("NoReplicas", text));
        }
        alive += of_role().count();
        behind += of_role().filter(|replica| !replica.position.has_passed(expected.revision)).count();
        if let Some(reason) = of_role().find_map(|replica| failure(replica, expected)) {
            return Err(Failing::new(
                "LoadFailed",
                format!("a {name} could not load it and keeps the last good one: {reason}"),
            ));
        }
    }
    if behind == 0 {
        return Ok(());
    }
    Err(Failing::new("Pending", format!("{behind} of {alive} replicas have not acknowledged this revision yet")))
}

/// Whether every live replica of any role serves the revision, and a server is among them.
pub(super) fn known_to_all(expected: &Expected<'_>, replicas: &[Acknowledgement]) -> bool {
    programmed(&Expected { gateways: false, ..*expected }, replicas).is_ok()
        && replicas.iter().all(|replica| replica.position.has_passed(expected.revision))
}

fn failure<'a>(replica: &'a Acknowledgement, expected: &Expected<'_>) -> Option<&'a str> {
    if !replica.position.has_passed(expected.revision) {
        return None;
    }
    let of_object =
        |(tenant, object, _): &&(TenantId, ObjectRef, String)| *tenant == expected.tenant && object == expected.object;
    replica.failures.iter().find(of_object).map(|(_, _, reason)| reason.as_str())
}

#[cfg(test)]
mod tests {
    use super::{Acknowledgement, Acknowledger, Expected, gateways_need, programmed};
    use authly_model::{
        feed::{Position, Revision},
        ids::{Kind, ObjectRef, TenantId},
    };
    use uuid::Uuid;

    const TENANT: TenantId = TenantId(Uuid::nil());

    fn at(role: Acknowledger, seq: i64) -> Acknowledgement {
        let mut position = Position::default();
        position.0[3] = seq;
        Acknowledgement { role, position, failures: Vec::new() }
    }

    fn reason(gateways: bool, replicas: &[Acknowledgement]) -> String {
        let object = ObjectRef::new(Kind::AccessPolicy, "shop", "reports");
        let revision = Revision { shard: 3, seq: 7 };
        let expected = Expected { tenant: TENANT, object: &object, revision, gateways };
        programmed(&expected, replicas).err().map_or_else(|| "Programmed".to_owned(), |failing| failing.reason)
    }

    #[test]
    fn every_live_replica_of_every_needed_role_has_passed() {
        use Acknowledger::{Gateway, Server};
        assert_eq!(reason(true, &[]), "NoReplicas");
        assert_eq!(reason(true, &[at(Server, 7)]), "NoReplicas");
        assert_eq!(reason(false, &[at(Server, 7)]), "Programmed");
        assert_eq!(reason(false, &[at(Gateway, 7)]), "NoReplicas");
        assert_eq!(reason(true, &[at(Server, 7), at(Gateway, 6)]), "Pending");
        assert_eq!(reason(false, &[at(Server, 7), at(Gateway, 6)]), "Programmed");
        assert_eq!(reason(true, &[at(Server, 9), at(Server, 6), at(Gateway, 7)]), "Pending");
        assert_eq!(reason(true, &[at(Server, 9), at(Gateway, 7), at(Gateway, 8)]), "Programmed");
    }

    #[test]
    fn a_failed_load_shows_its_reason_once_it_is_of_this_revision() {
        let object = ObjectRef::new(Kind::AccessPolicy, "shop", "reports");
        let mut gateway = at(Acknowledger::Gateway, 7);
        gateway.failures.push((TENANT, object, "line 2: unknown action".to_owned()));
        let servers = at(Acknowledger::Server, 7);
        assert_eq!(reason(true, &[servers.clone(), gateway.clone()]), "LoadFailed");
        assert_eq!(reason(false, &[servers.clone(), gateway.clone()]), "Programmed");
        gateway.position = Position::default();
        assert_eq!(reason(true, &[servers, gateway]), "Pending");
    }

    #[test]
    fn gateways_are_waited_for_where_they_serve() {
        assert!(gateways_need(Kind::SignedUrlRoute, true) && !gateways_need(Kind::SignedUrlRoute, false));
        assert!(gateways_need(Kind::AccessPolicy, false));
        assert!(!gateways_need(Kind::Tenant, true) && !gateways_need(Kind::OAuthClient, true));
    }
}
