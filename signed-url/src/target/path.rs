//! The path.
//!
//! Owns its one spelling. Never accepts two paths that any common server, proxy or browser would take for the same.
//! Governed by "Native format `sx1`", PATH, and "Attacks", path.

use super::escape::{self, Hex};
use crate::Refusal;

/// Checks the path at the beginning of `text` and returns its length: up to the question mark or the end.
pub(super) fn scan(text: &[u8]) -> Result<usize, Refusal> {
    if text.first() != Some(&b'/') {
        return Err(Refusal::NotCanonical(
            "a target begins with a slash; send path and query only, without scheme and host",
        ));
    }
    let (mut at, mut segment) = (1, 1);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'?' => break,
            b'/' if at == segment => {
                return Err(Refusal::NotCanonical("no empty segments in a path; write one slash, not two"));
            }
            b'/' => {
                check_segment(text, segment, at)?;
                at += 1;
                segment = at;
            }
            b'%' => at += check_escape(text, at)?,
            _ if is_raw(byte) => at += 1,
            _ => return Err(refuse_raw(byte)),
        }
    }
    check_segment(text, segment, at)?;
    Ok(at)
}

/// `text[start..end]` is one segment; the marker of prefix tokens is reserved as the first one.
fn check_segment(text: &[u8], start: usize, end: usize) -> Result<(), Refusal> {
    match text.get(start..end) {
        Some(b"." | b"..") => Err(Refusal::NotCanonical("no dot segments in a path; write the path that is meant")),
        Some(b"~sx") if start == 1 => Err(Refusal::NotCanonical(
            "paths below /~sx belong to prefix tokens; use the URL as issued, or another path",
        )),
        _ => Ok(()),
    }
}

fn check_escape(text: &[u8], at: usize) -> Result<usize, Refusal> {
    let (character, length) = escape::character(text, at, Hex::Upper)?;
    match character {
        // Until a route can permit them: each of these is decoded, or decoded twice, by somebody.
        '/' | '\\' | '%' => {
            Err(Refusal::NotCanonical("%2F, %5C and %25 are not permitted in a path; rename the object"))
        }
        ';' => Err(Refusal::NotCanonical("no semicolon in a path, nor escaped; rename the object")),
        '-' | '.' | '_' | '~' | 'a'..='z' | 'A'..='Z' | '0'..='9' => {
            Err(Refusal::NotCanonical("letters, digits and -._~ are never escaped in a path; write them plainly"))
        }
        _ => Ok(length),
    }
}

/// What stands in a path unescaped: `pchar` of RFC 3986 without the semicolon, which servers read as parameters.
fn is_raw(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

fn refuse_raw(byte: u8) -> Refusal {
    Refusal::NotCanonical(match byte {
        b'#' => "no fragment in a target; drop it",
        b';' => "no semicolon in a path, nor escaped; rename the object",
        b'\\' => "no backslash in a path; write a slash",
        0x80.. => "a path is ASCII; escape other characters as upper-case UTF-8",
        _ => "spaces, control bytes and \"<>[]^`{|} do not stand in a path; escape them",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a/b.c",
            "/...",
            "/.a",
            "/a./b",
            "/..a",
            "/a%20b",
            "/%C3%BC",
            "/%F0%9F%98%80",
            "/a!$&'()*+,=:@b",
            "/%21%24%26%27%28%29%2A%2B%2C%3D%3A%40",
            "/%3F%23",
            "/~sy",
            "/a/~sx/b",
            "/~sxa",
            "/A/a",
            "/%E2%82%AC",
        ] {
            assert_eq!(scan(path.as_bytes()), Ok(path.len()), "{path}");
        }
        assert_eq!(scan(b"/a?b//.."), Ok(2));
    }

    #[test]
    fn refused() {
        for path in [
            "",
            "a",
            "*",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/./a",
            "/../a",
            "/a/.",
            "/a/..",
            "/a/../b",
            "/a/./",
            "/..?q",
            "/%2e",
            "/%2E%2E/a",
            "/.%2E",
            "/..;x/a",
            "/;",
            "/a;b",
            "/%3B",
            "/%3b",
            "/%2F",
            "/%5C",
            "/\\",
            "/%25",
            "/%252e",
            "/%00",
            "/%0A",
            "/%0D",
            "/%7F",
            "/%",
            "/%4",
            "/%4?a",
            "/%G0",
            "/%41",
            "/%7E",
            "/%2D",
            "/%5F",
            "/%c3%bc",
            "/%C3",
            "/%C3a",
            "/%C3%28",
            "/%C0%AE",
            "/%E0%80%AE",
            "/%F4%90%80%80",
            "/%ED%A0%80",
            "/%FF",
            "/%80",
            "/%C3/%BC",
            "/ü",
            "/a b",
            "/a\0",
            "/a\r\n",
            "/a\t",
            "/\"",
            "/<",
            "/>",
            "/[",
            "/]",
            "/^",
            "/`",
            "/{",
            "/|",
            "/}",
            "/#",
            "/a#b",
            "/\x7f",
            "/~sx",
            "/~sx/",
            "/~sx/a/b",
            "http://a.example/",
            "/%E2%82",
            "/%E2%82%2E",
        ] {
            assert_eq!(scan(path.as_bytes()).map_err(|r| r.reason()), Err("not_canonical"), "{path}");
        }
    }
}
