//! Apps and policies on the wire and in the domain.

use std::{collections::BTreeMap, time::Duration};

use idl::account_admin as wire;

use crate::{
    channels::ShownChannel,
    domain::{
        app_details::AppDetails,
        device_class::DeviceClass,
        device_limit::{DeviceLimit, OnExcess},
        field::FieldError,
        policy::{AppPolicy, LoginKind, PolicyChange},
    },
    error::AccountError,
    service::Parts,
};

/// Entries on a page at most. Protects the answer's size.
const LONGEST_PAGE: i32 = 200;

/// Bytes of a reason at most. Protects the audit's column.
const LONGEST_REASON: usize = 255;

/// Why an operator did something, for the audit.
pub(super) fn reason(raw: &str) -> Result<&str, FieldError> {
    let fits = !raw.is_empty() && raw.len() <= LONGEST_REASON;
    fits.then_some(raw).ok_or(FieldError::new("reason", "1 to 255 bytes"))
}

/// An app as it is answered.
pub(super) fn app_details(app: AppDetails) -> wire::AppDetails {
    wire::AppDetails {
        app_id: app.app_id.get(),
        name: app.name.into(),
        enabled: app.enabled,
        delivery_url: app.delivery_url.map(Into::into),
        refund_url: app.refund_url.map(Into::into),
        policy: policy(&app.policy),
        created_at: app.created_at.as_millis(),
    }
}

/// A channel as it is answered.
pub(super) fn channel_details(shown: ShownChannel) -> wire::ChannelDetails {
    wire::ChannelDetails {
        channel: shown.channel.as_str().to_owned().into(),
        version: shown.version,
        document_json: shown.document.into(),
        updated_at: shown.updated_at.as_millis(),
    }
}

fn policy(policy: &AppPolicy) -> wire::Policy {
    let seconds = |ttl: Option<Duration>| ttl.map(|ttl| i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
    let limit = |limit: &DeviceLimit| wire::DeviceLimit {
        max: i32::try_from(limit.max).unwrap_or(i32::MAX),
        on_excess: limit.on_excess.as_str().into(),
    };
    wire::Policy {
        login_kinds: policy.login_kinds.iter().map(|kind| kind.as_str().into()).collect(),
        registration_open: policy.registration_open,
        id_token: policy.id_token,
        access_ttl_s: seconds(policy.access_ttl),
        refresh_ttl_s: seconds(policy.refresh_ttl),
        refresh_absolute_ttl_s: seconds(policy.refresh_absolute_ttl),
        devices: policy.devices.iter().map(|(class, of_class)| (class.as_str().into(), limit(of_class))).collect(),
    }
}

/// What is to be different about a policy. Whether it may be is for the policy to say.
pub(super) fn policy_change(parts: &Parts, change: Option<wire::PolicyChange>) -> Result<PolicyChange, FieldError> {
    let Some(change) = change else { return Ok(PolicyChange::default()) };
    if change.id_token == Some(true) && !parts.may_issue_id_tokens {
        // Verifiers compare the issuer letter by letter: one that nobody chose could never be changed again.
        return Err(FieldError::new("policy.id_token", "the platform has no issuer yet: set account.id_token.issuer"));
    }
    let kinds = change.login_kinds.map(|kinds| kinds.iter().map(|kind| LoginKind::parse(kind)).collect());
    let devices = change.devices.unwrap_or_default().into_iter();
    Ok(PolicyChange {
        login_kinds: kinds.transpose()?,
        registration_open: change.registration_open,
        id_token: change.id_token,
        access_ttl: lifetime("policy.access_ttl_s", change.access_ttl)?,
        refresh_ttl: lifetime("policy.refresh_ttl_s", change.refresh_ttl)?,
        refresh_absolute_ttl: lifetime("policy.refresh_absolute_ttl_s", change.refresh_absolute_ttl)?,
        devices: devices.map(|(class, change)| device_limit(&class, change)).collect::<Result<BTreeMap<_, _>, _>>()?,
    })
}

fn lifetime(field: &'static str, change: Option<wire::LifetimeChange>) -> Result<Option<Option<Duration>>, FieldError> {
    let seconds = |seconds: i64| match u64::try_from(seconds) {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err(FieldError::new(field, "must be at least 1")),
    };
    change.map(|change| change.seconds.map(seconds).transpose()).transpose()
}

fn device_limit(
    class: &str,
    change: wire::DeviceLimitChange,
) -> Result<(DeviceClass, Option<DeviceLimit>), FieldError> {
    let class =
        DeviceClass::parse(class).map_err(|FieldError { reason, .. }| FieldError::new("policy.devices", reason))?;
    let limit = change.limit.map(|limit| {
        // What is negative is refused with the numbers that are out of bounds.
        let max = u32::try_from(limit.max).unwrap_or_default();
        Ok(DeviceLimit { max, on_excess: OnExcess::parse(&limit.on_excess)? })
    });
    Ok((class, limit.transpose()?))
}

/// One more than a page holds: whoever finds that many knows that there is another page.
pub(super) fn page_and_one(limit: i32) -> Result<u32, FieldError> {
    match u32::try_from(limit) {
        Ok(page) if (1..=LONGEST_PAGE).contains(&limit) => Ok(page + 1),
        _ => Err(FieldError::new("limit", "must be between 1 and 200")),
    }
}

/// Leaves the page of what was found, and tells whether there was more.
pub(super) fn cut_to_page<T>(found: &mut Vec<T>, page_and_one: u32) -> bool {
    let page = usize::try_from(page_and_one).unwrap_or(usize::MAX) - 1;
    let more = found.len() > page;
    found.truncate(page);
    more
}

/// Lets this instance follow a change at once. The others do within their interval; so does this one, should the
/// reading fail: the change itself is made.
pub(super) async fn follow_own_change(parts: &Parts) {
    let read: Result<(), AccountError> = parts.apps.refresh().await;
    if let Err(error) = read {
        tracing::warn!(%error, "a changed app could not be read at once");
    }
}
