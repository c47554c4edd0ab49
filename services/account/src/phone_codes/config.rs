//! `account.phone`: how codes are sent, how long they live, and how many there may be.

use std::{num::NonZeroU32, num::NonZeroUsize, time::Duration};

use common::{
    config::{Environment, Invalid, Secret},
    http::client::Target,
};
use serde::{Deserialize, Serialize};

use crate::domain::code_tries::TryLimits;

/// Phones: signing in with a code, and what an account may have of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhoneConfig {
    /// How codes are sent: `webhook`; `log`, into the process log, in development only; `none`. Absent: `webhook` if
    /// `webhook.url` is set, else `log` in development and `none` in production. With `none` nobody gets a code, and
    /// who asks for one is told that this way to sign in is disabled.
    pub sender: Option<PhoneSender>,
    /// How long a code is good.
    #[serde(with = "humantime_serde")]
    pub code_ttl: Duration,
    /// The time between two codes to one phone for one purpose. At most `code_ttl`. Protects its owner's patience.
    #[serde(with = "humantime_serde")]
    pub resend_after: Duration,
    /// Guesses, right or wrong, that a code withstands from the device that asked for it (from the network, if no device
    /// was named), and as many again from the devices that the phone's account knows. Nobody else can use these up.
    pub tries: NonZeroU32,
    /// Guesses that it withstands from everybody else together; of these at most `tries` from one device, and from one
    /// network (IPv4: /24, IPv6: /64). A code so withstands `tries` twice and these: with 5 and 10, who could make all
    /// 20 would be right once in 50 000 codes.
    pub tries_by_others: NonZeroU32,
    /// Phones that one account may have.
    pub per_account: NonZeroU32,
    /// How long a phone has to belong to an account before a code to it stands in for the old password. Whoever has
    /// stolen an access token can link a phone of their own; its owner has this long to notice.
    #[serde(with = "humantime_serde")]
    pub reset_after: Duration,
    /// Codes that wait to be sent or are being sent. Beyond it players are told at once to come back, and no code is
    /// made: one that comes late is of no use. Protects memory, and the sender.
    pub queue: NonZeroUsize,
    /// Codes that are being sent at once. What the sender withstands.
    pub concurrency: NonZeroUsize,
    /// Codes that one subject may cause.
    pub budget: PhoneBudget,
    /// Where codes are sent to.
    pub webhook: WebhookConfig,
}

/// Who sends codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhoneSender {
    /// An HTTP service of the operator's.
    Webhook,
    /// The process log shows the code. Refused in production.
    Log,
    /// Nobody.
    None,
}

/// Codes that one subject may cause, in all apps and for all purposes. Each may come at once, and then comes back evenly.
/// They protect the phones of strangers, and the bill.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhoneBudget {
    /// To one phone in an hour.
    pub phone_per_hour: NonZeroU32,
    /// To one phone in a day.
    pub phone_per_day: NonZeroU32,
    /// Of `phone_per_hour`, kept for devices that have signed in to the phone's account before. Protects players from
    /// strangers who use the rest up. 0, here or in the next one, keeps nothing.
    pub phone_per_hour_reserved: u32,
    /// Of `phone_per_day`, kept for the same.
    pub phone_per_day_reserved: u32,
    /// From one address in an hour; an IPv6 address counts with its /64. Many players can share one.
    pub address_per_hour: NonZeroU32,
    /// From one address in a day.
    pub address_per_day: NonZeroU32,
    /// From one device in an hour, if the client names it.
    pub device_per_hour: NonZeroU32,
    /// From one device in a day.
    pub device_per_day: NonZeroU32,
}

/// The operator's service that sends codes. It is called as described in docs/integration.md.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Its URL.
    pub url: Option<String>,
    /// Another one that is called when the first one fails. They take turns until one of them says yes.
    pub second_url: Option<String>,
    /// What requests are signed with, used as it is written.
    pub secret: Option<Secret>,
    /// How long one attempt may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Attempts in all. None is begun once the code has expired.
    pub attempts: NonZeroU32,
    /// The pause after the first attempt; it doubles after each further one, spread by a quarter.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
}

const fn number(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for PhoneConfig {
    fn default() -> Self {
        Self {
            sender: None,
            code_ttl: Duration::from_secs(5 * 60),
            resend_after: Duration::from_secs(60),
            tries: number(5),
            tries_by_others: number(10),
            per_account: number(3),
            reset_after: Duration::from_secs(3 * 24 * 3600),
            queue: NonZeroUsize::MIN.saturating_add(999),
            concurrency: NonZeroUsize::MIN.saturating_add(15),
            budget: PhoneBudget::default(),
            webhook: WebhookConfig::default(),
        }
    }
}

impl Default for PhoneBudget {
    fn default() -> Self {
        Self {
            phone_per_hour: number(5),
            phone_per_day: number(10),
            phone_per_hour_reserved: 2,
            phone_per_day_reserved: 4,
            address_per_hour: number(30),
            address_per_day: number(100),
            device_per_hour: number(10),
            device_per_day: number(20),
        }
    }
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            url: None,
            second_url: None,
            secret: None,
            timeout: Duration::from_secs(3),
            attempts: number(4),
            backoff: Duration::from_millis(500),
        }
    }
}

impl PhoneConfig {
    /// Who sends, where nobody chose.
    pub(crate) fn sender_in(&self, environment: Environment) -> PhoneSender {
        match (self.sender, environment) {
            (Some(sender), _) => sender,
            (None, _) if self.webhook.url.is_some() => PhoneSender::Webhook,
            (None, Environment::Development) => PhoneSender::Log,
            (None, Environment::Production) => PhoneSender::None,
        }
    }

    /// How many guesses a code withstands, by whom.
    pub(crate) fn try_limits(&self) -> TryLimits {
        TryLimits { own: self.tries.get(), others: self.tries_by_others.get() }
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        const SECOND: Duration = Duration::from_secs(1);
        if self.resend_after < SECOND {
            return Err(Invalid::new("phone.resend_after", "must be at least 1s"));
        }
        if self.code_ttl < self.resend_after {
            return Err(Invalid::new("phone.code_ttl", "must not be shorter than phone.resend_after"));
        }
        if self.code_ttl > SECOND * 3600 {
            return Err(Invalid::new("phone.code_ttl", "must be at most 1h"));
        }
        if self.tries.get() > 10 {
            return Err(Invalid::new("phone.tries", "must be at most 10"));
        }
        if self.tries_by_others.get() > 30 {
            return Err(Invalid::new("phone.tries_by_others", "must be at most 30"));
        }
        self.budget.validate()?;
        self.webhook.validate(self.sender == Some(PhoneSender::Webhook))
    }
}

impl PhoneBudget {
    fn validate(&self) -> Result<(), Invalid> {
        let whole_and_part = [
            ("phone.budget.phone_per_hour_reserved", self.phone_per_hour, self.phone_per_hour_reserved),
            ("phone.budget.phone_per_day_reserved", self.phone_per_day, self.phone_per_day_reserved),
        ];
        for (key, whole, part) in whole_and_part {
            if part >= whole.get() {
                return Err(Invalid::new(key, "must be less than the whole"));
            }
        }
        Ok(())
    }
}

impl WebhookConfig {
    fn validate(&self, is_needed: bool) -> Result<(), Invalid> {
        for (key, url) in [("phone.webhook.url", &self.url), ("phone.webhook.second_url", &self.second_url)] {
            if let Some(url) = url {
                Target::parse(url).map_err(|reason| Invalid::new(key, reason.to_string()))?;
            }
        }
        if self.url.is_none() && (is_needed || self.second_url.is_some()) {
            return Err(Invalid::new("phone.webhook.url", "is missing"));
        }
        if self.url.is_some() && self.secret.as_ref().is_none_or(|secret| secret.expose().len() < 16) {
            return Err(Invalid::new("phone.webhook.secret", "must have at least 16 characters"));
        }
        for (key, value) in [("phone.webhook.timeout", self.timeout), ("phone.webhook.backoff", self.backoff)] {
            if value.is_zero() || value > Duration::from_secs(60) {
                return Err(Invalid::new(key, "must be more than nothing and at most 1m"));
            }
        }
        if self.attempts.get() > 10 {
            return Err(Invalid::new("phone.webhook.attempts", "must be at most 10"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_webhook() -> PhoneConfig {
        let mut config = PhoneConfig::default();
        config.webhook.url = Some("https://sms.example/codes".to_owned());
        config.webhook.secret = Some(Secret::new("0123456789abcdef"));
        config
    }

    #[test]
    fn where_nobody_chose_a_sender_the_webhook_comes_first_and_the_log_in_development_only() {
        let (development, production) = (Environment::Development, Environment::Production);
        assert_eq!(PhoneConfig::default().sender_in(development), PhoneSender::Log);
        assert_eq!(PhoneConfig::default().sender_in(production), PhoneSender::None);
        assert_eq!(with_webhook().sender_in(development), PhoneSender::Webhook);
        assert_eq!(with_webhook().sender_in(production), PhoneSender::Webhook);
        let chosen = PhoneConfig { sender: Some(PhoneSender::None), ..with_webhook() };
        assert_eq!(chosen.sender_in(development), PhoneSender::None);
    }

    #[test]
    fn a_value_that_cannot_work_is_refused_by_its_key() {
        assert_eq!(with_webhook().validate(), Ok(()));
        let check = |change: fn(&mut PhoneConfig), key: &str| {
            let mut config = with_webhook();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        };
        check(|config| config.resend_after = Duration::ZERO, "phone.resend_after");
        check(|config| config.code_ttl = config.resend_after / 2, "phone.code_ttl");
        check(|config| config.code_ttl = Duration::from_secs(3601), "phone.code_ttl");
        check(|config| config.tries = number(11), "phone.tries");
        check(|config| config.tries_by_others = number(31), "phone.tries_by_others");
        check(|config| config.budget.phone_per_hour_reserved = 5, "phone.budget.phone_per_hour_reserved");
        check(|config| config.budget.phone_per_day_reserved = 10, "phone.budget.phone_per_day_reserved");
        check(|config| config.webhook.url = Some("sms.example".to_owned()), "phone.webhook.url");
        check(|config| config.webhook.second_url = Some("ftp://sms.example".to_owned()), "phone.webhook.second_url");
        check(|config| config.webhook.secret = None, "phone.webhook.secret");
        check(|config| config.webhook.secret = Some(Secret::new("short")), "phone.webhook.secret");
        check(|config| config.webhook.timeout = Duration::ZERO, "phone.webhook.timeout");
        check(|config| config.webhook.backoff = Duration::from_secs(61), "phone.webhook.backoff");
        check(|config| config.webhook.attempts = number(11), "phone.webhook.attempts");
        check(
            |config| {
                config.sender = Some(PhoneSender::Webhook);
                config.webhook.url = None;
            },
            "phone.webhook.url",
        );
    }
}
