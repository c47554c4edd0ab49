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
    use std::sync::{Arc, Mutex};

    use futures_util::{FutureExt, future::BoxFuture};
    use prometheus::Registry;
    use tokio::sync::watch;

    use super::*;
    use crate::{
        clock::SystemRandom,
        config::{
            Environment,
            watch::{DocumentError, DocumentSource, DynamicConfig, WatchMetrics, WatchParts},
        },
        lifecycle::{Lifecycle, LifecycleConfig},
    };

    /// A document that says what the test last said, and counts how often it was read.
    #[derive(Clone, Debug)]
    struct Spoken {
        text: Arc<Mutex<&'static str>>,
        reads: watch::Sender<u32>,
    }

    impl DocumentSource for Spoken {
        fn read(&self) -> BoxFuture<'_, Result<Option<String>, DocumentError>> {
            self.reads.send_modify(|reads| *reads += 1);
            let text = self.text.lock().unwrap().to_owned();
            std::future::ready(Ok(Some(text))).boxed()
        }
    }

    impl Spoken {
        /// Says something else, and waits until it was read and followed: time moves on only when all is done.
        async fn say(&self, text: &'static str) {
            *self.text.lock().unwrap() = text;
            let mut reads = self.reads.subscribe();
            let first = *reads.borrow();
            reads.wait_for(|reads| *reads >= first + 2).await.expect("it is followed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_changes_the_level_and_one_without_a_level_restores_the_configured_one() {
        let (_filter, level) = LevelHandle::new("warn").expect("a level");
        let lifecycle = Lifecycle::new(LifecycleConfig::default().timing(Environment::Development));
        let parts = WatchParts {
            lifecycle: lifecycle.clone(),
            metrics: WatchMetrics::register(&Registry::new()).expect("registered once"),
            random: Arc::new(SystemRandom),
        };
        let document = Spoken { text: Arc::new(Mutex::new("")), reads: watch::Sender::new(0) };
        let watch = ConfigWatch::follow(LOG_DOCUMENT, document.clone(), &DynamicConfig::default(), &parts);
        lifecycle.spawn_background("log level", follow_level(watch, level.clone()));
        for (text, expected) in [
            ("level = 'info,account=debug'", "info,account=debug"),
            ("level = 'loud'", "info,account=debug"),
            ("level = 'error'", "error"),
            ("", "warn"),
            ("level = 'debug'", "debug"),
        ] {
            document.say(text).await;
            assert_eq!(*level.current(), expected, "{text}");
        }
    }

    #[test]
    fn a_document_with_a_level_that_is_none_is_refused() {
        let document = |toml: &str| toml::from_str::<LogDocument>(toml).expect("the right types");
        assert_eq!(document("level = 'info,account=debug'").validate(), Ok(()));
        assert_eq!(document("").validate(), Ok(()));
        let refused = document("level = 'loud'").validate();
        assert_eq!(refused.map_err(|invalid| invalid.key), Err("level".to_owned()));
    }
}
