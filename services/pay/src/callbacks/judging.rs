//! From what came to what the channel says: keys and questions that have to be fetched for it.

use super::{Callbacks, Came, build};
use crate::{
    channels::{
        Answer, BuildInputs, CallbackRefusal, ChannelConfig, Outcome, PaymentChannel, PaymentFacts, Question, Verdict,
        What,
    },
    error::OrderError,
    google::Unavailable,
    store::{
        archive::{self, Evidence},
        channel_tasks::Owed,
    },
};

/// What judging a callback came to; the outer error is that nothing can be said yet.
pub(super) type Verified = Result<Verdict, CallbackRefusal>;

impl Callbacks {
    /// By the app's secrets and what is configured.
    pub(super) async fn verify(
        &self,
        came: Came<'_>,
        channel: &dyn PaymentChannel,
        config: &ChannelConfig,
    ) -> Result<Verified, OrderError> {
        let verified = channel.verify(&came.raw, came.at);
        if let Err(CallbackRefusal::BadSignature) = verified {
            // The app may have a new secret.
            let newest = self.apps.newest(came.app_id).await.map_err(OrderError::Account)?;
            return Ok(build(config, newest.as_deref()).verify(&came.raw, came.at));
        }
        Ok(verified)
    }

    /// By the keys that are published at `url`. A key that is not known is looked for before anything is refused for it.
    pub(super) async fn verify_by_published_keys(
        &self,
        came: Came<'_>,
        config: &ChannelConfig,
        url: &str,
    ) -> Result<Verified, Unavailable> {
        let verify = |keys| {
            let inputs = BuildInputs { issuer_keys: Some(keys), ..BuildInputs::default() };
            config.build(&inputs).verify(&came.raw, came.at)
        };
        let verified = verify(self.google.keys(url).await?);
        if let Err(CallbackRefusal::UnknownCertificate { .. }) = verified {
            return Ok(verify(self.google.newer_keys(url, self.clock.now()).await?));
        }
        Ok(verified)
    }

    /// Asks the channel what a notice is about, and goes on as with any payment.
    pub(super) async fn ask(
        &self,
        came: Came<'_>,
        channel: &dyn PaymentChannel,
        config: &ChannelConfig,
        question: &Question,
    ) -> Result<super::Judged, OrderError> {
        let Some(account) = config.service_account() else {
            return Ok(self.not_asked(came, "not_configured", "secrets.service_account is not configured"));
        };
        let answer = match self.google.ask(account, &question.url).await {
            Ok(answer) => answer,
            Err(why) => return Ok(self.not_asked(came, "unanswered", &why.to_string())),
        };
        let status = answer.status().as_u16();
        let headers = answer.headers().iter();
        let headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let answer = Answer { status, headers: answer.headers(), body: answer.body() };
        match channel.read_answer(question, &answer) {
            Ok(Verdict::Facts(facts)) => {
                // The notice said nothing of it: what proves the payment is the answer.
                let headers = archive::pairs_of(&headers)?;
                let evidence =
                    Evidence { channel: came.channel, app_id: came.app_id, headers: &headers, body: answer.body };
                let owed = channel
                    .owes_acknowledgement(&answer)
                    .then_some(Owed { product_id: &question.product_id, purchase_token: &question.purchase_token });
                self.believed(came, facts, evidence, owed).await
            }
            Ok(Verdict::Ignored(reason)) => Ok(super::ignored(came, reason)),
            Ok(Verdict::Ask(_)) => Ok(self.not_asked(came, "unanswered", "the answer is another question")),
            Err(refusal) => {
                let (verdict, outcome) = self.not_believed(came, &refusal);
                // An answer that can't be used is the channel's own trouble, and may be over the next time. That there is no
                // such purchase can be used.
                let outcome = if status == 200 { Outcome::ComeBackLater } else { outcome };
                Ok((verdict, outcome))
            }
        }
    }

    /// What the channel vouches for.
    pub(super) async fn believed(
        &self,
        came: Came<'_>,
        facts: PaymentFacts,
        evidence: Evidence<'_>,
        owed: Option<Owed<'_>>,
    ) -> Result<super::Judged, OrderError> {
        match &facts.what {
            What::Paid => self.paid(came, facts, evidence, owed).await,
            What::Refunded(_) => self.refunded(came, facts, evidence).await,
        }
    }

    /// Nothing can be said before the channel, or whoever configures it, has done something.
    pub(super) fn not_asked(&self, came: Came<'_>, verdict: &'static str, reason: &str) -> super::Judged {
        self.alarm.raise(self.clock.now(), || {
            tracing::warn!(
                channel = came.channel,
                app_id = came.app_id,
                reason,
                "the channel could not be asked about a callback; it has to come again"
            );
        });
        (verdict, Outcome::ComeBackLater)
    }
}
