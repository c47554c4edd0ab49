//! What standards put under `/.well-known/`, in the standards' own forms.

pub(crate) mod jwks;
