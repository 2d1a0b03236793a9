//! Environment variables: an `AUTHLY_` variable that nothing reads is a typing error, so it stops the start.

const PREFIX: &str = "AUTHLY_";
/// What Kubernetes appends to a Service's name when it injects links into a pod.
const SERVICE_LINKS: [&str; 3] = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];

/// An `AUTHLY_` variable that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name} is not known: {advice}")]
pub struct UnknownVariable {
    /// The variable's name; its value is never shown.
    pub name: String,
    /// What to do.
    pub advice: String,
}

/// Refuses every `AUTHLY_` variable of this process that is not in `known`.
///
/// # Errors
/// [`UnknownVariable`], naming the first one and the nearest known name.
pub fn refuse_unknown_environment(known: &[&str]) -> Result<(), UnknownVariable> {
    check(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()), known)
}

fn check(names: impl Iterator<Item = String>, known: &[&str]) -> Result<(), UnknownVariable> {
    let mut unknown: Vec<_> =
        names.filter(|name| name.to_ascii_uppercase().starts_with(PREFIX) && !known.contains(&name.as_str())).collect();
    unknown.sort();
    unknown.into_iter().next().map_or(Ok(()), |name| Err(UnknownVariable { advice: advice(&name, known), name }))
}

fn advice(name: &str, known: &[&str]) -> String {
    let is_link = SERVICE_LINKS.iter().any(|suffix| name.ends_with(suffix)) || name.contains("_PORT_");
    let nearest = known
        .iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, candidate)) => format!("did you mean {candidate}? Correct it or remove it"),
        None if is_link => "Kubernetes injected it; set enableServiceLinks: false in the pod".to_owned(),
        None => "remove it; `authly --help` lists the variables".to_owned(),
    }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{check, distance};

    #[test]
    fn names_the_variable_and_the_nearest_one() {
        let known = ["AUTHLY_LISTEN", "AUTHLY_DATABASE_URL", "AUTHLY_KEK"];
        let of = |names: &[&str]| check(names.iter().map(|n| (*n).to_owned()), &known).map_err(|e| e.to_string());
        assert_eq!(of(&["PATH", "AUTHLY_KEK", "AUTHLY_LISTEN"]), Ok(()));
        let said = of(&["AUTHLY_LISTNE"]).unwrap_err();
        assert!(said.contains("AUTHLY_LISTNE is not known: did you mean AUTHLY_LISTEN?"), "{said}");
        assert!(of(&["authly_kek"]).is_err());
        assert!(of(&["AUTHLY_FROBNICATE"]).unwrap_err().contains("authly --help"));
        for link in ["AUTHLY_SERVER_SERVICE_HOST", "AUTHLY_SERVER_PORT_8080_TCP_ADDR"] {
            assert!(of(&[link]).unwrap_err().contains("enableServiceLinks"), "{link}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
