//! The server's metrics. Labels are bounded: no tenant, client or user ever is one.

use prometheus_client::metrics::counter::Counter;

/// Counters of what the server decided.
#[derive(Debug)]
pub(crate) struct Metrics {
    tokens_issued: Counter,
    tokens_denied: Counter,
    urls_signed: Counter,
    urls_denied: Counter,
}

impl Metrics {
    /// Makes the counters and registers them.
    pub(crate) fn register(registry: &authly_runtime::metrics::Metrics) -> Self {
        Self {
            tokens_issued: registry.counter("tokens_issued", "Access tokens issued"),
            tokens_denied: registry.counter("tokens_denied", "Token requests denied by policy"),
            urls_signed: registry.counter("urls_signed", "URLs signed"),
            urls_denied: registry.counter("urls_denied", "Signing requests denied by policy"),
        }
    }

    pub(crate) fn token_issued(&self) {
        self.tokens_issued.inc();
    }

    pub(crate) fn token_denied(&self) {
        self.tokens_denied.inc();
    }

    pub(crate) fn url_signed(&self) {
        self.urls_signed.inc();
    }

    pub(crate) fn url_denied(&self) {
        self.urls_denied.inc();
    }
}
