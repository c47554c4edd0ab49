//! [`Kind`]: what is limited, and what a refusal is called.

use govern::rate_limit_headers::PolicyName;

use crate::error_code::ErrorCode;

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One client address.
    Address,
    /// The block that an address is in.
    AddressBlock,
    /// A class of routes, in this process.
    Route,
    /// One device at one network.
    Device,
    /// One account, or one token whose account is not known.
    Account,
    /// One app, at all gateways.
    App,
    /// One partner, at all gateways.
    Partner,
}

/// The names of policies, in the order of [`Kind::ALL`].
static POLICIES: [PolicyName; 7] = [
    PolicyName::from_static("address"),
    PolicyName::from_static("address-block"),
    PolicyName::from_static("route"),
    PolicyName::from_static("device"),
    PolicyName::from_static("account"),
    PolicyName::from_static("app"),
    PolicyName::from_static("partner"),
];

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 7] =
        [Self::Address, Self::AddressBlock, Self::Route, Self::Device, Self::Account, Self::App, Self::Partner];

    /// The name in metrics, as the rules call it.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::AddressBlock => "address_block",
            Self::Route => "route",
            Self::Device => "device",
            Self::Account => "account",
            Self::App => "app",
            Self::Partner => "partner",
        }
    }

    /// The name in the fields `RateLimit` and `RateLimit-Policy`.
    pub(super) fn policy(self) -> &'static PolicyName {
        &POLICIES[self as usize]
    }

    /// What a refusal is called.
    pub(super) const fn code(self) -> ErrorCode {
        match self {
            Self::Address | Self::AddressBlock | Self::Route => ErrorCode::RATE_LIMITED_ADDRESS,
            Self::Device | Self::Account => ErrorCode::RATE_LIMITED_SUBJECT,
            Self::App | Self::Partner => ErrorCode::RATE_LIMITED_APP,
        }
    }

    /// What a refusal says, where the text of its code would not be true.
    pub(super) const fn message(self) -> Option<&'static str> {
        match self {
            Self::AddressBlock => Some("too many requests from this part of the network"),
            Self::Route => Some("too many requests of this kind at the moment"),
            Self::Partner => Some("the partner's quota is used up"),
            Self::Address | Self::Device | Self::Account | Self::App => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_policy() {
        for kind in Kind::ALL {
            assert_eq!(kind.policy().to_string(), kind.label().replace('_', "-"));
        }
    }
}
