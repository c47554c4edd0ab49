//! What is counted about channels.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use super::NotJudged;
use crate::domain::channel::Judgement;

/// Handles, looked up once.
#[derive(Debug)]
pub(super) struct Metrics {
    accepted: IntCounter,
    wrong: IntCounter,
    unclear: IntCounter,
    incomplete: IntCounter,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let checks = IntCounterVec::new(
            Opts::new(
                "playgate_channel_checks_total",
                "Credentials of channels by what was found: accepted; wrong, by the word of the channel; unclear, because \
                 the channel was slow, broken or away; incomplete, before anybody was asked.",
            ),
            &["outcome"],
        )?;
        registry.register(Box::new(checks.clone()))?;
        let of = |outcome| checks.with_label_values(&[outcome]);
        Ok(Self { accepted: of("accepted"), wrong: of("wrong"), unclear: of("unclear"), incomplete: of("incomplete") })
    }

    pub(super) fn count(&self, judged: &Result<Judgement, NotJudged>) {
        match judged {
            Ok(Judgement::Accepted(_)) => self.accepted.inc(),
            Ok(Judgement::WrongCredential) => self.wrong.inc(),
            Ok(Judgement::Unclear(_)) | Err(NotJudged::CouldNotTell(_)) => self.unclear.inc(),
            Err(NotJudged::Refused(_)) => self.incomplete.inc(),
        }
    }
}
