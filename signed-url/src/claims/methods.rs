//! The signed methods.
//!
//! Owns their one spelling: GET stands for GET and HEAD, the default is not spelled, the rest is sorted.
//! Never compares without case. Governed by "Native format `sx1`", methods; RFC 9110 section 9.

use std::borrow::Cow;

use crate::Refusal;

const MAX_METHODS: usize = 16;
const MAX_LENGTH: usize = 20;

/// The methods a URL is good for. The default is GET and HEAD; GET always brings HEAD.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Methods<'a>(Option<Cow<'a, str>>);

impl<'a> Methods<'a> {
    /// Makes the one spelling of a set of methods, given in any order.
    pub fn new<'m>(methods: impl IntoIterator<Item = &'m str>) -> Result<Methods<'static>, Refusal> {
        let mut methods: Vec<&str> = methods.into_iter().collect();
        methods.sort_unstable();
        methods.dedup();
        if methods.contains(&"GET") {
            methods.retain(|method| *method != "HEAD");
        }
        if methods == ["GET"] {
            return Ok(Methods(None));
        }
        let spelled = methods.join(".");
        Methods::parse(&spelled)?;
        Ok(Methods(Some(Cow::Owned(spelled))))
    }

    /// Reads the value of `sx-m`.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        let mut previous = "";
        for (index, method) in text.split('.').enumerate() {
            if index == MAX_METHODS || !is_method(method) {
                return Err(Refusal::NotCanonical(
                    "sx-m is 1 to 16 methods of upper-case letters and hyphens, separated by dots",
                ));
            }
            if method <= previous {
                return Err(Refusal::NotCanonical("methods in sx-m are sorted, each once; sort them"));
            }
            if method == "HEAD" && text.split('.').any(|other| other == "GET") {
                return Err(Refusal::NotCanonical("GET brings HEAD in sx-m; leave HEAD out"));
            }
            previous = method;
        }
        if text == "GET" {
            return Err(Refusal::NotCanonical("GET and HEAD are the default; leave sx-m out"));
        }
        Ok(Self(Some(Cow::Borrowed(text))))
    }

    /// Is this method among them? Case matters.
    pub fn allows(&self, method: &str) -> bool {
        self.iter().any(|signed| signed == method)
    }

    /// All of them, HEAD after GET.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let spelled = self.0.as_deref().unwrap_or("GET").split('.');
        spelled.flat_map(|method| [Some(method), (method == "GET").then_some("HEAD")]).flatten()
    }

    /// The value of `sx-m`; `None` for the default, which is not spelled.
    pub fn spelled(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(crate) fn into_owned(self) -> Methods<'static> {
        Methods(self.0.map(|text| Cow::Owned(text.into_owned())))
    }
}

/// Upper-case letters, with hyphens inside; the registered methods are all of this form.
fn is_method(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= MAX_LENGTH
        && bytes.first().is_some_and(u8::is_ascii_uppercase)
        && bytes.last().is_some_and(u8::is_ascii_uppercase)
        && bytes.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_brings_head() {
        let methods = Methods::default();
        assert!(methods.allows("GET") && methods.allows("HEAD"));
        assert!(!methods.allows("PUT") && !methods.allows("get") && !methods.allows(""));
        assert_eq!(Methods::new(["PUT", "HEAD", "GET"]).unwrap().spelled(), Some("GET.PUT"));
        assert_eq!(Methods::new(["HEAD", "GET", "GET"]).unwrap(), Methods::default());
        assert_eq!(Methods::parse("GET.PUT").unwrap().iter().collect::<Vec<_>>(), ["GET", "HEAD", "PUT"]);
    }

    #[test]
    fn head_alone_is_not_get() {
        let methods = Methods::parse("HEAD").unwrap();
        assert!(methods.allows("HEAD") && !methods.allows("GET"));
    }

    #[test]
    fn one_spelling() {
        for bad in [
            "",
            "GET",
            "GET.HEAD",
            "GET.HEAD.PUT",
            "PUT.GET",
            "PUT.PUT",
            "put",
            "Put",
            ".PUT",
            "PUT.",
            "PUT..X",
            "-X",
            "X-",
            "P%55T",
            "P T",
        ] {
            assert_eq!(Methods::parse(bad).map_err(|r| r.reason()), Err("not_canonical"), "{bad}");
        }
        assert!(Methods::new([]).is_err());
        assert!(Methods::new(["PUT.GET"]).is_err());
    }
}
