//! Short texts and moments that channels send.

use common::clock::Timestamp;

use super::callback::CallbackRefusal;

/// Bytes of an identifier that a channel makes: fits a column.
const IDENTIFIER_BYTES_MAX: usize = 255;

/// The first millisecond of the year 10000: later moments are an error of whoever writes them.
const END_OF_TIME: i64 = 253_402_300_800_000;

/// An identifier: 1-255 printable ASCII characters without spaces.
pub(super) fn identifier(field: &'static str, raw: String) -> Result<String, CallbackRefusal> {
    let sized = (1..=IDENTIFIER_BYTES_MAX).contains(&raw.len());
    if sized && raw.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(raw)
    } else {
        Err(CallbackRefusal::malformed(field, "must be 1-255 printable ASCII characters without spaces"))
    }
}

/// Unix milliseconds between 1970 and the year 9999.
pub(super) fn moment(field: &'static str, millis: i64) -> Result<Timestamp, CallbackRefusal> {
    if (0..END_OF_TIME).contains(&millis) {
        Ok(Timestamp::from_millis(millis))
    } else {
        Err(CallbackRefusal::malformed(field, "must be Unix milliseconds between 1970 and 9999"))
    }
}
