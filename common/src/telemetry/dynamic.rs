//! The log's own document: how much the process log says, changed for a whole fleet at once.

use serde::{Deserialize, Serialize};

use super::level::{LevelHandle, parse};
use crate::config::{Invalid, Section, watch::ConfigWatch};

/// The name of the document.
pub const LOG_DOCUMENT: &str = "playgate-log.toml";

/// What the document may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogDocument {
    /// In the form of `log.level`. Absent: what this process was configured with.
    pub level: Option<String>,
}

impl Section for LogDocument {
    const NAME: &'static str = "log";

    fn validate(&self) -> Result<(), Invalid> {
        match self.level.as_deref().map(parse) {
            Some(Err(error)) => Err(Invalid::new("level", error.to_string())),
            _ => Ok(()),
        }
    }
}

/// Puts the level of every good document in force. Has no end.
pub async fn follow_level(mut documents: ConfigWatch<LogDocument>, level: LevelHandle) {
    let configured = level.current();
    loop {
        let document = documents.changed().await;
        let wanted = document.level.as_deref().unwrap_or(&configured);
        match level.set(wanted) {
            Ok(()) => tracing::info!(level = wanted, "the log level was changed"),
            Err(error) => tracing::error!(%error, "the log level can't be changed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_with_a_level_that_is_none_is_refused() {
        let document = |toml: &str| toml::from_str::<LogDocument>(toml).expect("the right types");
        assert_eq!(document("level = 'info,account=debug'").validate(), Ok(()));
        assert_eq!(document("").validate(), Ok(()));
        let refused = document("level = 'loud'").validate();
        assert_eq!(refused.map_err(|invalid| invalid.key), Err("level".to_owned()));
    }
}
