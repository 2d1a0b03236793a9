//! What surrounds every router: the request's context and id, refusal of ambiguous hosts, panics answered 500, the
//! access log and metrics. One allocation for the future, one for the context; nothing else on a request that goes well.

use std::{
    any::Any, convert::Infallible, net::SocketAddr, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration,
};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{Method, Request, Uri};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{
    Networks, Problem, RequestId, access_log, host,
    http_metrics::HttpMetrics,
    listener::watch::{Activity, Watched},
    request_id::{self, CURRENT},
};

/// What the layer knows of a request; extractors read it.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    pub(crate) id: RequestId,
    pub(crate) peer: SocketAddr,
    pub(crate) trusted: Networks,
}

/// What the connections of a listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: &'static str,
    pub(crate) router: Router,
    pub(crate) trusted: Networks,
    pub(crate) metrics: HttpMetrics,
    pub(crate) budget: access_log::Budget,
    pub(crate) started: Instant,
}

/// The service of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) shared: Arc<Shared>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) peer: SocketAddr,
}

impl hyper::service::Service<Request<Incoming>> for Edge {
    type Response = http::Response<Watched<Body>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let busy = Activity::begin(&self.activity, request.version());
        let id = RequestId::of(request.headers());
        let context = RequestContext { id: id.clone(), peer: self.peer, trusted: self.shared.trusted.clone() };
        request.extensions_mut().insert(context);
        let shared = Arc::clone(&self.shared);
        Box::pin(CURRENT.scope(id.clone(), async move {
            let mut response = shared.answer(request).await;
            response.headers_mut().insert(request_id::HEADER, id.header_value());
            Ok(response.map(|body| Watched::new(body, busy)))
        }))
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        let started = Instant::now();
        let method = request.method().clone();
        let uri = request.uri().clone(); // a reference count, no copy
        let response = match refuse(&request) {
            Some(problem) => problem.into_response(),
            None => self.route(request).await,
        };
        self.record(&method, &uri, response.status(), started.elapsed());
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Response {
        let mut router = self.router.clone(); // a reference count
        let answer = AssertUnwindSafe(tower::Service::call(&mut router, request)).catch_unwind().await;
        match answer {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => self.panicked(panic),
        }
    }

    fn panicked(&self, panic: Box<dyn Any + Send>) -> Response {
        drop(panic); // the panic hook has logged where; the message may hold data
        self.metrics.panics.inc();
        Problem::internal().into_response()
    }

    fn record(&self, method: &Method, uri: &Uri, status: http::StatusCode, duration: Duration) {
        self.metrics.answered(method, status, duration.as_secs_f64());
        if status.as_u16() >= 400 || access_log::wants_every_request() {
            let line = access_log::Line { listener: self.name, method, path: uri.path(), status, duration };
            self.budget.log(&line, self.started.elapsed());
        }
    }
}

fn refuse(request: &Request<Incoming>) -> Option<Problem> {
    if request.method() == Method::CONNECT {
        return Some(Problem::method_not_allowed());
    }
    host::check(request.version(), request.uri(), request.headers())
        .err()
        .map(|bad| Problem::bad_request(bad.to_string()))
}
