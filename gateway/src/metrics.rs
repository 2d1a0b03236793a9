//! The gateway's metrics. Labels are outcome and source, from fixed lists.

use authly_runtime::metrics::{Counters, Label, Metrics as Registry};

use crate::answer::Refused;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Redeemed,
    /// The URL or the request around it: form, signature, time, method, network, constraint.
    BadUrl,
    Revoked,
    UsedUp,
    PolicyDenied,
    Unavailable,
    Other,
}

impl Label for Outcome {
    const NAME: &'static str = "outcome";
    const ALL: &'static [Self] = &[
        Self::Redeemed,
        Self::BadUrl,
        Self::Revoked,
        Self::UsedUp,
        Self::PolicyDenied,
        Self::Unavailable,
        Self::Other,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Redeemed => "redeemed",
            Self::BadUrl => "bad_url",
            Self::Revoked => "revoked",
            Self::UsedUp => "used_up",
            Self::PolicyDenied => "policy_denied",
            Self::Unavailable => "unavailable",
            Self::Other => "other",
        }
    }
}

/// How a signature came to be known as good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Verified,
    Kept,
}

impl Label for Source {
    const NAME: &'static str = "source";
    const ALL: &'static [Self] = &[Self::Verified, Self::Kept];

    fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Kept => "kept",
        }
    }
}

/// Counters of what the gateway decided.
#[derive(Debug)]
pub(crate) struct Metrics {
    outcomes: Counters<Outcome>,
    proofs: Counters<Source>,
}

impl Metrics {
    /// Makes the counters and registers them.
    pub(crate) fn register(registry: &Registry) -> Self {
        Self {
            outcomes: registry.counters("redemptions", "Signed URLs presented, by outcome"),
            proofs: registry
                .counters("url_proofs", "Good signatures of signed URLs, verified anew or kept from before"),
        }
    }

    pub(crate) fn proven(&self, kept: bool) {
        self.proofs.inc(if kept { &Source::Kept } else { &Source::Verified });
    }

    pub(crate) fn redeemed(&self) {
        self.outcomes.inc(&Outcome::Redeemed);
    }

    pub(crate) fn refused(&self, refused: &Refused) {
        self.outcomes.inc(&match refused {
            Refused::Url(_) | Refused::NotCanonical(_) | Refused::ConstraintUnsupported => Outcome::BadUrl,
            Refused::Revoked => Outcome::Revoked,
            Refused::UsedUp => Outcome::UsedUp,
            Refused::PolicyDenied => Outcome::PolicyDenied,
            Refused::Unavailable => Outcome::Unavailable,
            Refused::NoRoute
            | Refused::TenantSuspended
            | Refused::NoBackend
            | Refused::BackendUnreachable
            | Refused::BackendTimeout => Outcome::Other,
        });
    }
}
