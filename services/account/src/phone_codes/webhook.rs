//! The sender for production: a signed HTTP POST to a service of the operator's, which knows how to send a message.
//!
//! Two URLs take turns until one of them answers 2xx. The document is the same every time, its id included, so that the
//! receiver can tell a repeat; the signature is new every time.

use std::{num::NonZeroU32, time::Duration};

use common::{
    clock::{SharedClock, SharedRandom, jittered, random_bytes},
    http::{
        SigningKey,
        client::{HttpClient, HttpClientLimits, SignedPost, Target},
    },
};
use prometheus::Registry;
use serde::Serialize;

use super::{
    WebhookConfig,
    delivery::{CodeMessage, CodeSender, DeliveryStartError, NotSent, Sending},
    metrics::AttemptMetrics,
};

/// What a receiver says is not read, so it may not say much.
const LONGEST_ANSWER: usize = 16 * 1024;

/// Pauses differ by this share, so that what failed together does not come back together.
const BACKOFF_JITTER: f64 = 0.25;

/// Calls the operator's service.
#[derive(Debug)]
pub(super) struct Webhook {
    client: HttpClient,
    /// The one, or both.
    targets: Vec<Target>,
    key: SigningKey,
    attempts: NonZeroU32,
    backoff: Duration,
    clock: SharedClock,
    random: SharedRandom,
    metrics: AttemptMetrics,
}

/// The document that is posted.
#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    phone: &'a str,
    code: &'a str,
    app_id: i64,
    scene: &'a str,
    expires_at: i64,
}

impl Webhook {
    pub(super) fn new(
        config: &WebhookConfig,
        clock: SharedClock,
        random: SharedRandom,
        registry: &Registry,
    ) -> Result<Self, DeliveryStartError> {
        let refused = |reason: &dyn std::fmt::Display| DeliveryStartError::Webhook(reason.to_string());
        let urls = config.url.iter().chain(&config.second_url);
        let targets: Vec<Target> =
            urls.map(|url| Target::parse(url)).collect::<Result<_, _>>().map_err(|e| refused(&e))?;
        let secret = config.secret.as_ref().filter(|_| !targets.is_empty());
        let secret = secret.ok_or_else(|| refused(&"`url` and `secret` are needed"))?;
        let limits = HttpClientLimits { timeout: config.timeout, longest_answer: LONGEST_ANSWER };
        Ok(Self {
            client: HttpClient::new(limits).map_err(|error| refused(&error))?,
            targets,
            key: SigningKey::new(secret.expose().as_bytes()),
            attempts: config.attempts,
            backoff: config.backoff,
            clock,
            random,
            metrics: AttemptMetrics::register(registry)?,
        })
    }

    async fn deliver(&self, message: &CodeMessage) -> Result<(), NotSent> {
        let body = document(message).map_err(|error| NotSent { attempts: 0, reason: error.to_string() })?;
        let mut pause = self.backoff;
        let mut reason = String::new();
        for attempt in 1..=self.attempts.get() {
            if attempt > 1 {
                tokio::time::sleep(jittered(pause, BACKOFF_JITTER, &*self.random)).await;
                pause *= 2;
            }
            if self.clock.now() >= message.expires_at {
                return Err(NotSent { attempts: attempt - 1, reason: format!("{reason}; the code has expired") });
            }
            let turn = (attempt as usize - 1) % self.targets.len();
            match self.call(turn, body.clone().into()).await {
                Ok(()) => {
                    self.metrics.succeeded[turn].inc();
                    return Ok(());
                }
                Err(failure) => {
                    self.metrics.failed[turn].inc();
                    reason = failure;
                }
            }
        }
        Err(NotSent { attempts: self.attempts.get(), reason })
    }

    async fn call(&self, turn: usize, body: bytes::Bytes) -> Result<(), String> {
        let nonce = hex::encode(random_bytes::<16>(&*self.random));
        let (target, key, now) = (&self.targets[turn], &self.key, self.clock.now());
        match self.client.post_signed(SignedPost { target, app_id: None, key, now, nonce: &nonce, body }).await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("{target:?} answered {}", answer.status().as_u16())),
            Err(error) => Err(format!("{target:?}: {error}")),
        }
    }
}

impl CodeSender for Webhook {
    fn send<'a>(&'a self, message: &'a CodeMessage) -> Sending<'a> {
        Box::pin(self.deliver(message))
    }
}

fn document(message: &CodeMessage) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Document {
        id: &message.id,
        phone: message.phone.expose(),
        code: message.code.expose(),
        app_id: message.app_id.get(),
        scene: message.scene.as_str(),
        expires_at: message.expires_at.as_millis(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::clock::{Clock, SystemRandom, testing::ManualClock};

    use super::*;
    use crate::{
        domain::{
            ids::AppId,
            phone::PhoneNumber,
            phone_code::{Code, Scene},
        },
        testing::Phones,
    };

    fn webhook(config: &WebhookConfig, clock: &Arc<ManualClock>) -> Webhook {
        let registry = Registry::new();
        Webhook::new(config, clock.clone(), Arc::new(SystemRandom), &registry).expect("starts")
    }

    /// Hardly any pause: these tests count attempts.
    fn config(first: &Phones, second: Option<&Phones>) -> WebhookConfig {
        let webhook = first.config().phone.webhook;
        WebhookConfig { second_url: second.map(Phones::url), backoff: Duration::from_millis(1), ..webhook }
    }

    fn message(expires_at: common::clock::Timestamp) -> CodeMessage {
        CodeMessage {
            id: "one".to_owned(),
            phone: PhoneNumber::parse("+8613812345678").expect("valid"),
            code: Code::parse("123456").expect("valid"),
            app_id: AppId::parse(1).expect("valid"),
            scene: Scene::Login,
            expires_at,
        }
    }

    #[tokio::test]
    async fn the_second_url_takes_over_when_the_first_one_fails() {
        let (first, second) = (Phones::answering(500).await, Phones::start().await);
        let clock = Arc::new(ManualClock::default());
        let webhook = webhook(&config(&first, Some(&second)), &clock);
        webhook.deliver(&message(clock.now() + Duration::from_secs(1))).await.expect("sent");
        assert_eq!((first.calls(), second.calls()), (1, 1));
        assert_eq!(second.document().await["code"], "123456");
    }

    #[tokio::test]
    async fn who_always_says_no_is_asked_as_often_as_configured_and_no_more() {
        let (first, second) = (Phones::answering(500).await, Phones::answering(302).await);
        let clock = Arc::new(ManualClock::default());
        let webhook = webhook(&config(&first, Some(&second)), &clock);
        let error = webhook.deliver(&message(clock.now() + Duration::from_secs(1))).await.expect_err("nobody sends");
        assert_eq!((error.attempts, first.calls(), second.calls()), (4, 2, 2));
        let text = error.to_string();
        assert!(text.contains("302") && !text.contains("123456") && !text.contains("138"), "{text}");
    }

    #[tokio::test]
    async fn a_code_that_has_expired_is_not_sent() {
        let phones = Phones::start().await;
        let clock = Arc::new(ManualClock::default());
        let error = webhook(&config(&phones, None), &clock).deliver(&message(clock.now())).await.expect_err("expired");
        assert_eq!((error.attempts, phones.calls()), (0, 0));
    }
}
