//! The request target: path and query as they stand in the request line.
//!
//! Owns the question "is this the one spelling?" and where the signature's parameters begin. Never normalises, never
//! decodes for anybody else, never allocates. Governed by "Native format `sx1`", PATH and `sx-*`; RFC 3986.

mod escape;
mod path;
mod query;

use crate::{MAX_TARGET, Refusal};

/// A canonical target without `sx-*` parameters: what an application asks for and what a backend is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    text: &'a str,
    path_length: usize,
}

impl<'a> Target<'a> {
    /// Reads `/path` or `/path?query`.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let split = Split::parse(text)?;
        match split.suffix {
            None => Ok(split.target),
            Some(_) => Err(Refusal::NotCanonical("names beginning with sx- are the signature's; rename the parameter")),
        }
    }

    /// Path and query, verbatim.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The path, verbatim.
    pub fn path(&self) -> &'a str {
        self.text.get(..self.path_length).unwrap_or_default()
    }

    /// The query, verbatim, without the question mark.
    pub fn query(&self) -> Option<&'a str> {
        self.text.get(self.path_length + 1..)
    }
}

/// A target cut where the signature's parameters begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Split<'a> {
    /// The application's part: what remains once the suffix and the separator before it are removed.
    pub(crate) target: Target<'a>,
    /// From `sx-k=` to the end, still unread.
    pub(crate) suffix: Option<&'a str>,
}

impl<'a> Split<'a> {
    /// One pass over path and application query; the suffix is left to the strict reader of `claims`.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        check_length(text)?;
        let path_length = path::scan(text.as_bytes())?;
        let suffix_start = query::scan(text.as_bytes(), path_length)?;
        // Every index stands before or after an ASCII byte, so no `get` below can fail.
        let end = suffix_start.map_or(text.len(), |start| start - 1);
        let target = Target { text: text.get(..end).unwrap_or_default(), path_length };
        Ok(Self { target, suffix: suffix_start.and_then(|start| text.get(start..)) })
    }
}

/// Holds the bound on every target and token, before anything else looks at it.
pub(crate) fn check_length(text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_TARGET {
        return Err(Refusal::NotCanonical("path, query and token are 8192 bytes at most; shorten the query"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let target = Target::parse("/a/b?c=d&e").unwrap();
        assert_eq!((target.path(), target.query()), ("/a/b", Some("c=d&e")));
        let target = Target::parse("/").unwrap();
        assert_eq!((target.path(), target.query()), ("/", None));
    }

    #[test]
    fn the_suffix_is_cut_with_its_separator() {
        for (text, target, suffix) in [
            ("/a?sx-k=1", "/a", "sx-k=1"),
            ("/a?b&sx-k=1", "/a?b", "sx-k=1"),
            ("/a?b=?&sx-k=1&x", "/a?b=?", "sx-k=1&x"),
        ] {
            let split = Split::parse(text).unwrap();
            assert_eq!((split.target.as_str(), split.suffix), (target, Some(suffix)));
        }
    }

    #[test]
    fn the_bound() {
        assert!(Target::parse(&format!("/{}", "a".repeat(8191))).is_ok());
        assert!(Target::parse(&format!("/{}", "a".repeat(8192))).is_err());
    }
}
