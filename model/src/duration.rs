//! Durations as manifests spell them: `^[0-9]{1,5}[smhd]$` (operator.md, "Kinds").

use serde::{Deserialize, Serialize};

/// A whole number of seconds, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub i64);

/// Why a duration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write one to five digits and a unit, such as 30s, 15m, 24h or 7d")]
pub struct BadDuration(pub String);

impl std::str::FromStr for Seconds {
    type Err = BadDuration;

    fn from_str(text: &str) -> Result<Self, BadDuration> {
        let bad = || BadDuration(text.chars().take(20).collect());
        let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
        let digits_ok = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(bad()),
        };
        if !digits_ok {
            return Err(bad());
        }
        digits.parse::<i64>().map(|n| Self(n * factor)).map_err(|_| bad())
    }
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (factor, unit) in [(86_400, 'd'), (3600, 'h'), (60, 'm')] {
            if self.0 != 0 && self.0 % factor == 0 {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Seconds;

    #[test]
    fn reads_and_prints_what_manifests_write() {
        for (text, seconds) in [("15m", 900), ("24h", 86_400), ("30d", 2_592_000), ("0s", 0), ("99999d", 8_639_913_600)]
        {
            assert_eq!(text.parse(), Ok(Seconds(seconds)), "{text}");
        }
        assert_eq!(Seconds(900).to_string(), "15m");
        assert_eq!(Seconds(86_400).to_string(), "1d");
        assert_eq!(Seconds(61).to_string(), "61s");
        for text in ["", "s", "1", "-1s", "1.5h", "100000s", "1w", "１s", "1S", " 1s", "é"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }
}
