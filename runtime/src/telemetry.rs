//! Logs to standard error: one JSON object per line, or lines for people in development. Each line of a request
//! carries its id. Events of other crates are capped at info: below that, HTTP and SQL libraries print headers and data.

mod format;

use std::sync::Once;

use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt::MakeWriter, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

use format::Lines;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For machines.
    Json,
    /// For people (`authly dev`).
    Human,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("`{filter}` is not a log filter ({reason}): write a level such as info, or info,authly::access=debug")]
    Filter {
        /// The value.
        filter: String,
        /// What is wrong.
        reason: String,
    },
    /// Something else installed a subscriber.
    #[error("logging is already set up in this process")]
    Twice,
}

/// Sets up logging for the process. `filter` is the value of `AUTHLY_LOG`; `info` is the default that callers give.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let layer = layer(format, filter, std::io::stderr)?;
    tracing_subscriber::registry().with(layer).try_init().map_err(|_| TelemetryError::Twice)?;
    log_panics();
    Ok(())
}

fn layer<S, W>(format: LogFormat, filter: &str, writer: W) -> Result<impl Layer<S>, TelemetryError>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| TelemetryError::Filter { filter: filter.to_owned(), reason: error.to_string() })?;
    let ours = filter_fn(|meta| meta.target().starts_with("authly") || *meta.level() <= Level::INFO);
    // Filters of the whole subscriber, not of a layer: with the latter, `tracing::enabled!` says yes to everything.
    Ok(filter.and_then(ours).and_then(tracing_subscriber::fmt::layer().event_format(Lines(format)).with_writer(writer)))
}

/// Panics become log lines that say where. The message may hold data, so only builds with debug assertions print it.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            let message = if cfg!(debug_assertions) { panic.payload_as_str().unwrap_or_default() } else { "" };
            tracing::error!(target: "authly::panic", location, detail = message, "panicked: this is a bug, please report it");
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::{LogFormat, layer};
    use crate::{
        access_log::{Budget, Line},
        request_id::{CURRENT, RequestId},
    };
    use std::{
        io::Write,
        sync::{Arc, Mutex},
        time::Duration,
    };
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, body: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::registry().with(layer(format, filter, move || writer.clone()).unwrap());
        tracing::subscriber::with_default(subscriber, body);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_carry_fields_and_the_request_id() {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-request-id", http::HeaderValue::from_static("req-1"));
        let text = logged(LogFormat::Json, "info", || {
            CURRENT.sync_scope(RequestId::of(&headers), || {
                tracing::warn!(count = 3, name = "a\"b\nc", ok = true, "stopped {}", 7);
            });
            tracing::debug!("not at info");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!((&line["level"], &line["message"]), (&"WARN".into(), &"stopped 7".into()));
        assert_eq!((&line["count"], &line["name"], &line["ok"]), (&3.into(), &"a\"b\nc".into(), &true.into()));
        assert_eq!(line["request_id"], "req-1");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn human_lines_stay_one_line() {
        let text = logged(LogFormat::Human, "info", || tracing::info!(name = "a\nb", "hello"));
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("INFO hello name=\"a\\nb\""), "{text}");
    }

    #[test]
    fn other_crates_never_log_below_info() {
        let text = logged(LogFormat::Json, "trace", || {
            tracing::debug!(target: "hyper::proto", "authorization: Bearer x");
            tracing::info!(target: "hyper::proto", "fine");
            tracing::trace!(target: "authly_server", "ours");
        });
        assert!(!text.contains("Bearer") && text.contains("fine") && text.contains("ours"), "{text}");
    }

    #[test]
    fn access_lines_hold_no_query_and_no_token() {
        let uri: http::Uri = "https://u:p@a/~sx/TOKEN/x?sx-s=SIG".parse().unwrap();
        let log = |status: u16| {
            let line = Line {
                listener: "test",
                method: &http::Method::GET,
                path: uri.path(),
                status: http::StatusCode::from_u16(status).unwrap(),
                duration: Duration::from_micros(1500),
            };
            Budget::default().log(&line, Duration::ZERO);
        };
        assert_eq!(logged(LogFormat::Json, "info", || log(200)), "");
        for (status, level) in [(403, "INFO"), (503, "WARN")] {
            let text = logged(LogFormat::Json, "info", || log(status));
            let line: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&line["level"], &line["status"]), (&level.into(), &status.into()));
            assert_eq!((&line["path"], &line["duration_us"]), (&"/~sx/REDACTED/x".into(), &1500.into()));
            assert!(!["TOKEN", "SIG", "u:p"].iter().any(|secret| text.contains(secret)), "{text}");
        }
        assert!(logged(LogFormat::Json, "info,authly::access=debug", || log(200)).contains("\"status\":200"));
    }

    #[test]
    fn a_wrong_filter_says_what_to_write() {
        let error =
            layer::<tracing_subscriber::Registry, _>(LogFormat::Json, "info,=x=", std::io::stderr).err().unwrap();
        assert!(error.to_string().contains("info,authly::access=debug"), "{error}");
    }
}
