//! Metrics of a listener: connections, requests by method and status class, latency.

use http::{Method, StatusCode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};

use crate::metrics::{LATENCY_BUCKETS, Labels, Metrics};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The metrics of one listener, each with the label `listener`.
#[derive(Debug, Clone)]
pub(crate) struct HttpMetrics {
    /// By method, then by status class.
    requests: [[Counter; CLASSES.len()]; METHODS.len()],
    latency: Histogram,
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Connections refused because the listener was full.
    pub(crate) refused: Counter,
    /// Handlers that panicked.
    pub(crate) panics: Counter,
}

/// The families of all listeners of a process; registered once.
#[derive(Debug, Clone)]
pub(crate) struct HttpFamilies {
    requests: Family<Labels, Counter>,
    latency: Family<Labels, Histogram, fn() -> Histogram>,
    connections: Family<Labels, Gauge>,
    refused: Family<Labels, Counter>,
    panics: Family<Labels, Counter>,
}

impl HttpFamilies {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let latency: fn() -> Histogram = || Histogram::new(LATENCY_BUCKETS);
        Self {
            requests: metrics.register("http_requests", "Requests answered", Family::default()),
            latency: metrics.register(
                "http_request_duration_seconds",
                "Time from a request's head to its answer's head",
                Family::new_with_constructor(latency),
            ),
            connections: metrics.register("http_connections", "Open connections", Family::default()),
            refused: metrics.register(
                "http_connections_refused",
                "Connections answered 503 because the listener was full",
                Family::default(),
            ),
            panics: metrics.register("http_panics", "Handlers that panicked and were answered 500", Family::default()),
        }
    }

    /// The series of one listener.
    pub(crate) fn listener(&self, listener: &'static str) -> HttpMetrics {
        let labels = Labels(vec![("listener", listener)]);
        HttpMetrics {
            requests: METHODS.map(|method| {
                CLASSES.map(|class| {
                    let labels = vec![("listener", listener), ("method", method), ("status", class)];
                    self.requests.get_or_create_owned(&Labels(labels))
                })
            }),
            latency: self.latency.get_or_create_owned(&labels),
            connections: self.connections.get_or_create_owned(&labels),
            refused: self.refused.get_or_create_owned(&labels),
            panics: self.panics.get_or_create_owned(&labels),
        }
    }
}

impl HttpMetrics {
    /// Counts one answer.
    pub(crate) fn answered(&self, method: &Method, status: StatusCode, seconds: f64) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(CLASSES.len() - 1);
        self.requests[method_index(method)][class].inc();
        self.latency.observe(seconds);
    }
}

fn method_index(method: &Method) -> usize {
    METHODS.iter().position(|m| *m == method.as_str()).unwrap_or(METHODS.len() - 1)
}
