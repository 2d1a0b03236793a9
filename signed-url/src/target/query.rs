//! The application's query.
//!
//! Owns what may stand before the signature's parameters, and the reservation of every name that anybody could decode
//! to `sx-…`. Never reorders, decodes or drops anything: the query is signed verbatim.
//! Governed by "Native format `sx1`", `sx-*`, and "Attacks", query.

use super::escape::{self, Hex};
use crate::Refusal;

/// Checks the query that begins at `question`, if there is one; returns where `sx-k=` begins.
pub(super) fn scan(text: &[u8], question: usize) -> Result<Option<usize>, Refusal> {
    if text.get(question) != Some(&b'?') {
        return Ok(None);
    }
    let start = question + 1;
    let mut at = start;
    let mut names_begin = true;
    while let Some(&byte) = text.get(at) {
        if names_begin {
            if begins_suffix(text, at) {
                check_edges(text, start, at - 1)?;
                return Ok(Some(at));
            }
            check_name(text, at)?;
        }
        names_begin = byte == b'&' || byte == b';';
        at += match byte {
            b'%' => escape::character(text, at, Hex::Any)?.1,
            _ if is_raw(byte) => 1,
            _ => return Err(Refusal::NotCanonical(RAW)),
        };
    }
    check_edges(text, start, at)?;
    if start == at {
        return Err(Refusal::NotCanonical("no empty query; drop the question mark"));
    }
    Ok(None)
}

/// Only after `?` or `&`: a semicolon separates parameters for some servers, never for us.
fn begins_suffix(text: &[u8], at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.starts_with(b"sx-k=")) && text.get(at - 1) != Some(&b';')
}

/// `text[start..end]` is the application's query; it may be absent only together with its separator.
fn check_edges(text: &[u8], start: usize, end: usize) -> Result<(), Refusal> {
    match text.get(start..end) {
        Some([b'&', ..] | [.., b'&']) => {
            Err(Refusal::NotCanonical("no & at the beginning or end of the query; drop it"))
        }
        // `end` lies before `start` if the suffix follows the question mark: there is no application query.
        Some([]) if text.len() > end => Err(Refusal::NotCanonical("no & at the beginning of the query; drop it")),
        _ => Ok(()),
    }
}

/// Refuses a name that decodes, once, to something beginning with `sx-` in any case.
fn check_name(text: &[u8], mut at: usize) -> Result<(), Refusal> {
    for expected in *b"sx-" {
        let (byte, length) = match text.get(at) {
            Some(b'%') => (escape::byte(text, at, Hex::Any)?, 3),
            Some(&byte) => (byte, 1),
            None => return Ok(()),
        };
        if byte.to_ascii_lowercase() != expected {
            return Ok(());
        }
        at += length;
    }
    Err(Refusal::NotCanonical(
        "sx- parameters are one block at the end: sx-k, sx-e, sx-i, sx-n, sx-m, sx-w, sx-c, sx-s; use the link as issued",
    ))
}

/// What stands in a query unescaped: all visible ASCII but what RFC 3986 excludes and clients rewrite.
fn is_raw(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>')
}

const RAW: &str =
    "spaces, control bytes, non-ASCII and \"#<> do not stand in a query; escape them, and drop a fragment";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        for query in [
            "a",
            "a=b",
            "a=b&c",
            "a&&b",
            "a=%2f%2F%3B%25",
            "a=+",
            "a=?/:@[]{}|\\^`'",
            "s",
            "sx",
            "sx=1",
            "a=sx-k",
            "a;b=1",
            "%C3%BC=1",
            "asx-k=1",
            "=sx-k=1",
        ] {
            assert_eq!(scan(format!("/?{query}").as_bytes(), 1), Ok(None), "{query}");
        }
        assert_eq!(scan(b"/", 1), Ok(None));
        assert_eq!(scan(b"/?sx-k=1&anything \n", 1), Ok(Some(2)));
        assert_eq!(scan(b"/?a=1&sx-k=1", 1), Ok(Some(6)));
    }

    #[test]
    fn refused() {
        for query in [
            "",
            "&",
            "&a",
            "a&",
            "&sx-k=1",
            "a&&sx-k=1",
            "&&sx-k=1",
            "sx-",
            "sx-k",
            "SX-K=1",
            "Sx-k=1",
            "sx%2Dk=1",
            "sx%2dk=1",
            "%73x-k=1",
            "%53%58%2D=",
            "a=1;sx-k=1",
            "a=1;sx-s=1",
            "a&sx-a=1",
            "sx-e=1&sx-k=1",
            "a b",
            "a#b",
            "\"",
            "<",
            ">",
            "é",
            "a=%",
            "a=%1",
            "a=%GG",
            "a=%00",
            "a=%0d%0a",
            "a=%7f",
            "a=%ff",
            "a=%C0%AE",
            "%C1%B3x-k=1",
            "a\0",
            "a\n",
            "a\t",
            "\x7f",
        ] {
            assert_eq!(
                scan(format!("/?{query}").as_bytes(), 1).map_err(|r| r.reason()),
                Err("not_canonical"),
                "{query}"
            );
        }
    }
}
