//! Partners on the wire and in the domain.

use idl::account_partner as wire;

use crate::{
    domain::{
        field::FieldError,
        partner::{PartnerChange, PartnerDetails, PartnerLimits, PartnerName, Percent, Signing, count},
    },
    error::AccountError,
    rpc::get_partner::limits as limits_on_the_wire,
    service::Parts,
};

/// A partner as it is answered.
pub(super) fn partner_details(partner: &PartnerDetails) -> wire::PartnerDetails {
    wire::PartnerDetails {
        partner: partner.name.as_str().to_owned().into(),
        signing: partner.signing.as_str().into(),
        enabled: partner.enabled,
        limits: limits_on_the_wire(partner.limits),
        secrets: partner.secrets.into(),
        created_at: partner.created_at.as_millis(),
    }
}

/// The partner that somebody asks for. What can't be a name is none of those there are.
pub(super) fn existing(raw: &str) -> Result<PartnerName, AccountError> {
    PartnerName::parse(raw).map_err(|_| AccountError::NoSuchPartner)
}

pub(super) fn limits(limits: Option<wire::PartnerLimits>) -> Result<PartnerLimits, FieldError> {
    let limits = limits.unwrap_or_default();
    PartnerLimits::parse(limits.events_per_second, limits.burst, limits.share)
}

pub(super) fn change(request: &wire::UpdatePartnerRequest) -> Result<PartnerChange, FieldError> {
    let counted = |field, change: &Option<wire::PartnerLimitChange>| {
        change.as_ref().map(|change| change.value.map(|raw| count(field, raw)).transpose()).transpose()
    };
    let share = request.share.as_ref().map(|change| change.value.map(Percent::parse).transpose());
    Ok(PartnerChange {
        enabled: request.enabled,
        signing: request.signing.as_deref().map(Signing::parse).transpose()?,
        events_per_second: counted("limits.events_per_second", &request.events_per_second)?,
        burst: counted("limits.burst", &request.burst)?,
        share: share.transpose()?,
    })
}

/// Lets this instance follow a change at once. The others do within their interval; so does this one, should the
/// reading fail: the change itself is made.
pub(super) async fn follow_own_change(parts: &Parts) {
    if let Err(error) = parts.partners.refresh().await {
        tracing::warn!(%error, "a changed partner could not be read at once");
    }
}
