//! Errors of the Kubernetes client as the engine's. Texts about Secrets carry the code and reason only, since an API
//! server may quote what it refuses.

use kube::{Error, runtime::watcher};

use crate::engine::ClusterError;

/// A text for logs: what the API server said, or why it could not be asked.
pub(crate) fn describe(error: &Error) -> String {
    match error {
        Error::Api(status) => format!("{} {}: {}", status.code, status.reason, status.message),
        other => other.to_string(),
    }
}

/// As [`describe`], for watches.
pub(super) fn describe_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => describe(error),
        watcher::Error::WatchError(status) => format!("{} {}: {}", status.code, status.reason, status.message),
        watcher::Error::NoResourceVersion => "the API server sent no resourceVersion".to_owned(),
    }
}

/// The engine's view of an error; `fix` is what would permit a forbidden request.
pub(super) fn translate(error: &Error, fix: &str) -> ClusterError {
    match error {
        Error::Api(status) => match status.code {
            404 => ClusterError::NotFound,
            409 => ClusterError::Conflict,
            401 | 403 => ClusterError::Denied { fix: fix.to_owned() },
            429 | 500..=599 => ClusterError::Unavailable(format!("{} {}", status.code, status.reason)),
            _ => ClusterError::Refused(status.message.clone()),
        },
        other => ClusterError::Unavailable(kind_of(other).to_owned()),
    }
}

/// As [`translate`], for requests that carry or answer Secrets.
pub(super) fn translate_secret(error: &Error, fix: &str) -> ClusterError {
    match translate(error, fix) {
        ClusterError::Refused(_) => {
            let reason = if let Error::Api(status) = error { status.reason.clone() } else { String::new() };
            ClusterError::Refused(format!("the API server refused the Secret ({reason})"))
        }
        other => other,
    }
}

const fn kind_of(error: &Error) -> &'static str {
    match error {
        Error::Service(_) | Error::HyperError(_) => "the connection failed",
        Error::Auth(_) => "the credentials of the operator could not be read",
        Error::SerdeError(_) | Error::FromUtf8(_) => "the answer could not be read",
        _ => "the request failed",
    }
}

#[cfg(test)]
mod tests {
    use super::{translate, translate_secret};
    use crate::engine::ClusterError;
    use kube::{Error, core::Status};

    fn api(code: u16, message: &str) -> Error {
        Error::Api(Box::new(Status::failure(message, "Invalid").with_code(code)))
    }

    #[test]
    fn what_an_api_server_quotes_of_a_secret_goes_nowhere() {
        let error = api(422, "data[client_secret]: Invalid value: \"authly_cs_x\"");
        assert!(matches!(translate(&error, ""), ClusterError::Refused(text) if text.contains("authly_cs_")));
        let ClusterError::Refused(text) = translate_secret(&error, "") else { panic!("refused") };
        assert!(text.contains("Invalid") && !text.contains("authly_cs_"), "{text}");
    }

    #[test]
    fn codes_become_what_the_engine_does_about_them() {
        assert_eq!(translate(&api(409, ""), ""), ClusterError::Conflict);
        assert_eq!(translate(&api(404, ""), ""), ClusterError::NotFound);
        assert_eq!(translate(&api(403, ""), "do it"), ClusterError::Denied { fix: "do it".to_owned() });
        assert!(matches!(translate(&api(503, ""), ""), ClusterError::Unavailable(_)));
    }
}
