//! An app as operators see and change it.

use std::time::Duration;

use common::clock::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    app::{AppName, DeliveryUrl},
    audit::Details,
    field::FieldError,
    ids::AppId,
    policy::{AppPolicy, LifetimeCaps, PolicyChange},
};

/// An app without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppDetails {
    pub(crate) app_id: AppId,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) delivery_url: Option<String>,
    pub(crate) refund_url: Option<String>,
    pub(crate) policy: AppPolicy,
    pub(crate) created_at: Timestamp,
}

/// What is to be different. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppChange {
    pub(crate) name: Option<AppName>,
    pub(crate) enabled: Option<bool>,
    /// The inner `None` is: nowhere from now on.
    pub(crate) delivery_url: Option<Option<DeliveryUrl>>,
    /// As `delivery_url`.
    pub(crate) refund_url: Option<Option<DeliveryUrl>>,
    pub(crate) policy: PolicyChange,
}

/// A game server that takes refunds where it takes payments might give goods for them.
pub(crate) fn check_urls(delivery_url: Option<&str>, refund_url: Option<&str>) -> Result<(), FieldError> {
    match refund_url.is_some() && refund_url == delivery_url {
        true => Err(FieldError::new("refund_url", "must not be the delivery_url")),
        false => Ok(()),
    }
}

impl AppDetails {
    /// This app with a change made, if what comes out is allowed.
    pub(crate) fn changed(&self, change: AppChange, caps: LifetimeCaps) -> Result<Self, FieldError> {
        let changed = |change: Option<Option<DeliveryUrl>>, before: &Option<String>| match change {
            Some(url) => url.map(|url| url.as_str().to_owned()),
            None => before.clone(),
        };
        let (delivery_url, refund_url) =
            (changed(change.delivery_url, &self.delivery_url), changed(change.refund_url, &self.refund_url));
        check_urls(delivery_url.as_deref(), refund_url.as_deref())?;
        Ok(Self {
            app_id: self.app_id,
            name: change.name.map_or_else(|| self.name.clone(), |name| name.as_str().to_owned()),
            enabled: change.enabled.unwrap_or(self.enabled),
            delivery_url,
            refund_url,
            policy: self.policy.changed(change.policy, caps)?,
            created_at: self.created_at,
        })
    }

    /// What an audit record says of a new app.
    pub(crate) fn recorded(&self) -> Details {
        self.described().into_iter().fold(Details::default(), |details, (name, value)| details.with(name, value))
    }

    /// What an audit record says of a change from this to `after`: the values that differ, before and after.
    pub(crate) fn difference(&self, after: &Self) -> Details {
        let (before, after) = (self.described(), after.described());
        let differing = before.into_iter().zip(after).filter(|((_, before), (_, after))| before != after);
        differing.fold(Details::default(), |details, ((name, before), (_, after))| {
            details.with(name, json!({ "before": before, "after": after }))
        })
    }

    /// Every value by its name, in one order.
    fn described(&self) -> Vec<(&'static str, Value)> {
        let policy = &self.policy;
        let kinds: Vec<&str> = policy.login_kinds.iter().map(|kind| kind.as_str()).collect();
        let seconds = |ttl: Option<Duration>| ttl.map(|ttl| ttl.as_secs());
        let limits = policy.devices.iter().map(|(class, limit)| {
            (class.as_str().to_owned(), json!({ "max": limit.max, "on_excess": limit.on_excess.as_str() }))
        });
        // A query may hold a key of the game server's.
        let without_query =
            |url: &Option<String>| url.as_deref().and_then(|url| url.split('?').next().map(str::to_owned));
        vec![
            ("name", json!(self.name)),
            ("enabled", json!(self.enabled)),
            ("delivery_url", json!(without_query(&self.delivery_url))),
            ("refund_url", json!(without_query(&self.refund_url))),
            ("policy.login_kinds", json!(kinds)),
            ("policy.registration_open", json!(policy.registration_open)),
            ("policy.id_token", json!(policy.id_token)),
            ("policy.access_ttl_s", json!(seconds(policy.access_ttl))),
            ("policy.refresh_ttl_s", json!(seconds(policy.refresh_ttl))),
            ("policy.refresh_absolute_ttl_s", json!(seconds(policy.refresh_absolute_ttl))),
            ("policy.devices", Value::Object(limits.collect::<Map<_, _>>())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn app() -> AppDetails {
        AppDetails {
            app_id: AppId::parse(7).expect("in range"),
            name: "Game".to_owned(),
            enabled: true,
            delivery_url: Some("https://game.example/pay?key=s3cret".to_owned()),
            refund_url: Some("https://game.example/refunds?key=s3cret".to_owned()),
            policy: AppPolicy::default(),
            created_at: Timestamp::default(),
        }
    }

    #[test]
    fn a_difference_tells_what_changed_before_and_after_and_nothing_else() {
        let change = AppChange {
            enabled: Some(false),
            policy: PolicyChange { access_ttl: Some(Some(DAY)), ..PolicyChange::default() },
            ..AppChange::default()
        };
        let after = app().changed(change, LifetimeCaps { access_ttl: DAY, session_ttl: DAY }).expect("allowed");
        let expected =
            r#"{"enabled":{"after":false,"before":true},"policy.access_ttl_s":{"after":86400,"before":null}}"#;
        assert_eq!(app().difference(&after).to_json(), expected);
        assert_eq!(app().difference(&app()).to_json(), "{}");
    }

    #[test]
    fn refunds_are_told_elsewhere_than_payments() {
        let url = |url| Some(DeliveryUrl::parse(url).expect("a URL"));
        let caps = LifetimeCaps { access_ttl: DAY, session_ttl: DAY };
        let same = AppChange { refund_url: Some(url("https://game.example/pay?key=s3cret")), ..AppChange::default() };
        assert_eq!(app().changed(same, caps).map_err(|error| error.field), Err("refund_url"));
        let moved =
            AppChange { delivery_url: Some(url("https://game.example/refunds?key=s3cret")), ..AppChange::default() };
        assert_eq!(app().changed(moved, caps).map_err(|error| error.field), Err("refund_url"));
        let nowhere = AppChange { refund_url: Some(None), ..AppChange::default() };
        assert_eq!(app().changed(nowhere, caps).map(|app| app.refund_url), Ok(None));
    }

    #[test]
    fn a_record_shows_a_url_without_its_query() {
        let shown = app().recorded().to_json();
        assert!(shown.contains("https://game.example/pay") && !shown.contains("s3cret"), "{shown}");
    }
}
