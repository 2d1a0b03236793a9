//! How kubectl shows the time since something was created (`k8s.io/apimachinery/pkg/util/duration`, `HumanDuration`).

use jiff::Timestamp;

/// The time from `created` to `now`.
pub(crate) fn since(created: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(created.as_second());
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () if days < 730 => format!("{days}d"),
        () if days < 365 * 8 => two(days / 365, 'y', days % 365, 'd'),
        () => format!("{}y", days / 365),
    }
}

fn two(first: i64, unit: char, second: i64, smaller: char) -> String {
    if second == 0 { format!("{first}{unit}") } else { format!("{first}{unit}{second}{smaller}") }
}

#[cfg(test)]
mod tests {
    use super::since;
    use jiff::Timestamp;

    #[test]
    fn is_spelled_as_kubectl_spells_it() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (691_200, "8d"),
            (86_400 * 729, "729d"),
            (86_400 * 731, "2y1d"),
            (86_400 * 3650, "10y"),
        ] {
            let created = Timestamp::from_second(1_000_000_000).unwrap();
            assert_eq!(since(created, Timestamp::from_second(1_000_000_000 + seconds).unwrap()), text, "{seconds}");
        }
    }
}
