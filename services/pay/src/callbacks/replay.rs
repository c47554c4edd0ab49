//! Callbacks that were kept, judged again: exactly as one that comes now, but for its time, which is when it came.

use common::clock::Timestamp;
use serde::{Serialize, Serializer};

use super::{Callbacks, Came, Judged, build};
use crate::{channels::Outcome, error::OrderError, store::archive::Kept};

/// What a callback that was kept comes to now.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// SHA-256 of what it said, in hex: tells the callbacks of an order apart.
    pub digest: String,
    /// The channel it came from.
    pub channel: String,
    /// The app whose callback it is.
    pub app_id: i64,
    /// When it came, Unix milliseconds.
    #[serde(serialize_with = "as_millis")]
    pub received_at: Timestamp,
    /// What it came to then.
    pub verdict_then: String,
    /// What it comes to now: `paid`, `repeated`, `refunded`, `refund_noted`, or why it is not believed.
    pub verdict: String,
    /// What the channel would be told.
    pub outcome: ReplayedOutcome,
    /// It was judged and nothing came of it.
    pub dry_run: bool,
}

/// What a channel would be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayedOutcome {
    /// It need not come again.
    Accepted,
    /// It is not believed.
    Refused,
    /// Nobody could look into it.
    ComeBackLater,
}

fn as_millis<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(at.as_millis())
}

impl Callbacks {
    /// Judges it again. What it changes is what it would change if it came now: of one that has counted nothing.
    pub(crate) async fn replay(&self, kept: &Kept, only_judged: bool) -> Result<Replayed, OrderError> {
        let came =
            Came { channel: &kept.channel, app_id: kept.app_id, raw: kept.raw(), at: kept.received_at, only_judged };
        let (verdict, outcome) = self.judged_again(came).await?;
        Ok(Replayed {
            digest: hex::encode(&kept.digest),
            channel: kept.channel.clone(),
            app_id: kept.app_id,
            received_at: kept.received_at,
            verdict_then: kept.verdict.clone(),
            verdict: verdict.to_owned(),
            outcome: outcome.into(),
            dry_run: only_judged,
        })
    }

    async fn judged_again(&self, came: Came<'_>) -> Result<Judged, OrderError> {
        let config = self.channels.find(came.app_id, came.channel).await?.ok_or(OrderError::NoSuchChannel)?;
        let app = self.apps.find(came.app_id).await.map_err(OrderError::Account)?;
        self.judge(came, &*build(&config, app.as_deref()), &config).await
    }
}

impl From<Outcome> for ReplayedOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted => Self::Accepted,
            Outcome::Refused => Self::Refused,
            Outcome::ComeBackLater => Self::ComeBackLater,
        }
    }
}
