//! What the span of a request says, in the words of OpenTelemetry's semantic conventions for HTTP servers.
//!
//! Never in here: query strings, headers, bodies.

use http::Method;

use super::request_metrics::known_method;
use crate::telemetry::trace::Description;

/// How much of a path is shown. The client chooses it.
const PATH_MAX_BYTES: usize = 512;

/// How a request was answered.
pub(super) struct Answered<'a> {
    /// The route's pattern; `None` when no route took the path.
    pub(super) route: Option<&'a str>,
    pub(super) status: u16,
    pub(super) code: i32,
}

/// A request, before anything is known about its answer.
pub(super) fn asked(method: &Method, path: &str) -> Description {
    let path = &path[..path.floor_char_boundary(PATH_MAX_BYTES)];
    Description::server(conventional(method))
        .with("http.request.method", conventional(method))
        .with("url.scheme", "http")
        .with("url.path", path.to_owned())
}

impl Answered<'_> {
    /// A fault of ours, or of something we depend on.
    pub(super) fn is_fault(&self) -> bool {
        self.status >= 500
    }

    /// Adds the answer to what was asked.
    pub(super) fn describe(&self, method: &Method, asked: Description) -> Description {
        let asked = match self.route {
            Some(route) => {
                asked.renamed(format!("{} {route}", conventional(method))).with("http.route", route.to_owned())
            }
            None => asked,
        };
        let answered =
            asked.with("http.response.status_code", i64::from(self.status)).with("playgate.code", i64::from(self.code));
        if self.is_fault() { answered.with("error.type", self.status.to_string()) } else { answered }
    }
}

/// The conventions' name for methods that clients invent.
fn conventional(method: &Method) -> &'static str {
    match known_method(method) {
        "other" => "_OTHER",
        known => known,
    }
}
