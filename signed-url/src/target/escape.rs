//! Percent escapes.
//!
//! Owns reading one escaped character. Never passes on what is not UTF-8 or is a control byte: a backend that decodes
//! carelessly must find nothing here to misread. Governed by RFC 3986 section 2.1 and RFC 3629.

use crate::Refusal;

/// Which hexadecimal digits an escape may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hex {
    /// Only `0-9A-F`, in paths.
    Upper,
    /// Both cases, in queries, which are signed verbatim.
    Any,
}

/// Reads the character whose first escape is at `at`; returns it with the length of its escapes in bytes.
pub(super) fn character(text: &[u8], at: usize, hex: Hex) -> Result<(char, usize), Refusal> {
    let mut bytes = [0; 4];
    let first = byte(text, at, hex)?;
    let count = match first {
        0x00..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return Err(NOT_UTF8),
    };
    for (index, slot) in bytes.iter_mut().take(count).enumerate() {
        *slot = byte(text, at + 3 * index, hex).map_err(|refusal| if index == 0 { refusal } else { NOT_UTF8 })?;
    }
    let decoded = bytes.get(..count).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let character = decoded.and_then(|text| text.chars().next()).ok_or(NOT_UTF8)?;
    if character.is_ascii_control() {
        return Err(Refusal::NotCanonical(
            "control bytes are never part of a target, nor escaped (%00, %0A); remove them",
        ));
    }
    Ok((character, 3 * count))
}

/// Reads one escape, `%` and two hexadecimal digits.
pub(super) fn byte(text: &[u8], at: usize, hex: Hex) -> Result<u8, Refusal> {
    let Some(&[b'%', high, low]) = text.get(at..at + 3) else {
        return Err(Refusal::NotCanonical(
            "a percent sign is followed by two hexadecimal digits; write a real one as %25 in the query",
        ));
    };
    Ok(digit(high, hex)? << 4 | digit(low, hex)?)
}

fn digit(digit: u8, hex: Hex) -> Result<u8, Refusal> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        b'a'..=b'f' if hex == Hex::Any => Ok(digit - b'a' + 10),
        b'a'..=b'f' => Err(Refusal::NotCanonical("escapes in a path use upper-case digits; write %C3, not %c3")),
        _ => Err(Refusal::NotCanonical("a percent sign is followed by two hexadecimal digits; correct the escape")),
    }
}

const NOT_UTF8: Refusal = Refusal::NotCanonical("escapes decode to UTF-8 in its shortest form; escape the UTF-8 bytes");
