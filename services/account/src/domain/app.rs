//! An app: a game that signs players in through the platform.

use super::{field::FieldError, ids::AppId, policy::AppPolicy};

/// An app as a sign-in and a signature need it.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) app_id: AppId,
    pub(crate) name: String,
    /// A disabled app signs nobody in and has no signatures accepted.
    pub(crate) enabled: bool,
    pub(crate) policy: AppPolicy,
    /// Where paid orders are delivered to.
    pub(crate) delivery_url: Option<String>,
    /// Where refunds are told.
    pub(crate) refund_url: Option<String>,
    /// One or two live secrets, newest first.
    pub(crate) secrets: Vec<AppSecret>,
}

/// Signs what passes between a game server and the platform: 64 hex digits, used as they are written.
#[derive(Clone, Debug)]
pub(crate) struct AppSecret(secrecy::SecretString);

/// What operators call an app: 1-128 bytes without control characters, not only spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AppName(String);

/// Where a game server takes its deliveries, or hears of refunds: an absolute `http` or `https` URL of at most 1024 bytes of visible ASCII,
/// with a host and without user name or fragment. Whether the host is one that may be called is decided by who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryUrl(String);

impl AppSecret {
    pub(crate) fn new(text: String) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        secrecy::ExposeSecret::expose_secret(&self.0)
    }
}

impl AppName {
    const LONGEST_BYTES: usize = 128;

    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let name = raw.trim();
        if name.is_empty() || name.len() > Self::LONGEST_BYTES || name.chars().any(char::is_control) {
            return Err(FieldError::new("name", "1 to 128 bytes without control characters"));
        }
        Ok(Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl DeliveryUrl {
    const LONGEST_BYTES: usize = 1024;

    /// Reads `delivery_url`.
    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        Self::of_field("delivery_url", raw)
    }

    /// Reads `refund_url`.
    pub(crate) fn parse_refund_url(raw: &str) -> Result<Self, FieldError> {
        Self::of_field("refund_url", raw)
    }

    fn of_field(field: &'static str, raw: &str) -> Result<Self, FieldError> {
        let after_scheme = raw.strip_prefix("https://").or_else(|| raw.strip_prefix("http://"));
        let authority = after_scheme.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let well_formed = raw.len() <= Self::LONGEST_BYTES
            && raw.bytes().all(|byte| byte.is_ascii_graphic())
            && !host.is_empty()
            && !authority.contains('@')
            && !raw.contains(['#', '\\']);
        match well_formed {
            true => Ok(Self(raw.to_owned())),
            false => Err(FieldError::new(field, "must be an http or https URL of at most 1024 bytes")),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_the_spaces_around_it() {
        assert_eq!(AppName::parse(" My Game ").map(|name| name.0), Ok("My Game".to_owned()));
        for bad in ["", " ", "a\nb", &"x".repeat(129)] {
            assert_eq!(AppName::parse(bad).map_err(|error| error.field), Err("name"), "{bad:?}");
        }
    }

    #[test]
    fn a_delivery_url_names_a_host_and_carries_no_credentials() {
        for good in ["https://game.example/pay", "http://127.0.0.1:9000", "https://[::1]:8443/a?b=c"] {
            assert!(DeliveryUrl::parse(good).is_ok(), "{good}");
        }
        let long = format!("https://game.example/{}", "x".repeat(1024));
        for bad in ["", "game.example", "ftp://game.example", "https://", "https:///pay", "https://:80/", &long]
            .into_iter()
            .chain(["https://ann:pw@game.example", "https://game.example/#a", "https://game.example/a b"])
        {
            assert_eq!(DeliveryUrl::parse(bad).map_err(|error| error.field), Err("delivery_url"), "{bad}");
        }
    }
}
