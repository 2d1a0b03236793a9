//! Which kinds a word names: those of the command line (`clients`), those of kubectl (plural, singular, short names,
//! kind, category), or `all`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// The words of `authly get` for people, and the kinds that they stand for.
const WORDS: [(&str, &str); 4] = [
    ("clients", "OAuthClient"),
    ("routes", "SignedUrlRoute"),
    ("policies", "AccessPolicy"),
    ("retentions", "RetentionPolicy"),
];

/// A word that names no kind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnknownKind {
    #[error("`{0}` is no kind: write tenants, clients, routes, policies, retentions or all")]
    Word(String),
    #[error("the definitions of the kinds cannot be read: {0}")]
    Definitions(#[from] serde_json::Error),
}

/// The kinds that `word` names, and whether it asks for several.
pub(crate) fn selected(word: &str) -> Result<(Vec<CustomResourceDefinition>, bool), UnknownKind> {
    let all = authly_crds::all()?;
    let lower = word.to_ascii_lowercase();
    if lower == "all" {
        return Ok((all, true));
    }
    let in_category = |crd: &CustomResourceDefinition| crd.spec.names.categories.iter().flatten().any(|c| *c == lower);
    let category: Vec<_> = all.iter().filter(|crd| in_category(crd)).cloned().collect();
    if !category.is_empty() {
        return Ok((category, true));
    }
    let kind: Vec<_> = all.into_iter().filter(|crd| names(crd).any(|name| name == lower)).collect();
    if kind.is_empty() { Err(UnknownKind::Word(word.chars().take(64).collect())) } else { Ok((kind, false)) }
}

fn names(crd: &CustomResourceDefinition) -> impl Iterator<Item = String> {
    let names = &crd.spec.names;
    let words = WORDS.iter().filter(|(_, kind)| *kind == names.kind).map(|(word, _)| (*word).to_owned());
    let own = [names.plural.clone(), names.kind.to_ascii_lowercase()];
    words.chain(own).chain(names.singular.clone()).chain(names.short_names.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::selected;

    fn kinds(word: &str) -> Vec<String> {
        selected(word).map(|(crds, _)| crds.into_iter().map(|crd| crd.spec.names.kind).collect()).unwrap_or_default()
    }

    #[test]
    fn kinds_go_by_every_name_that_kubectl_knows() {
        assert_eq!(kinds("all").len(), 5);
        assert!(!kinds("authly").contains(&"Tenant".to_owned()));
        assert_eq!(kinds("authly").len(), 4);
        for word in ["clients", "oauthclients", "OAuthClient", "oauthclient"] {
            assert_eq!(kinds(word), ["OAuthClient"], "{word}");
        }
        for (word, kind) in [("tenants", "Tenant"), ("atn", "Tenant"), ("policies", "AccessPolicy")] {
            assert_eq!(kinds(word), [kind], "{word}");
        }
        assert!(selected("pods").unwrap_err().to_string().contains("tenants, clients"));
    }
}
