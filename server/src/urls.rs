//! The issuing API of signed URLs (signed-url.md, "Issuing API").

pub(crate) mod batch;
pub(crate) mod issue;
pub(crate) mod revoke_many;
pub(crate) mod revoke_one;
pub(crate) mod sign;
pub(crate) mod spec;
pub(crate) mod usage;
