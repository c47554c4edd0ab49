//! The sender for development: it writes the code into the process log, for whoever sits in front of it.
//!
//! The one place where a code is logged. Production refuses to start with it.

use super::delivery::{CodeMessage, CodeSender, Sending};

/// Writes codes into the log.
#[derive(Debug)]
pub(super) struct LogSender;

impl CodeSender for LogSender {
    fn send<'a>(&'a self, message: &'a CodeMessage) -> Sending<'a> {
        tracing::warn!(
            code = message.code.expose(),
            phone = message.phone.masked(),
            scene = message.scene.as_str(),
            app_id = %message.app_id,
            "DEVELOPMENT ONLY: this phone code was sent to nobody but this log"
        );
        Box::pin(async { Ok(()) })
    }
}
