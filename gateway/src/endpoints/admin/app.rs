//! An app and its policy as operators see and change them.

use std::collections::BTreeMap;

use idl::account_admin as wire;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

/// Which app, in the path.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct AppPath {
    pub(super) app_id: i64,
}

/// An app. Its secrets are shown when they are made and never again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct App {
    #[schema(example = 1001)]
    app_id: i64,
    #[schema(value_type = String, example = "my-game")]
    name: FastStr,
    /// A disabled app signs nobody in and has no signature accepted.
    enabled: bool,
    /// Where paid orders are delivered to.
    #[schema(value_type = Option<String>)]
    delivery_url: Option<FastStr>,
    /// Where refunds are told; `null`: nowhere.
    #[schema(value_type = Option<String>)]
    refund_url: Option<FastStr>,
    policy: Policy,
    /// Unix milliseconds.
    created_at: i64,
}

/// What an app allows its players.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Policy {
    #[schema(value_type = Vec<LoginKind>)]
    login_kinds: Vec<FastStr>,
    /// Whether a sign-in may make an account.
    registration_open: bool,
    /// Whether a sign-in is answered an ID token besides.
    id_token: bool,
    /// Lifetime of an access token, before jitter; `null`: `account.tokens.access_ttl`.
    access_ttl_s: Option<i64>,
    /// A session that is not used for this long ends; `null`: `account.tokens.refresh_ttl`.
    refresh_ttl_s: Option<i64>,
    /// A session ends after this time however often it is used; `null`: `account.tokens.session_ttl_max`.
    refresh_absolute_ttl_s: Option<i64>,
    /// Device class → limit of live sessions; a class that is not here has none.
    #[schema(value_type = Object, example = json!({"mobile": {"max": 2, "on_excess": "kick_oldest"}}))]
    devices: BTreeMap<FastStr, DeviceLimit<FastStr>>,
}

/// A policy, or what is to be different about one. What is absent stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct PolicyChange {
    /// At least one.
    login_kinds: Option<Vec<LoginKind>>,
    /// Whether a sign-in may make an account.
    registration_open: Option<bool>,
    /// Whether a sign-in is answered an ID token besides.
    id_token: Option<bool>,
    /// At most `account.tokens.access_ttl_max`; `null`: as configured.
    #[serde(default, deserialize_with = "stated")]
    #[schema(value_type = Option<i64>)]
    access_ttl_s: Option<Option<i64>>,
    /// At most `account.tokens.session_ttl_max`; `null`: as configured.
    #[serde(default, deserialize_with = "stated")]
    #[schema(value_type = Option<i64>)]
    refresh_ttl_s: Option<Option<i64>>,
    /// At most `account.tokens.session_ttl_max`; `null`: as configured.
    #[serde(default, deserialize_with = "stated")]
    #[schema(value_type = Option<i64>)]
    refresh_absolute_ttl_s: Option<Option<i64>>,
    /// Device class (`mobile`, `desktop`, `console`, `web`) → limit; `null` instead of a limit removes it.
    #[schema(value_type = Option<Object>, example = json!({"mobile": {"max": 2, "on_excess": "kick_oldest"}}))]
    devices: Option<BTreeMap<FastStr, Option<DeviceLimit<OnExcess>>>>,
}

/// A way to sign in.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LoginKind {
    Password,
    Device,
    Phone,
    Channel,
}

/// How many live sessions of a class an account may have.
#[derive(Debug, Serialize, Deserialize)]
struct DeviceLimit<Choice> {
    /// 1-1000.
    max: i64,
    on_excess: Choice,
}

/// What happens to a sign-in beyond the limit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnExcess {
    KickOldest,
    RefuseNewest,
}

/// Tells a field that is `null` from one that is not there.
pub(super) fn stated<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl From<wire::AppDetails> for App {
    fn from(app: wire::AppDetails) -> Self {
        Self {
            app_id: app.app_id,
            name: app.name,
            enabled: app.enabled,
            delivery_url: app.delivery_url,
            refund_url: app.refund_url,
            policy: app.policy.into(),
            created_at: app.created_at,
        }
    }
}

impl From<wire::Policy> for Policy {
    fn from(policy: wire::Policy) -> Self {
        let limit = |limit: wire::DeviceLimit| DeviceLimit { max: limit.max.into(), on_excess: limit.on_excess };
        Self {
            login_kinds: policy.login_kinds,
            registration_open: policy.registration_open,
            id_token: policy.id_token,
            access_ttl_s: policy.access_ttl_s,
            refresh_ttl_s: policy.refresh_ttl_s,
            refresh_absolute_ttl_s: policy.refresh_absolute_ttl_s,
            devices: policy.devices.into_iter().map(|(class, of_class)| (class, limit(of_class))).collect(),
        }
    }
}

/// Forms only: what the values may be is for account to say.
impl From<PolicyChange> for wire::PolicyChange {
    fn from(change: PolicyChange) -> Self {
        let lifetime = |ttl: Option<Option<i64>>| ttl.map(|seconds| wire::LifetimeChange { seconds });
        let kinds = |kinds: Vec<LoginKind>| kinds.into_iter().map(|kind| kind.as_str().into()).collect();
        let devices = |devices: BTreeMap<FastStr, Option<DeviceLimit<OnExcess>>>| {
            devices.into_iter().map(|(class, limit)| (class, device_limit_change(limit))).collect()
        };
        Self {
            login_kinds: change.login_kinds.map(kinds),
            registration_open: change.registration_open,
            id_token: change.id_token,
            access_ttl: lifetime(change.access_ttl_s),
            refresh_ttl: lifetime(change.refresh_ttl_s),
            refresh_absolute_ttl: lifetime(change.refresh_absolute_ttl_s),
            devices: change.devices.map(devices),
        }
    }
}

fn device_limit_change(limit: Option<DeviceLimit<OnExcess>>) -> wire::DeviceLimitChange {
    let limit = limit.map(|DeviceLimit { max, on_excess }| wire::DeviceLimit {
        // A number too large for the wire is too large for a limit as well.
        max: i32::try_from(max).unwrap_or(i32::MAX),
        on_excess: on_excess.as_str().into(),
    });
    wire::DeviceLimitChange { limit }
}

impl LoginKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Device => "device",
            Self::Phone => "phone",
            Self::Channel => "channel",
        }
    }
}

impl OnExcess {
    fn as_str(self) -> &'static str {
        match self {
            Self::KickOldest => "kick_oldest",
            Self::RefuseNewest => "refuse_newest",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(body: &str) -> wire::PolicyChange {
        serde_json::from_str::<PolicyChange>(body).expect("well formed").into()
    }

    #[test]
    fn null_is_told_from_absent() {
        assert_eq!(change("{}"), wire::PolicyChange::default());
        let cleared = change(r#"{"access_ttl_s":null,"devices":{"web":null}}"#);
        assert_eq!(cleared.access_ttl, Some(wire::LifetimeChange { seconds: None }));
        assert_eq!(cleared.devices.expect("there")["web"], wire::DeviceLimitChange { limit: None });
        assert_eq!(change(r#"{"access_ttl_s":60}"#).access_ttl, Some(wire::LifetimeChange { seconds: Some(60) }));
    }

    #[test]
    fn a_limit_names_its_class_and_its_choice() {
        let limited = change(r#"{"login_kinds":["phone"],"devices":{"mobile":{"max":2,"on_excess":"refuse_newest"}}}"#);
        assert_eq!(limited.login_kinds, Some(vec!["phone".into()]));
        let limit = limited.devices.expect("there")["mobile"].limit.clone().expect("a limit");
        assert_eq!((limit.max, &*limit.on_excess), (2, "refuse_newest"));
        let unknown = r#"{"devices":{"web":{"max":1,"on_excess":"shrug"}}}"#;
        assert!(serde_json::from_str::<PolicyChange>(unknown).is_err());
    }
}
