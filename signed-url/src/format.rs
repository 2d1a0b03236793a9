//! What is fixed by the format.
//!
//! Owns the bounds and the names of `sx1`, each once. Never holds state. The layouts of the two forms are in
//! `format/sx1.rs` (one URL) and `format/sx1p.rs` (everything below a prefix).

pub(crate) mod sx1;
pub(crate) mod sx1p;

/// The longest target (path and query, with token or `sx-*` parameters) and the longest token, in bytes.
pub const MAX_TARGET: usize = 8192;

/// The longest life of a URL in seconds, whatever a route says: revocations are kept no longer than this.
pub const MAX_TTL: i64 = 7 * 24 * 60 * 60;

/// How far, in seconds, `sx-n` and the issue time may lie ahead of the verifier's clock. `sx-e` has no such leeway.
pub const SKEW: i64 = 30;

/// The most uses, requests per window, and requests at a time.
pub const MAX_USES: u32 = 1_000_000;

/// The longest window of a rate, in seconds.
pub(crate) const MAX_WINDOW: u32 = 86_400;

/// What a prefix token follows in a path.
pub const PATH_MARKER: &str = "/~sx/";

/// The cookie that may carry a prefix token.
pub const COOKIE_NAME: &str = "__Host-sx";
