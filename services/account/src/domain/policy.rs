//! What an app allows its players, and how an operator changes it.
//!
//! A policy is checked when it is changed. What it leaves open comes from the configuration, and what the configuration
//! caps is capped again where it is used: a cap that is lowered later holds for every app.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{device_class::DeviceClass, device_limit::DeviceLimit, field::FieldError};

/// A way to sign in. Its name is part of the public contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LoginKind {
    Password,
    Device,
    Phone,
    Channel,
}

/// The rules an app sets for its own players.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppPolicy {
    /// Never empty.
    pub(crate) login_kinds: BTreeSet<LoginKind>,
    /// Whether a sign-in may make an account.
    pub(crate) registration_open: bool,
    /// Whether a sign-in is answered an ID token besides.
    pub(crate) id_token: bool,
    /// How long an access token lives, before jitter.
    pub(crate) access_ttl: Option<Duration>,
    /// How long a session lives without being used.
    pub(crate) refresh_ttl: Option<Duration>,
    /// How long a session lives however often it is used.
    pub(crate) refresh_absolute_ttl: Option<Duration>,
    /// Classes that are not here have no limit.
    pub(crate) devices: BTreeMap<DeviceClass, DeviceLimit>,
}

/// What is to be different. In the nested options the outer one says whether, the inner one to what; its `None` is
/// back to the configured value, or to no limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct PolicyChange {
    pub(crate) login_kinds: Option<BTreeSet<LoginKind>>,
    pub(crate) registration_open: Option<bool>,
    pub(crate) id_token: Option<bool>,
    pub(crate) access_ttl: Option<Option<Duration>>,
    pub(crate) refresh_ttl: Option<Option<Duration>>,
    pub(crate) refresh_absolute_ttl: Option<Option<Duration>>,
    pub(crate) devices: BTreeMap<DeviceClass, Option<DeviceLimit>>,
}

/// What no policy may exceed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LifetimeCaps {
    pub(crate) access_ttl: Duration,
    pub(crate) session_ttl: Duration,
}

impl LoginKind {
    pub(crate) const ALL: [LoginKind; 4] = [Self::Password, Self::Device, Self::Phone, Self::Channel];

    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == raw);
        known.ok_or(FieldError::new("policy.login_kinds", "must be of password, device, phone and channel"))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Device => "device",
            Self::Phone => "phone",
            Self::Channel => "channel",
        }
    }
}

impl Default for AppPolicy {
    /// The policy of a new app: every kind of login that the platform and the app are set up for.
    fn default() -> Self {
        Self {
            login_kinds: BTreeSet::from(LoginKind::ALL),
            registration_open: true,
            id_token: false,
            access_ttl: None,
            refresh_ttl: None,
            refresh_absolute_ttl: None,
            devices: BTreeMap::new(),
        }
    }
}

impl AppPolicy {
    /// This policy with a change made, if what comes out is allowed.
    pub(crate) fn changed(&self, change: PolicyChange, caps: LifetimeCaps) -> Result<Self, FieldError> {
        let mut devices = self.devices.clone();
        for (class, limit) in change.devices {
            match limit {
                Some(limit) => devices.insert(class, limit),
                None => devices.remove(&class),
            };
        }
        let changed = Self {
            login_kinds: change.login_kinds.unwrap_or_else(|| self.login_kinds.clone()),
            registration_open: change.registration_open.unwrap_or(self.registration_open),
            id_token: change.id_token.unwrap_or(self.id_token),
            access_ttl: change.access_ttl.unwrap_or(self.access_ttl),
            refresh_ttl: change.refresh_ttl.unwrap_or(self.refresh_ttl),
            refresh_absolute_ttl: change.refresh_absolute_ttl.unwrap_or(self.refresh_absolute_ttl),
            devices,
        };
        changed.validate(caps)?;
        Ok(changed)
    }

    fn validate(&self, caps: LifetimeCaps) -> Result<(), FieldError> {
        if self.login_kinds.is_empty() {
            return Err(FieldError::new("policy.login_kinds", "name at least one; to let nobody in, disable the app"));
        }
        let lifetimes = [
            (self.access_ttl, caps.access_ttl, "policy.access_ttl_s"),
            (self.refresh_ttl, caps.session_ttl, "policy.refresh_ttl_s"),
            (self.refresh_absolute_ttl, caps.session_ttl, "policy.refresh_absolute_ttl_s"),
        ];
        for (ttl, cap, field) in lifetimes {
            if ttl.is_some_and(|ttl| ttl < Duration::from_secs(1)) {
                return Err(FieldError::new(field, "must be at least 1"));
            }
            if ttl.is_some_and(|ttl| ttl > cap) {
                return Err(FieldError::new(field, "is longer than the platform allows"));
            }
        }
        if let (Some(sliding), Some(absolute)) = (self.refresh_ttl, self.refresh_absolute_ttl)
            && sliding > absolute
        {
            return Err(FieldError::new("policy.refresh_ttl_s", "must not be longer than refresh_absolute_ttl_s"));
        }
        for (class, limit) in &self.devices {
            if !DeviceLimit::SENSIBLE.contains(&limit.max) {
                return Err(FieldError::new(max_field(*class), "must be between 1 and 1000"));
            }
        }
        Ok(())
    }
}

fn max_field(class: DeviceClass) -> &'static str {
    match class {
        DeviceClass::Mobile => "policy.devices.mobile.max",
        DeviceClass::Desktop => "policy.devices.desktop.max",
        DeviceClass::Console => "policy.devices.console.max",
        DeviceClass::Web => "policy.devices.web.max",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::device_limit::OnExcess;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const CAPS: LifetimeCaps = LifetimeCaps { access_ttl: DAY, session_ttl: DAY.saturating_mul(180) };

    fn limit(max: u32) -> DeviceLimit {
        DeviceLimit { max, on_excess: OnExcess::KickOldest }
    }

    #[test]
    fn a_change_changes_what_it_names_and_nothing_else() {
        let hour = Some(Duration::from_secs(3600));
        let first = PolicyChange {
            access_ttl: Some(hour),
            devices: BTreeMap::from([(DeviceClass::Mobile, Some(limit(1))), (DeviceClass::Web, Some(limit(2)))]),
            ..PolicyChange::default()
        };
        let one = AppPolicy::default().changed(first, CAPS).expect("allowed");
        let second = PolicyChange {
            id_token: Some(true),
            devices: BTreeMap::from([(DeviceClass::Web, None)]),
            ..PolicyChange::default()
        };
        let two = one.changed(second, CAPS).expect("allowed");
        let left = BTreeMap::from([(DeviceClass::Mobile, limit(1))]);
        assert_eq!(two, AppPolicy { access_ttl: hour, id_token: true, devices: left, ..AppPolicy::default() });
        let back = PolicyChange { access_ttl: Some(None), ..PolicyChange::default() };
        assert_eq!(two.changed(back, CAPS).expect("allowed").access_ttl, None);
    }

    #[test]
    fn a_value_out_of_bounds_is_refused_by_its_name() {
        let refused = |change: PolicyChange| {
            AppPolicy::default().changed(change, CAPS).map_err(|error| error.field).expect_err("out of bounds")
        };
        let none = PolicyChange::default;
        let seconds = |seconds| Some(Some(Duration::from_secs(seconds)));
        assert_eq!(refused(PolicyChange { login_kinds: Some(BTreeSet::new()), ..none() }), "policy.login_kinds");
        assert_eq!(refused(PolicyChange { access_ttl: seconds(0), ..none() }), "policy.access_ttl_s");
        assert_eq!(refused(PolicyChange { access_ttl: seconds(86_401), ..none() }), "policy.access_ttl_s");
        assert_eq!(refused(PolicyChange { refresh_ttl: Some(Some(DAY * 181)), ..none() }), "policy.refresh_ttl_s");
        let absolute = PolicyChange { refresh_absolute_ttl: Some(Some(DAY * 181)), ..none() };
        assert_eq!(refused(absolute), "policy.refresh_absolute_ttl_s");
        let crossed = PolicyChange { refresh_ttl: seconds(9), refresh_absolute_ttl: seconds(8), ..none() };
        assert_eq!(refused(crossed), "policy.refresh_ttl_s");
        for (class, max) in [(DeviceClass::Mobile, 0), (DeviceClass::Web, 1001)] {
            let devices = BTreeMap::from([(class, Some(limit(max)))]);
            assert_eq!(refused(PolicyChange { devices, ..none() }), format!("policy.devices.{}.max", class.as_str()));
        }
    }

    #[test]
    fn the_names_of_the_contract_read_back() {
        for kind in LoginKind::ALL {
            assert_eq!(LoginKind::parse(kind.as_str()), Ok(kind));
        }
        assert!(LoginKind::parse("magic").is_err());
    }
}
