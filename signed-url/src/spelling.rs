//! The one spelling of numbers and of binary values.
//!
//! Owns canonical decimals and unpadded base64url. Never accepts a second spelling of the same value.
//! Governed by "Native format `sx1`": decimal without leading zeros, base64url with zero trailing bits.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Refusal;

/// The largest number of digits of any number in the format; keeps every value far below `i64::MAX`.
const MAX_DIGITS: usize = 10;

/// Reads a decimal: digits only, no sign, no leading zero, ten digits at most.
pub(crate) fn decimal(text: &str) -> Result<i64, Refusal> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_DIGITS || !bytes.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::NotCanonical("a number is 1 to 10 decimal digits; write it without sign or spaces"));
    }
    if bytes.len() > 1 && bytes.first() == Some(&b'0') {
        return Err(Refusal::NotCanonical("a number has no leading zeros; drop them"));
    }
    Ok(bytes.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

/// Reads a decimal between `low` and `high`; `rule` is what to say if it lies outside.
pub(crate) fn bounded(text: &str, low: u32, high: u32, rule: &'static str) -> Result<u32, Refusal> {
    let value = u32::try_from(decimal(text)?).map_err(|_| Refusal::NotCanonical(rule))?;
    if (low..=high).contains(&value) { Ok(value) } else { Err(Refusal::NotCanonical(rule)) }
}

/// Reads exactly `N` bytes of unpadded base64url whose unused trailing bits are zero.
pub(crate) fn base64_array<const N: usize>(text: &str, rule: &'static str) -> Result<[u8; N], Refusal> {
    let mut value = [0; N];
    // The length is compared first, so that the decoder never sees more than it needs.
    if text.len() != (N * 4).div_ceil(3) {
        return Err(Refusal::NotCanonical(rule));
    }
    match URL_SAFE_NO_PAD.decode_slice(text, &mut value) {
        Ok(length) if length == N => Ok(value),
        _ => Err(Refusal::NotCanonical(rule)),
    }
}

/// Reads base64url of any length, under the same rule.
pub(crate) fn base64_text(text: &str, rule: &'static str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::NotCanonical(rule))?;
    String::from_utf8(bytes).map_err(|_| Refusal::NotCanonical(rule))
}

/// Appends unpadded base64url.
pub(crate) fn push_base64(out: &mut String, bytes: &[u8]) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
}

/// Unpadded base64url as a string of its own.
pub(crate) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_of_a_number() {
        assert_eq!(decimal("0"), Ok(0));
        assert_eq!(decimal("9999999999"), Ok(9_999_999_999));
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "1e3", "0x1", "10000000000", "١"] {
            assert_eq!(decimal(bad).map_err(|r| r.reason()), Err("not_canonical"), "{bad}");
        }
    }

    #[test]
    fn one_spelling_of_bytes() {
        assert_eq!(base64_array::<2>("AAA", "rule"), Ok([0, 0]));
        for bad in ["AAB", "AA=", "AA", "AAAA", "A+A", "A/A", "A A", "AA\n"] {
            assert!(base64_array::<2>(bad, "rule").is_err(), "{bad}");
        }
    }
}
