//! The form body of OAuth requests (RFC 6749 section 3.2): bounded, and no parameter twice, except
//! `resource`, which RFC 8707 section 2 allows to repeat.

use axum::extract::{FromRequest, Request};
use http::header;
use std::collections::HashMap;

use super::error::OAuthError;
use crate::api::{self, BadBody};

/// The largest body accepted.
const MAX_BODY: usize = 64 * 1024;
/// The most parameters in one body.
const MAX_PARAMETERS: usize = 100;

/// Parsed parameters. An empty value counts as absent (RFC 6749 section 3.1).
#[derive(Debug, Default)]
pub(crate) struct Form {
    single: HashMap<String, String>,
    /// The values of `resource`, in order.
    pub(crate) resources: Vec<String>,
}

impl Form {
    /// Takes a parameter out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.single.remove(name)
    }

    /// Takes a parameter that must be there.
    pub(crate) fn require(&mut self, name: &'static str) -> Result<String, OAuthError> {
        self.take(name).ok_or_else(|| OAuthError::InvalidRequest(format!("the parameter {name} is missing")))
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        let mut form = Self::default();
        for (count, (name, value)) in form_urlencoded::parse(body).enumerate() {
            if count >= MAX_PARAMETERS {
                return Err(OAuthError::InvalidRequest(format!("at most {MAX_PARAMETERS} parameters are accepted")));
            }
            if value.is_empty() {
                continue;
            }
            if name == "resource" {
                form.resources.push(value.into_owned());
            } else if form.single.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                let name: String = name.chars().take(40).collect();
                return Err(OAuthError::InvalidRequest(format!("the parameter {name} is given twice: send it once")));
            }
        }
        Ok(form)
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, _: &S) -> Result<Self, OAuthError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::UnsupportedMediaType);
        }
        let body = api::body(request, MAX_BODY).await.map_err(|refused| match refused {
            BadBody::TooLarge => OAuthError::TooLarge,
            BadBody::Broken => OAuthError::InvalidRequest("the body is cut off, or took longer than 10 s".to_owned()),
        })?;
        if !body.is_ascii() {
            return Err(OAuthError::InvalidRequest("the body must be percent-encoded ASCII".to_owned()));
        }
        Self::parse(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn takes_each_parameter_once_and_resource_often() {
        let mut form =
            Form::parse(b"grant_type=client_credentials&scope=a+b%20c&empty=&empty=&resource=x&resource=y").unwrap();
        assert_eq!(form.take("scope").as_deref(), Some("a b c"));
        assert_eq!(form.take("empty"), None);
        assert_eq!(form.resources, ["x", "y"]);
        assert!(Form::parse(b"scope=a&scope=b").is_err());
        let many = (0..200).map(|i| format!("p{i}=1&")).collect::<String>();
        assert!(Form::parse(many.as_bytes()).is_err());
    }
}
