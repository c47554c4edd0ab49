//! The endpoints that standards define. They answer in the standards' own forms, not in the envelope.

pub(crate) mod introspect;
