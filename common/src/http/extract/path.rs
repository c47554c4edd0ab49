//! The parameters in the path, as in `/admin/v1/apps/{app_id}`. A wrong type is 4000001 with the parameter named.

use http::request::Parts;
use serde::de::DeserializeOwned;
use volo_http::{
    context::ServerContext,
    server::{extract::FromContext, param::PathParamsVec},
};

use super::query;
use crate::http::ApiError;

/// The parameters as a `T`, percent-decoded.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromContext for Path<T> {
    type Rejection = ApiError;

    async fn from_context(cx: &mut ServerContext, _: &mut Parts) -> Result<Self, ApiError> {
        Ok(Self(query::parse(&as_query(cx.params()))?))
    }
}

/// A path and a query agree on everything but these two characters, which only in a query mean something else.
fn as_query(params: &PathParamsVec) -> String {
    let pairs = params.iter().map(|(name, value)| format!("{name}={}", value.replace('+', "%2B").replace('&', "%26")));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use http::Method;
    use motore::Service;
    use serde::Deserialize;
    use volo_http::body::{Body, BodyConversion};

    use super::*;
    use crate::http::{Envelope, Routes};

    #[derive(Deserialize)]
    struct Product {
        app_id: i64,
        name: String,
    }

    async fn show(Path(Product { app_id, name }): Path<Product>) -> Envelope<(i64, String)> {
        Envelope((app_id, name))
    }

    async fn answer(path: &str) -> serde_json::Value {
        let router = Routes::new().get("/apps/{app_id}/products/{name}", show).into_router();
        let request = http::Request::builder().method(Method::GET).uri(path).body(Body::empty()).unwrap();
        let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
        let response = router.call(&mut ServerContext::new(peer), request).await.unwrap();
        serde_json::from_slice(&response.into_body().into_bytes().await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn parameters_are_decoded_as_a_path_is() {
        let body = answer("/apps/7/products/a+b&c=%C3%A9%20").await;
        assert_eq!(body["data"], serde_json::json!([7, "a+b&c=\u{e9} "]));
    }

    #[tokio::test]
    async fn a_wrong_parameter_is_named() {
        let body = answer("/apps/seven/products/x").await;
        assert_eq!((&body["code"], &body["details"]["app_id"]), (&4_000_001.into(), &"expected an integer".into()));
    }
}
