//! How many connections the file descriptors of this process are enough for. Without this bound a flood of connections takes the
//! descriptors that the database, backends and logs need.

/// The most connections that are told that they are too many, at once.
const REFUSALS: usize = 64;

/// Connections to serve, and further ones to refuse with an answer: together at most half of the descriptors that the process may
/// open, or what was asked for where the system does not tell.
pub(super) fn affordable(asked: usize) -> (usize, usize) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    share(asked, soft(&limits).unwrap_or(usize::MAX))
}

fn share(asked: usize, descriptors: usize) -> (usize, usize) {
    let half = descriptors / 2;
    let refusals = REFUSALS.min(half / 8).max(1);
    (asked.min(half.saturating_sub(refusals)).max(1), refusals)
}

/// The soft limit in `/proc/PID/limits`; `unlimited` is none.
fn soft(limits: &str) -> Option<usize> {
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{share, soft};

    #[test]
    fn half_of_the_descriptors_at_most() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max cpu time              unlimited            unlimited            seconds   \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(soft(limits), Some(1024));
        assert_eq!(soft(&limits.replace("1024     ", "unlimited")), None);
        assert_eq!(soft(""), None);
        assert_eq!(share(4096, usize::MAX), (4096, 64));
        assert_eq!(share(4096, 1024), (448, 64));
        assert_eq!(share(4096, 120), (53, 7));
        assert_eq!(share(10, 1024), (10, 64));
        assert_eq!(share(4096, 2), (1, 1));
    }
}
