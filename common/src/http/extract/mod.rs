//! What handlers take from a request. Every refusal is an answer in the envelope.
//!
//! - [`body`]: the raw body.
//! - [`json`]: a JSON body.
//! - [`json_shape`]: what JSON must not contain, whatever it is read into.
//! - [`field_error`]: which field was wrong, from what serde says.
//! - [`query`]: the query string.
//! - [`path`]: the parameters in the path.
//! - [`form`]: a form body.
//! - [`only_one`]: a header that may not come twice.
//! - [`bearer`]: a player's access token.
//! - [`signed`]: a game server's signed request.
//! - [`raw`]: everything as it came.

mod bearer;
mod body;
mod field_error;
mod form;
mod json;
mod json_shape;
mod only_one;
mod path;
mod query;
mod raw;
mod signed;

pub use self::{
    bearer::Bearer,
    form::Form,
    json::{Json, OptionalJson},
    path::Path,
    query::Query,
    raw::RawRequest,
    signed::{AppCredentials, AppSecrets, NonceStore, SignatureChecks, Signed, SignedApp, SignedOnce},
};
