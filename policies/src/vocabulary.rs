//! The schema, the entity types, the actions and the built-in policies, each read once from `cedar/`.
//!
//! Never does: anything for one tenant. The files are part of the binary and a test holds that they are good; should
//! they not be, every policy fails to compile and every decision is a deny.

use std::sync::LazyLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Policy, PolicyId, Schema, Validator, pst};

/// An entity type of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    Tenant,
    Namespace,
    Group,
    Client,
    User,
    Bearer,
    Route,
    Object,
}

impl Type {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Tenant, "Tenant"),
        (Self::Namespace, "Namespace"),
        (Self::Group, "Group"),
        (Self::Client, "Client"),
        (Self::User, "User"),
        (Self::Bearer, "Bearer"),
        (Self::Route, "Route"),
        (Self::Object, "Object"),
    ];

    pub(crate) fn of(name: &EntityTypeName) -> Option<Self> {
        Self::parse(name.basename())
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, text)| *text == name).map(|(kind, _)| *kind)
    }
}

/// An action of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    IssueToken,
    Sign,
    SignAs,
    Redeem,
    Revoke,
}

impl Action {
    pub(crate) const ALL: [(Self, &'static str); 5] = [
        (Self::IssueToken, "issueToken"),
        (Self::Sign, "sign"),
        (Self::SignAs, "signAs"),
        (Self::Redeem, "redeem"),
        (Self::Revoke, "revoke"),
    ];

    pub(crate) fn of(uid: &EntityUid) -> Option<Self> {
        let id: &str = uid.id().unescaped();
        Self::ALL.iter().find(|(_, text)| *text == id).map(|(action, _)| *action)
    }
}

/// Everything that is the same for all tenants.
pub(crate) struct Vocabulary {
    pub(crate) validator: Validator,
    /// Policies of every set, with ids without tenant.
    pub(crate) builtin: Vec<Policy>,
    /// The conditions that guard a Member's policies, about `Namespace::"own"`.
    pub(crate) member_guard: Vec<pst::Clause>,
    types: Vec<EntityTypeName>,
    actions: Vec<EntityUid>,
}

static VOCABULARY: LazyLock<Result<Vocabulary, String>> = LazyLock::new(|| read().map_err(|error| error.to_string()));

/// The vocabulary, or why the embedded files are unusable.
pub(crate) fn vocabulary() -> Result<&'static Vocabulary, String> {
    VOCABULARY.as_ref().map_err(|error| format!("the built-in policies are broken, report a bug: {error}"))
}

type Broken = Box<dyn std::error::Error>;

fn read() -> Result<Vocabulary, Broken> {
    let (schema, _) = Schema::from_cedarschema_str(include_str!("../cedar/schema.cedarschema"))?;
    let named = |name: &str, text: &str| Policy::parse(Some(PolicyId::new(name)), text).map_err(Broken::from);
    let builtin = vec![
        named("builtin/tenant", include_str!("../cedar/tenant.cedar"))?,
        named("builtin/issueToken", include_str!("../cedar/issue_token.cedar"))?,
    ];
    let member = named("builtin/member", include_str!("../cedar/member.cedar"))?;
    let member_guard = member.try_into_pst()?.body().clauses().clone();
    let types = Type::ALL.iter().map(|(_, name)| name.parse().map_err(Broken::from)).collect::<Result<_, _>>()?;
    let action_type: EntityTypeName = "Action".parse()?;
    let action =
        |(_, name): &(Action, &str)| EntityUid::from_type_name_and_id(action_type.clone(), EntityId::new(name));
    let actions = Action::ALL.iter().map(action).collect();
    Ok(Vocabulary { validator: Validator::new(schema), builtin, member_guard, types, actions })
}

impl Vocabulary {
    /// The entity `kind::"id"`, its id already qualified.
    pub(crate) fn entity(&self, kind: Type, id: String) -> EntityUid {
        EntityUid::from_type_name_and_id(self.types[kind as usize].clone(), EntityId::new(id))
    }

    /// The action's entity.
    pub(crate) fn action(&self, action: Action) -> EntityUid {
        self.actions[action as usize].clone()
    }
}
