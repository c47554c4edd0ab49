//! The only way to add routes.
//!
//! volo-http's own router answers an unknown route and a wrong method with an empty body, and a wrong method without
//! `Allow`. This table knows which methods a path has, so both answer in the envelope, and an extractor that refuses
//! with an empty body does, too. It adds no layer of its own around a handler.
//!
//! A route that has a class ([`classed`]) lets a request in through the gate of its table before anything of it is
//! taken apart: after matching, because then the class is known without another look-up, and before its body is read.

use std::{collections::BTreeMap, convert::Infallible, future::Future, marker::PhantomData, sync::Arc};

use http::{HeaderValue, StatusCode, header::ALLOW};
use http_body::Body as _;
use motore::Service;
use volo_http::{
    body::Body,
    context::ServerContext,
    request::Request,
    response::Response,
    server::{
        IntoResponse, Router,
        extract::{FromContext, FromRequest},
        route::{MethodRouter, any},
    },
};

use super::{ApiError, envelope::AnsweredCode};
use crate::{
    error_code::{ErrorCode, PublicError},
    governance::{
        Class,
        shedding::{Gate, ending_of},
    },
};

/// A table of routes: `Routes::new().get("/v1/sdk/me", me).post("/v1/sdk/login", login)`.
#[derive(Default)]
pub struct Routes {
    gate: Option<Arc<Gate>>,
    paths: BTreeMap<&'static str, Path>,
}

struct Path {
    methods: MethodRouter,
    allowed: Vec<&'static str>,
    /// Of each way to ask for it, in the order they were added.
    classes: Vec<Option<Class>>,
}

/// An async function of extractors that answers something: what volo-http calls a handler, and keeps to itself.
/// Implemented for functions of up to eight arguments; the last one may take the body.
pub trait Endpoint<Arguments>: Clone + Send + Sync + 'static {
    /// Takes the request apart, calls the function, and turns what it returns into the answer.
    fn answer(self, cx: &mut ServerContext, request: Request) -> impl Future<Output = Response> + Send;

    /// What its requests are for. None: they are let in whatever happens.
    fn class(&self) -> Option<Class> {
        None
    }
}

/// An endpoint whose requests have a class, see [`classed`].
#[derive(Clone, Copy, Debug)]
pub struct Classed<E> {
    class: Class,
    endpoint: E,
}

/// An endpoint whose requests are let in as `class` when there is not room for all. An endpoint without one (health,
/// metrics, what operators ask for) is never refused.
pub fn classed<E>(class: Class, endpoint: E) -> Classed<E> {
    Classed { class, endpoint }
}

impl Routes {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty table whose requests come in through `gate`, those that have a class.
    pub fn behind(gate: Arc<Gate>) -> Self {
        Self { gate: Some(gate), ..Self::default() }
    }

    /// `GET`, and `HEAD` with it (RFC 9110, section 9.3.2).
    #[must_use]
    pub fn get<E: Endpoint<A>, A: 'static>(self, path: &'static str, endpoint: E) -> Self {
        let (class, head, get) = (endpoint.class(), self.service(endpoint.clone()), self.service(endpoint));
        self.on(path, &["GET", "HEAD"], class, |methods| methods.get_service(get).head_service(head))
    }

    /// `POST`.
    #[must_use]
    pub fn post<E: Endpoint<A>, A: 'static>(self, path: &'static str, endpoint: E) -> Self {
        let (class, service) = (endpoint.class(), self.service(endpoint));
        self.on(path, &["POST"], class, |methods| methods.post_service(service))
    }

    /// `PUT`.
    #[must_use]
    pub fn put<E: Endpoint<A>, A: 'static>(self, path: &'static str, endpoint: E) -> Self {
        let (class, service) = (endpoint.class(), self.service(endpoint));
        self.on(path, &["PUT"], class, |methods| methods.put_service(service))
    }

    /// `PATCH`.
    #[must_use]
    pub fn patch<E: Endpoint<A>, A: 'static>(self, path: &'static str, endpoint: E) -> Self {
        let (class, service) = (endpoint.class(), self.service(endpoint));
        self.on(path, &["PATCH"], class, |methods| methods.patch_service(service))
    }

    /// `DELETE`.
    #[must_use]
    pub fn delete<E: Endpoint<A>, A: 'static>(self, path: &'static str, endpoint: E) -> Self {
        let (class, service) = (endpoint.class(), self.service(endpoint));
        self.on(path, &["DELETE"], class, |methods| methods.delete_service(service))
    }

    /// The routes of both tables.
    ///
    /// # Panics
    /// When both have the same path: at start, where it is seen.
    #[must_use]
    pub fn merge(mut self, other: Routes) -> Self {
        for (path, methods) in other.paths {
            assert!(self.paths.insert(path, methods).is_none(), "two tables have the route {path}");
        }
        self
    }

    /// Every path with the methods it answers.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, &[&'static str])> {
        self.paths.iter().map(|(path, entry)| (*path, entry.allowed.as_slice()))
    }

    /// Every path with the classes of its requests; none for those that are never refused.
    pub fn classes(&self) -> impl Iterator<Item = (&'static str, &[Option<Class>])> {
        self.paths.iter().map(|(path, entry)| (*path, entry.classes.as_slice()))
    }

    /// The router, with the envelope as its fallbacks.
    ///
    /// # Panics
    /// When two paths conflict (`/a/{x}` and `/a/{y}`): at start, where it is seen.
    pub fn into_router(self) -> Router {
        self.paths.into_iter().fold(
            Router::new().fallback(no_such_route),
            |router, (path, Path { methods, allowed, .. })| {
                let wrong_method = WrongMethod::new(&allowed);
                router.route(path, methods.fallback(move || async move { wrong_method }))
            },
        )
    }

    fn on(
        mut self,
        path: &'static str,
        names: &[&'static str],
        class: Option<Class>,
        add: impl FnOnce(MethodRouter) -> MethodRouter,
    ) -> Self {
        let Path { methods, mut allowed, mut classes } = self.paths.remove(path).unwrap_or_default();
        allowed.extend(names);
        classes.push(class);
        self.paths.insert(path, Path { methods: add(methods), allowed, classes });
        self
    }

    fn service<E: Endpoint<A>, A>(&self, endpoint: E) -> EndpointService<E, A> {
        let door = endpoint.class().zip(self.gate.clone());
        EndpointService { endpoint, door, arguments: PhantomData }
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.paths.iter().map(|(path, entry)| (path, &entry.allowed))).finish()
    }
}

impl Default for Path {
    fn default() -> Self {
        Self { methods: any(no_such_route), allowed: Vec::new(), classes: Vec::new() }
    }
}

async fn no_such_route() -> ApiError {
    ApiError(PublicError::new(ErrorCode::NO_SUCH_ROUTE))
}

/// The answer to a method that a path does not have.
#[derive(Clone)]
struct WrongMethod {
    allow: HeaderValue,
}

impl WrongMethod {
    fn new(allowed: &[&'static str]) -> Self {
        let allow = HeaderValue::try_from(allowed.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""));
        Self { allow }
    }
}

impl IntoResponse for WrongMethod {
    fn into_response(self) -> Response {
        let mut response = ApiError(PublicError::new(ErrorCode::METHOD_NOT_ALLOWED)).into_response();
        response.headers_mut().insert(ALLOW, self.allow);
        response
    }
}

/// The answer of an extractor that refused. Those of volo-http say no more than a status.
fn rejected(rejection: impl IntoResponse) -> Response {
    let response = rejection.into_response();
    if response.body().size_hint().exact() != Some(0) {
        return response;
    }
    let code = match response.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UNSUPPORTED_MEDIA_TYPE,
        status if status.is_client_error() => ErrorCode::INVALID_ARGUMENT,
        _ => {
            tracing::error!(status = response.status().as_u16(), "an extractor failed: the route is wired wrongly");
            ErrorCode::INTERNAL
        }
    };
    ApiError(PublicError::new(code)).into_response()
}

/// An endpoint as a service of the router, behind the gate if it has a class.
struct EndpointService<E, A> {
    endpoint: E,
    door: Option<(Class, Arc<Gate>)>,
    arguments: PhantomData<fn(A)>,
}

impl<E: Endpoint<A>, A> Service<ServerContext, Request> for EndpointService<E, A> {
    type Response = Response;
    type Error = Infallible;

    async fn call(&self, cx: &mut ServerContext, request: Request) -> Result<Response, Infallible> {
        let admission = match &self.door {
            None => None,
            Some((class, gate)) => match gate.enter(*class).await {
                Ok(admission) => Some(admission),
                Err(refused) => return Ok(ApiError::from(refused).into_response()),
            },
        };
        let response = self.endpoint.clone().answer(cx, request).await;
        if let Some(admission) = admission {
            admission.ended(ending_of(code_of(&response)));
        }
        Ok(response)
    }
}

/// The code an answer carries; for those that are not in the envelope the one its status would have.
fn code_of(response: &Response) -> ErrorCode {
    match response.extensions().get::<AnsweredCode>() {
        Some(AnsweredCode(code)) => *code,
        None if response.status().is_success() => ErrorCode::OK,
        None if response.status() == StatusCode::GATEWAY_TIMEOUT => ErrorCode::DEADLINE_EXCEEDED,
        None => ErrorCode::INTERNAL,
    }
}

impl<E: Endpoint<A>, A> Endpoint<(Classed<()>, A)> for Classed<E> {
    fn answer(self, cx: &mut ServerContext, request: Request) -> impl Future<Output = Response> + Send {
        self.endpoint.answer(cx, request)
    }

    fn class(&self) -> Option<Class> {
        Some(self.class)
    }
}

impl<F, Fut, R> Endpoint<((),)> for F
where
    F: FnOnce() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = R> + Send,
    R: IntoResponse,
{
    async fn answer(self, _: &mut ServerContext, _: Request) -> Response {
        self().await.into_response()
    }
}

impl<F, Fut, R, M, A> Endpoint<(M, A)> for F
where
    F: FnOnce(A) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = R> + Send,
    R: IntoResponse,
    A: FromRequest<Body, M> + Send,
{
    async fn answer(self, cx: &mut ServerContext, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let argument = match A::from_request(cx, parts, body).await {
            Ok(argument) => argument,
            Err(rejection) => return rejected(rejection),
        };
        self(argument).await.into_response()
    }
}

macro_rules! endpoint_of {
    ([$($part:ident),+], $last:ident) => {
        impl<F, Fut, R, M, $($part,)+ $last> Endpoint<(M, $($part,)+ $last)> for F
        where
            F: FnOnce($($part,)+ $last) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send,
            R: IntoResponse,
            $($part: FromContext + Send,)+
            $last: FromRequest<Body, M> + Send,
        {
            #[expect(non_snake_case, reason = "the arguments are named like their types")]
            async fn answer(self, cx: &mut ServerContext, request: Request) -> Response {
                let (mut parts, body) = request.into_parts();
                $(
                    let $part = match $part::from_context(cx, &mut parts).await {
                        Ok(value) => value,
                        Err(rejection) => return rejected(rejection),
                    };
                )+
                let $last = match $last::from_request(cx, parts, body).await {
                    Ok(value) => value,
                    Err(rejection) => return rejected(rejection),
                };
                self($($part,)+ $last).await.into_response()
            }
        }
    };
}

endpoint_of!([A], B);
endpoint_of!([A, B], C);
endpoint_of!([A, B, C], D);
endpoint_of!([A, B, C, D], E);
endpoint_of!([A, B, C, D, E], G);
endpoint_of!([A, B, C, D, E, G], H);
endpoint_of!([A, B, C, D, E, G, H], I);
