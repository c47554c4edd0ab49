//! The contract, for programs and for people.

pub(crate) mod openapi_json;
pub(crate) mod page;
