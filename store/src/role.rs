//! The database roles that processes log in as members of (DESIGN.md, "Walls between tenants").

/// A runtime role: a group role without login, of which each process's login is a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `authly server`.
    Server,
    /// `authly gateway`.
    Gateway,
    /// `authly operator`.
    Operator,
    /// The jobs that `authly server` runs on a second pool.
    Jobs,
}

impl Role {
    /// Every runtime role.
    pub const ALL: [Self; 4] = [Self::Server, Self::Gateway, Self::Operator, Self::Jobs];

    /// The short name, as in login names (`<database>_server`) and the `roles:` line of a query.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Gateway => "gateway",
            Self::Operator => "operator",
            Self::Jobs => "jobs",
        }
    }

    /// The group role.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::Server => "authly_server",
            Self::Gateway => "authly_gateway",
            Self::Operator => "authly_operator",
            Self::Jobs => "authly_jobs",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
