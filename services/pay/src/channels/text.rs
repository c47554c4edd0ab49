//! Short texts that channels send.

use std::borrow::Cow;

use common::clock::Timestamp;

use super::{callback::CallbackRefusal, moment};

/// Bytes of an identifier that a channel makes: fits a column.
const IDENTIFIER_BYTES_MAX: usize = 255;

/// An identifier: 1-255 printable ASCII characters without spaces.
pub(super) fn identifier(field: impl Into<Cow<'static, str>>, raw: String) -> Result<String, CallbackRefusal> {
    let sized = (1..=IDENTIFIER_BYTES_MAX).contains(&raw.len());
    if sized && raw.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(raw)
    } else {
        Err(CallbackRefusal::malformed(field, "must be 1-255 printable ASCII characters without spaces"))
    }
}

/// A moment in Unix milliseconds.
pub(super) fn millis(field: &'static str, millis: i64) -> Result<Timestamp, CallbackRefusal> {
    let refused = || CallbackRefusal::malformed(field, "must be Unix milliseconds between 1970 and 9999");
    moment::from_millis(millis).ok_or_else(refused)
}
