//! A partner as operators see and change it.

use idl::account_partner as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

/// Which partner, in the path.
#[derive(Debug, Deserialize)]
pub(crate) struct PartnerPath {
    pub(super) partner: FastStr,
}

/// A partner. Its secrets are shown when they are made and never again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Partner {
    #[schema(value_type = String, example = "ads")]
    partner: FastStr,
    #[schema(value_type = Signing)]
    signing: FastStr,
    /// Nothing is taken from a disabled partner.
    enabled: bool,
    limits: Limits,
    /// Live secrets: 0-2.
    secrets: i32,
    /// Unix milliseconds.
    created_at: i64,
}

/// What a partner may push. `null`: as where events are taken by default.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = PartnerLimits)]
#[serde(default)]
pub(crate) struct Limits {
    /// At least 1.
    events_per_second: Option<i64>,
    /// Events that may come at once after a pause, at least 1.
    burst: Option<i64>,
    /// The part of the queue that it may fill, in percent: 1-100.
    share: Option<i64>,
}

/// How a partner's requests are signed.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = PartnerSigning)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Signing {
    /// As those of game servers, with `X-Partner-Id`.
    Hmac,
    /// An MD5 over sorted parameters and the secret.
    Md5Sorted,
    /// Not at all: whoever reaches the gateway may push under this name.
    None,
}

impl Signing {
    pub(super) fn as_str(self) -> FastStr {
        FastStr::from_static_str(match self {
            Self::Hmac => "hmac",
            Self::Md5Sorted => "md5-sorted",
            Self::None => "none",
        })
    }
}

impl From<wire::PartnerDetails> for Partner {
    fn from(partner: wire::PartnerDetails) -> Self {
        let wire::PartnerLimits { events_per_second, burst, share } = partner.limits;
        Self {
            partner: partner.partner,
            signing: partner.signing,
            enabled: partner.enabled,
            limits: Limits { events_per_second, burst, share },
            secrets: partner.secrets,
            created_at: partner.created_at,
        }
    }
}

impl From<Limits> for wire::PartnerLimits {
    fn from(Limits { events_per_second, burst, share }: Limits) -> Self {
        Self { events_per_second, burst, share }
    }
}
