//! Prometheus metrics (OpenMetrics text). Labels are enums: every series exists from the start, so no client, path or
//! tenant can grow their number, and counting takes no lock.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, LabelSetEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::{Metric, Registry},
};

use crate::http_metrics::HttpFamilies;

/// Bounds of latency histograms in seconds: 250 µs to 10 s.
pub const LATENCY_BUCKETS: [f64; 12] = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

/// A label whose values are known when the program is compiled.
pub trait Label: Copy + Eq + Debug + Send + Sync + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value.
    const ALL: &'static [Self];
    /// The spelling of this value.
    fn as_str(self) -> &'static str;
}

/// The registry of a process; every name gets the prefix `authly_`. Clones share it.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Mutex<Registry>,
    http: OnceLock<HttpFamilies>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Inner { registry: Mutex::new(Registry::with_prefix("authly")), http: OnceLock::new() }))
    }
}

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter. Its name ends in `_total` in the output; leave that out here. So in all of these.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.register(name, help, Counter::default())
    }

    /// A gauge.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(name, help, Gauge::default())
    }

    /// A gauge whose value is asked at each scrape; `value` must not block.
    pub fn gauge_fn(&self, name: &str, help: &str, value: impl Fn() -> f64 + Send + Sync + 'static) {
        let collector = Asked { name: name.to_owned(), help: format!("{help}."), value: Box::new(value) };
        self.registry().register_collector(Box::new(collector));
    }

    /// A histogram of seconds with [`LATENCY_BUCKETS`].
    #[must_use]
    pub fn latency(&self, name: &str, help: &str) -> Histogram {
        self.register(name, help, Histogram::new(LATENCY_BUCKETS))
    }

    /// A counter for each value of a label.
    #[must_use]
    pub fn counters<L: Label>(&self, name: &str, help: &str) -> Counters<L> {
        let family = self.register(name, help, Family::<Labels, Counter>::default());
        Counters(L::ALL.iter().map(|l| (*l, family.get_or_create_owned(&Labels(vec![pair(*l)])))).collect())
    }

    /// A counter for each pair of values of two labels.
    #[must_use]
    pub fn counters_by_two<A: Label, B: Label>(&self, name: &str, help: &str) -> Counters<(A, B)> {
        let family = self.register(name, help, Family::<Labels, Counter>::default());
        let pairs = A::ALL.iter().flat_map(|a| B::ALL.iter().map(|b| (*a, *b)));
        Counters(pairs.map(|(a, b)| ((a, b), family.get_or_create_owned(&Labels(vec![pair(a), pair(b)])))).collect())
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The families that all listeners share.
    pub(crate) fn http(&self) -> HttpFamilies {
        self.0.http.get_or_init(|| HttpFamilies::register(self)).clone()
    }

    pub(crate) fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.registry().register(name, help.trim_end_matches('.'), metric.clone());
        metric
    }

    /// The text of a scrape.
    ///
    /// # Errors
    /// Only if a metric cannot be written.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(8192);
        let registry = self.registry();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// Counters by the values of one label, or of two.
#[derive(Debug, Clone)]
pub struct Counters<K>(Arc<[(K, Counter)]>);

impl<K: PartialEq> Counters<K> {
    /// Counts one.
    pub fn inc(&self, key: &K) {
        self.inc_by(key, 1);
    }

    /// Counts `n`.
    pub fn inc_by(&self, key: &K, n: u64) {
        if let Some((_, counter)) = self.0.iter().find(|(k, _)| k == key) {
            counter.inc_by(n);
        }
    }
}

fn pair<L: Label>(label: L) -> (&'static str, &'static str) {
    (L::NAME, label.as_str())
}

/// Names and values, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Labels(pub(crate) Vec<(&'static str, &'static str)>);

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

struct Asked {
    name: String,
    help: String,
    value: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Collector for Asked {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new((self.value)());
        let metric = encoder.encode_descriptor(&self.name, &self.help, None, gauge.metric_type())?;
        gauge.encode(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::{Label, Metrics};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Outcome {
        Issued,
        Denied,
    }

    impl Label for Outcome {
        const NAME: &'static str = "outcome";
        const ALL: &'static [Self] = &[Self::Issued, Self::Denied];
        fn as_str(self) -> &'static str {
            if self == Self::Issued { "issued" } else { "denied" }
        }
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Url;

    impl Label for Url {
        const NAME: &'static str = "of";
        const ALL: &'static [Self] = &[Self];
        fn as_str(self) -> &'static str {
            "url"
        }
    }

    #[test]
    fn every_series_is_there_from_the_start() {
        let metrics = Metrics::new();
        let tokens = metrics.counters::<Outcome>("tokens", "Token requests");
        let pairs = metrics.counters_by_two::<Outcome, Url>("pairs", "Pairs");
        metrics.gauge_fn("staleness_seconds", "Age of the snapshot", || 1.5);
        tokens.inc(&Outcome::Issued);
        tokens.clone().inc_by(&Outcome::Issued, 2);
        pairs.inc(&(Outcome::Issued, Url));
        metrics.latency("wait_seconds", "Wait").observe(0.003);
        metrics.gauge("open", "Open").set(4);
        metrics.counter("lost", "Lost").inc();
        let text = metrics.encode().unwrap();
        for line in [
            "authly_tokens_total{outcome=\"issued\"} 3",
            "authly_tokens_total{outcome=\"denied\"} 0",
            "authly_pairs_total{outcome=\"issued\",of=\"url\"} 1",
            "authly_staleness_seconds 1.5",
            "authly_wait_seconds_bucket{le=\"0.005\"} 1",
            "authly_open 4",
            "authly_lost_total 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
