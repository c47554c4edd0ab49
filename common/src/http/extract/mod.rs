//! What handlers take from a request. Every refusal is an answer in the envelope.
//!
//! - [`body`]: the raw body.
//! - [`json`]: a JSON body.
//! - [`json_shape`]: what JSON must not contain, whatever it is read into.
//! - [`field_error`]: which field was wrong, from what serde says.
//! - [`query`]: the query string.
//! - [`path`]: the parameters in the path.
//! - [`form`]: a form body.
//! - [`mod@only_one`]: a header that may not come twice.
//! - [`bearer`]: a player's access token.
//! - [`signed`]: a game server's signed request.
//! - [`claim`]: what the headers of a signed request claim.
//! - [`raw`]: everything as it came. [`unread`]: the same, with the body still to come.

mod bearer;
mod body;
mod claim;
mod field_error;
mod form;
mod json;
mod json_shape;
mod only_one;
mod path;
mod query;
mod raw;
mod signed;
mod unread;

pub use self::{
    bearer::{Bearer, bearer_token},
    claim::{SignatureClaim, check_not_made},
    form::Form,
    json::{Json, OptionalJson},
    only_one::only_one,
    path::Path,
    query::Query,
    raw::RawRequest,
    signed::{AppCredentials, AppSecrets, NonceStore, SignatureChecks, Signed, SignedApp, SignedOnce},
    unread::{UnreadBody, UnreadRequest},
};
