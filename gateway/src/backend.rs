//! Where a route's Service is: in a cluster `http://NAME.NAMESPACE.svc:PORT`, elsewhere what the operator of the
//! gateway mapped it to, a URL or a folder of files.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use authly_model::route::Backend;
use axum::body::Body;
use http::Uri;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::files::Files;

/// How long a connection to a backend may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// A mapping that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "--service {0}: write NAMESPACE/NAME=http://HOST:PORT, without a path, or NAMESPACE/NAME=FOLDER of an existing folder"
)]
pub struct BadService(String);

/// Where Services are, and the client that reaches them.
#[derive(Debug)]
pub struct Services {
    mapped: HashMap<(String, String), Mapped>,
    fallback: Option<Arc<Files>>,
    client: Client<HttpConnector, Body>,
}

#[derive(Debug)]
enum Mapped {
    Url(Uri),
    Folder(Arc<Files>),
}

/// Where one request goes.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// Over HTTP.
    Url(std::borrow::Cow<'a, Uri>),
    /// To files on this machine.
    Folder(&'a Files),
}

impl Services {
    /// Reads mappings of the form `NAMESPACE/NAME=URL|DIR`. With `fallback`, every unmapped Service answers from that folder (dev mode).
    ///
    /// # Errors
    /// [`BadService`], with the mapping that cannot be read.
    pub fn new(mappings: &[String], fallback: Option<PathBuf>) -> Result<Self, BadService> {
        let mapped = mappings
            .iter()
            .map(|text| mapping(text).ok_or_else(|| BadService(text.clone())))
            .collect::<Result<_, _>>()?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self { mapped, fallback: fallback.map(|folder| Arc::new(Files::new(&folder))), client })
    }

    pub(crate) fn client(&self) -> &Client<HttpConnector, Body> {
        &self.client
    }

    /// The place of a Service in a namespace.
    pub(crate) fn resolve<'a>(&'a self, namespace: &str, backend: &Backend) -> Option<Target<'a>> {
        use std::borrow::Cow;
        match self.mapped.get(&(namespace.to_owned(), backend.service.clone())) {
            Some(Mapped::Url(uri)) => return Some(Target::Url(Cow::Borrowed(uri))),
            Some(Mapped::Folder(files)) => return Some(Target::Folder(files)),
            None => {}
        }
        if let Some(files) = &self.fallback {
            return Some(Target::Folder(files));
        }
        let uri = format!("http://{}.{namespace}.svc:{}", backend.service, backend.port);
        uri.parse().ok().map(|uri| Target::Url(Cow::Owned(uri)))
    }
}

fn mapping(text: &str) -> Option<((String, String), Mapped)> {
    let (service, place) = text.split_once('=')?;
    let (namespace, name) = service.split_once('/')?;
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return None;
    }
    let mapped = if place.starts_with("http://") {
        let uri: Uri = place.trim_end_matches('/').parse().ok()?;
        (uri.path() == "/" && uri.query().is_none()).then_some(Mapped::Url(uri))?
    } else {
        let folder = PathBuf::from(place);
        folder.is_dir().then(|| Mapped::Folder(Arc::new(Files::new(&folder))))?
    };
    Some(((namespace.to_owned(), name.to_owned()), mapped))
}

#[cfg(test)]
mod tests {
    use super::Services;

    #[test]
    fn reads_mappings() {
        let good = ["shop/files=http://127.0.0.1:9000", "shop/files=http://localhost:9000/", "shop/files=/tmp"];
        for text in good {
            assert!(Services::new(&[text.to_owned()], None).is_ok(), "{text}");
        }
        for text in ["files=/tmp", "shop/files", "shop/=/tmp", "shop/files=http://h/path", "shop/files=/no/such/folder"]
        {
            assert!(Services::new(&[text.to_owned()], None).is_err(), "{text}");
        }
    }
}
