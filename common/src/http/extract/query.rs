//! The query string. A wrong type or a missing parameter is 4000001 with the parameter named; unknown ones are ignored.

use http::request::Parts;
use serde::de::DeserializeOwned;
use volo_http::{context::ServerContext, server::extract::FromContext};

use super::field_error::invalid_field;
use crate::{error_code::PublicError, http::ApiError};

/// The query string as a `T`.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromContext for Query<T> {
    type Rejection = ApiError;

    async fn from_context(_: &mut ServerContext, parts: &mut Parts) -> Result<Self, ApiError> {
        Ok(Self(parse(parts.uri.query().unwrap_or_default())?))
    }
}

pub(super) fn parse<T: DeserializeOwned>(query: &str) -> Result<T, PublicError> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| invalid_field(error.path(), &error.inner().to_string()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Settings {
        app_id: i64,
        channel: Option<String>,
    }

    #[test]
    fn parameters_are_decoded_and_unknown_ones_ignored() {
        let settings: Settings = parse("channel=a%20b+c&app_id=7&new=1").unwrap();
        assert_eq!(settings, Settings { app_id: 7, channel: Some("a b c".to_owned()) });
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (query, field) in [("", "app_id"), ("app_id=seven", "app_id"), ("app_id=7&app_id=8", "app_id")] {
            let error = parse::<Settings>(query).unwrap_err();
            assert_eq!(error.code.inner(), 4_000_001);
            assert_eq!(error.details[0].0, field, "{query}");
        }
    }

    #[test]
    fn text_that_is_no_number_is_told_so_as_in_json() {
        for text in ["seven", "", "7.0", "99999999999999999999", "-99999999999999999999"] {
            let error = parse::<Settings>(&format!("app_id={text}")).unwrap_err();
            assert_eq!(error.details[0].1, "expected an integer", "{text}");
        }
    }
}
