//! One line per request, with no personal data: method, path without query, status, duration, request id. Never a
//! client address, a header or a body. A token in a path (`/~sx/TOKEN/…`) is cut out, and a signature
//! that somebody escaped into the path.
//!
//! At level info only answers from 400 on are logged, at most [`LINES_PER_SECOND`] (the rest is counted in the next
//! line's `suppressed`), so that refused requests cannot fill a disk. `AUTHLY_LOG=info,authly::access=debug` logs every request.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use http::{Method, StatusCode};

/// The target of access lines, for filters.
pub(crate) const TARGET: &str = "authly::access";
const LINES_PER_SECOND: u64 = 200;
const MAX_PATH: usize = 256;

/// Whether an answer will be logged, so that the path is kept only then.
pub(crate) fn wants_every_request() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
}

/// What a line says.
pub(crate) struct Line<'a> {
    pub(crate) listener: &'static str,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) status: StatusCode,
    pub(crate) duration: Duration,
}

/// Limits the lines of one listener.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// Second of the process ‖ lines in it (the low 32 bits).
    window: AtomicU64,
    suppressed: AtomicU64,
}

impl Budget {
    /// Writes the line, if its level and the budget allow.
    pub(crate) fn log(&self, line: &Line<'_>, uptime: Duration) {
        let Line { listener, method, status, .. } = *line;
        let (method, status) = (method.as_str(), status.as_u16());
        let duration_us = u64::try_from(line.duration.as_micros()).unwrap_or(u64::MAX);
        if status < 400 || wants_every_request() {
            let path = redact(line.path);
            tracing::debug!(target: TARGET, listener, method, %path, status, duration_us, "request");
            return;
        }
        let Some(suppressed) = self.admit(uptime.as_secs()) else { return };
        let path = redact(line.path);
        if status >= 500 {
            tracing::warn!(target: TARGET, listener, method, %path, status, duration_us, suppressed, "request");
        } else {
            tracing::info!(target: TARGET, listener, method, %path, status, duration_us, suppressed, "request");
        }
    }

    /// Takes a place in this second; gives how many lines were suppressed since the last one.
    fn admit(&self, second: u64) -> Option<u64> {
        let taken = self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
            let (at, lines) = (window >> 32, window & u64::from(u32::MAX));
            match (at == second & u64::from(u32::MAX), lines < LINES_PER_SECOND) {
                (true, true) => Some(window + 1),
                (true, false) => None,
                (false, _) => Some((second << 32) | 1),
            }
        });
        if taken.is_ok() {
            Some(self.suppressed.swap(0, Ordering::Relaxed))
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

/// The first 256 characters of the path, without what follows a `~sx` segment (in any spelling of it). Cut before it is looked at:
/// escapes of escapes take a pass for each layer, and a stranger chooses how many there are.
pub(crate) fn redact(path: &str) -> Cow<'_, str> {
    match path.char_indices().nth(MAX_PATH) {
        Some((at, _)) => Cow::Owned(format!("{}…", without_secrets(&path[..at]))),
        None => without_secrets(path),
    }
}

fn without_secrets(path: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut cut = false;
    let mut hide = false;
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        let marker = is_prefix_marker(segment);
        if hide && !marker && !segment.is_empty() {
            out.push_str("REDACTED");
            (hide, cut) = (false, true);
        } else {
            out.push_str(segment);
            hide = hide || marker;
        }
    }
    without_signature(if cut { Cow::Owned(out) } else { Cow::Borrowed(path) })
}

/// `~sx`, also percent-encoded in whole or part, any number of times: what a lenient peer might have sent.
fn is_prefix_marker(segment: &str) -> bool {
    fully_decoded(segment).eq_ignore_ascii_case("~sx")
}

/// A query whose question mark was escaped is part of the path, and its signature is good once that is undone.
fn without_signature(path: Cow<'_, str>) -> Cow<'_, str> {
    if !fully_decoded(&path).to_ascii_lowercase().contains("sx-s") {
        return path;
    }
    let begin = path.find(['%', '&', ';', '=']).into_iter().chain(path.to_ascii_lowercase().find("sx-s")).min();
    Cow::Owned(format!("{}REDACTED", path.get(..begin.unwrap_or(0)).unwrap_or_default()))
}

pub(crate) fn fully_decoded(text: &str) -> Cow<'_, str> {
    let mut decoded = Cow::Borrowed(text);
    while decoded.contains('%') {
        let next = decode(&decoded);
        if next == decoded {
            break;
        }
        decoded = Cow::Owned(next);
    }
    decoded
}

/// Decodes escapes of ASCII; leaves others.
fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let byte = rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii);
        match byte {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Budget, LINES_PER_SECOND, MAX_PATH, redact};

    #[test]
    fn tokens_in_paths_are_cut_out() {
        for (path, logged) in [
            ("/reports/q3.pdf", "/reports/q3.pdf"),
            ("/~sx/TOKEN.SIG/videos/1.ts", "/~sx/REDACTED/videos/1.ts"),
            ("/a/~sx/TOKEN", "/a/~sx/REDACTED"),
            ("/%7Esx/TOKEN/x", "/%7Esx/REDACTED/x"),
            ("/%257e%73x/TOKEN/x", "/%257e%73x/REDACTED/x"),
            ("//~SX//TOKEN/x", "//~SX//REDACTED/x"),
            ("/~sx/~sx/TOKEN", "/~sx/~sx/REDACTED"),
            ("/%zz%/x%", "/%zz%/x%"),
            ("/a%3Fsx-k=K&sx-e=1&sx-s=SIG", "/aREDACTED"),
            ("/a%253Fsx%252Ds=SIG", "/aREDACTED"),
            ("/a;SX-S=SIG", "/aREDACTED"),
            ("/sx-s", "/REDACTED"),
            ("", ""),
        ] {
            assert_eq!(redact(path), logged, "{path}");
        }
        assert_eq!(redact(&"é".repeat(300)).chars().count(), 257);
        assert_eq!(redact(&format!("/~sx/{}", "T".repeat(300))), "/~sx/REDACTED…");
    }

    /// Decoding all of it would take minutes.
    #[test]
    fn layers_of_escapes_far_into_a_path_cost_nothing() {
        let path = format!("/%{}", "25".repeat(500_000));
        let begun = std::time::Instant::now();
        assert_eq!(redact(&path).chars().count(), MAX_PATH + 1);
        assert_eq!(redact(&format!("/a%3Fsx-k=K&sx-s={path}")), "/aREDACTED…");
        assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_flood_is_counted_not_written() {
        let budget = Budget::default();
        let written = (0..1000).filter(|_| budget.admit(5).is_some()).count();
        assert_eq!(written as u64, LINES_PER_SECOND);
        assert_eq!(budget.admit(6), Some(1000 - LINES_PER_SECOND));
        assert_eq!(budget.admit(6), Some(0));
    }
}
